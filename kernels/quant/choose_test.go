package quant

import (
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
	"qpt/kernels/linear"
)

// A group's choice is that of the quantizer for the scale it found, and the least among all zeros and the gscales near it, or close to that.
func TestChooser(t *testing.T) {
	ktest.Levels(t, func(t *testing.T, _ cpu.ISA) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, f := range []linear.Format{linear.I4, linear.I6} {
			for _, group := range []int{16, 32, 64, 128} {
				v, imp := make([]float32, group*16), make([]float32, group)
				for k := range imp {
					imp[k] = rng.Float32() + 0.1
					for n := range 16 {
						v[k*16+n] = float32(rng.NormFloat64()) + float32(n)/8
					}
				}
				var scale [16]float32
				for n := range scale {
					scale[n] = 0.02 + 0.01*float32(n)
				}
				scale[5] = 0
				levels, gscales := f.Levels()
				cost := func(n, zero, gscale int) (sum float64) {
					lo, hi := f.Range(uint8(zero), uint8(gscale))
					for k, h := range imp {
						step := scale[n] * float32(gscale)
						d := residual(v[k*16+n], roundClamp(v[k*16+n]*safeInv(step), lo, hi), step)
						sum += float64(h) * float64(d) * float64(d)
					}
					return sum
				}
				for n, p := range NewChooser(f, group).Choose(v, imp, &scale) {
					zero, gscale := f.Split(p)
					if n == 5 {
						continue // of no account
					}
					got, least := cost(n, int(zero), int(gscale)), cost(n, 0, 1)
					for s := 1; s <= gscales; s++ {
						for z := range levels + 1 {
							least = min(least, cost(n, z, s))
						}
					}
					if got > 1.2*least {
						t.Errorf("%v groups of %d, row %d: zero %d, gscale %d of error %g, the least is %g", f, group, n, zero, gscale, got, least)
					}
				}
			}
		}
	})
}
