//go:build !purego

package linear

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
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

// Both kernels of e4m3 give the bits of the twin, for all codes.
func TestE4M3Row(t *testing.T) {
	if !cpu.HasVBMI() {
		t.Skip("without VBMI there is one kernel")
	}
	rng := rand.New(rand.NewPCG(5, 6))
	w, _ := codedWeight(rng, 64, 264, 24, 8, "table", NumF32, 0)
	for r := range 64 {
		codes := make([]uint8, w.K)
		for j := range codes {
			codes[j] = uint8(4*j + r)
		}
		w.PutCodes(r, codes)
	}
	x := NewActsFor(AF32, w.Rows(), 1, w.K).Reset(1)
	x.Quantize(0, 1, ktest.Mixed(rng, w.K, false), w.K)
	var s Scratch
	want, y := make([]float32, w.N), make([]float32, w.N)
	codedGeneric.linearTable(want, w.N, x, w, 0, 4, false, &s)
	for name, f := range map[string]func(*tableArgs){"AVX-512": dotE4M3x4AVX512, "VBMI": dotE4M3x4VBMI} {
		e := codedAVX512.coder()
		e.table[tableE4M3] = f
		e.linearTable(y, w.N, x, w, 0, 4, false, &s)
		if !slices.Equal(want, y) {
			t.Errorf("%s: %v, want %v", name, y, want)
		}
	}
}
