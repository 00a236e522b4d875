// Package ktest is what the tests of kernels share: runs once for each
// instruction set, values that break careless code, guards around slices.
package ktest

import (
	"math"
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
)

// Levels runs f once for each instruction set that float kernels have a path for.
func Levels(t *testing.T, f func(t *testing.T, isa cpu.ISA)) {
	for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512, cpu.AMX} {
		if !cpu.Has(isa) {
			t.Logf("%v: not on this machine", isa)
			continue
		}
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.SetMax(isa)()
			f(t, isa)
		})
	}
}

// hard is values that break careless kernels.
var hard = []float32{0, float32(math.Copysign(0, -1)), 1, -1, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)),

	1e-45, -1e-40, 1.1754944e-38, math.MaxFloat32, -math.MaxFloat32, 88.7, 89.5, -86.99, -87.01, -104, 0.5, 1.5, 2.5, 3e38, 1e-30, 9e-31}

// Mixed returns n Gaussian values; with some hard ones among them if asked.
func Mixed(rng *rand.Rand, n int, withHard bool) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * 10)
		if withHard && rng.IntN(3) == 0 {
			x[i] = hard[rng.IntN(len(hard))]
		}
	}
	return x
}

// Same compares bits; NaNs of all kinds are equal.
func Same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

const fence = -12345

// Fenced returns n values at an offset, with fence values around them, and a check that these are still there.
func Fenced(n, off int) (x []float32, intact func() bool) {
	all := make([]float32, off+n+20)
	for i := range all {
		all[i] = fence
	}
	return all[off : off+n], func() bool {
		for i, v := range all {
			if (i < off || i >= off+n) && v != fence {
				return false
			}
		}
		return true
	}
}

// Sizes are all small lengths and a few around multiples of 16 and 256.
func Sizes() (s []int) {
	for n := range 70 {
		s = append(s, n)
	}
	return append(s, 255, 256, 257, 271, 272, 273, 512, 1000)
}

// Student returns n variates of Student's t with the given degrees of freedom; 0 means Gaussian.
func Student(rng *rand.Rand, n, dof int) []float32 {
	x := make([]float32, n)
	for i := range x {
		v := rng.NormFloat64()
		if dof > 0 {
			var c float64
			for range dof {
				z := rng.NormFloat64()
				c += z * z
			}
			v /= math.Sqrt(c / float64(dof))
		}
		x[i] = float32(v * 0.02)
	}
	return x
}
