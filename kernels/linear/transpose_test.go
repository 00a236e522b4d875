package linear

import (
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
)

// Rows of all small numbers and lengths, at odd places, into a part of a wider matrix: nothing beside it is written.
func TestTranspose(t *testing.T) {
	ktest.Levels(t, func(t *testing.T, _ cpu.ISA) {
		rng := rand.New(rand.NewPCG(1, 2))
		for n := range 20 {
			for k := 1; k < 20; k++ {
				ld := n + rng.IntN(4)
				rows := make([][]float32, n)
				for i := range rows {
					rows[i] = ktest.Mixed(rng, k+5, false)[3 : k+3]
				}
				got, intact := ktest.Fenced(max(0, (k-1)*ld+n), rng.IntN(9))
				Transpose(got, ld, rows)
				for at, v := range got {
					want := float32(-12345) // the fence's
					if i := at % max(ld, 1); i < n {
						want = rows[i][at/ld]
					}
					if v != want {
						t.Fatalf("%d rows of %d, %d apart: [%d] = %v, want %v", n, k, ld, at, v, want)
					}
				}
				if !intact() {
					t.Fatalf("%d rows of %d: written outside", n, k)
				}
			}
		}
	})
}
