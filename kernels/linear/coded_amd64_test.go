//go:build !purego

package linear

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
)

// A row takes codes of every usual kind as they are stored.
func TestCodedRow(t *testing.T) {
	if !cpu.Has(cpu.AVX512) {
		t.Skip("without AVX-512 there are no such kernels")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, bits := range []int{2, 3, 4, 5, 6, 8} {
		for _, group := range []int{16, 32, 64, 128, 480} {
			for _, variant := range []string{"zero", "zeros", "table"} {
				if variant == "table" && bits != 3 && bits != 4 {
					continue
				}
				w, _ := codedWeight(rng, 16, 480, group, bits, variant, NumF16, 0)
				sh := w.codedShape(codedPlaces)
				for _, planes := range []int{1, 3} {
					t.Run(fmt.Sprintf("%d bits, groups of %d, %s, %d digits", bits, group, variant, planes), func(t *testing.T) {
						if codedAVX512.coder().rowKernel(w, &sh, planes) == nil {
							t.Error("there is no kernel")
						}
					})
				}
			}
		}
	}
}
