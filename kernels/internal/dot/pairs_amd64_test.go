//go:build !purego

package dot

import (
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/ktest"
)

// TestPairs: products of pairs have the bits of the twin, for any number of rows and blocks; and where the machine has the instruction it is used.
func TestPairs(t *testing.T) {
	if !cpu.HasBF16() {
		t.Skip("no AVX512_BF16 here")
	}
	if !HasPairs() {
		t.Skip("VDPBF16PS rounds otherwise here than its manual says, so it is not used")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for rows := range 20 {
		for _, nb := range []int{1, 2, 3, 4, 7} {
			for _, k := range []int{32, 64, 160} {
				lda, ldc, stride := k+32, (nb+nb%2)*16+5, k*32+64
				wide, narrow, packed := make([]float32, (rows+1)*lda), make([]uint16, (rows+1)*lda), make([]uint16, (rows+1)*lda)
				for i, v := range ktest.Mixed(rng, len(wide), false) {
					narrow[i] = num.BF16(v)
					wide[i] = num.FromBF16(narrow[i])
				}
				for r := range rows {
					PackPairs(packed[r*lda:], narrow[r*lda:][:k])
				}
				b := make([]byte, nb*stride)
				for i, v := range ktest.Mixed(rng, len(b)/2, false) {
					x := num.BF16(v)
					b[2*i], b[2*i+1] = byte(x), byte(x>>8)
				}
				got, want := ktest.Mixed(rng, (rows+1)*ldc, false), make([]float32, (rows+1)*ldc)
				copy(want, got)
				RowsPairs(got, ldc, packed, lda, b, stride, rows, nb, k)
				RowsGeneric(BF16, want, ldc, wide, lda, b, stride, rows, nb, k)
				for i := range want {
					if r, n := i/ldc, i%ldc; r < rows && n < nb*16 || r >= rows || n >= (nb+nb%2)*16 {
						if !ktest.Same(got[i], want[i]) {
							t.Fatalf("%d rows, %d blocks, k=%d: row %d column %d is %v, want %v", rows, nb, k, r, n, got[i], want[i])
						}
					}
				}
			}
		}
	}
}
