package elem

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
)

// BenchmarkRow runs every function on a row of 2048 values in the first-level cache, in nanoseconds a value.
func BenchmarkRow(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	x, w, dst := ktest.Mixed(rng, 2048, false), ktest.Mixed(rng, 2048, false), make([]float32, 2048)
	fs := map[string]func(){
		"rmsnorm":   func() { RMSNorm(dst, x, w, 1e-5, 0) },
		"layernorm": func() { LayerNorm(dst, x, w, w, 1e-5) },
		"softmax":   func() { Softmax(dst, x) },
	}
	var names []string
	for name := range unary {
		f, _ := Unary(name)
		fs[name] = func() { f(dst, x) }
	}
	for name := range binary {
		f, _ := Binary(name)
		fs[name] = func() { f(dst, x, w) }
	}
	for name := range fs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512} {
		for _, name := range names {
			b.Run(fmt.Sprintf("%v/%s", isa, name), func(b *testing.B) {
				if !cpu.Has(isa) {
					b.Skip("not on this machine")
				}
				defer cpu.SetMax(isa)()
				for b.Loop() {
					fs[name]()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/value")
			})
		}
	}
}
