package linear_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"qpt/kernels/elem"
	"qpt/kernels/internal/ktest"
	"qpt/kernels/linear"
	"qpt/kernels/probe"
)

// least runs f and reports its least time, in seconds, which other load on the machine moves least.
func least(b *testing.B, f func()) float64 {
	t := math.Inf(1)
	for b.Loop() {
		start := time.Now()
		f()
		t = min(t, time.Since(start).Seconds())
	}
	b.ReportMetric(t*1e6, "min-us")
	return t
}

// BenchmarkLinearFloat: GB/s of weights, GFLOPS and the share of Peak.
func BenchmarkLinearFloat(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, f := range []struct {
		f    linear.Format
		form linear.ActForm
	}{{linear.F32, linear.AF32}, {linear.BF16, linear.ABF16}} {
		for _, s := range []struct{ n, k int }{{2048, 2048}, {64, 64}} {
			w := linear.NewWeight(f.f, s.n, s.k, 0)
			w.PutFloatRows(0, ktest.Student(rng, s.n*s.k, 0), s.n)
			for _, m := range []int{1, 4, 8, 128} {
				b.Run(fmt.Sprintf("%s/M=%d/N=%d/K=%d", f.f, m, s.n, s.k), func(b *testing.B) {
					x := linear.NewActs(f.form, m, s.k).Reset(m)
					x.Quantize(0, m, ktest.Student(rng, m*s.k, 0), s.k)
					y := make([]float32, m*s.n)
					var sc linear.Scratch
					t := least(b, func() { linear.Linear(linear.Sink{Y: y, Ld: s.n}, x, w, 0, w.Blocks(), &sc) })
					b.ReportMetric(float64(len(w.Data))/t/1e9, "GB/s")
					b.ReportMetric(float64(2*m*s.n*s.k)/t/1e9, "GFLOPS")
					b.ReportMetric(float64(2*m*s.n*s.k)/t/probe.Peak(probe.Product{Acts: f.form}, 1)*100, "%peak")
				})
			}
		}
	}
}

// BenchmarkRow: one row of 2048 (5632 for silu).
func BenchmarkRow(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	x, w, dst := ktest.Student(rng, 5632, 0), ktest.Student(rng, 5632, 0), make([]float32, 5632)
	a8, a16 := linear.NewActs(linear.A8, 1, 2048).Reset(1), linear.NewActs(linear.A16, 1, 2048).Reset(1)
	bench := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			least(b, f)
		})
	}
	bench("rmsnorm", func() { elem.RMSNorm(dst[:2048], x[:2048], w[:2048], 1e-5, 0) })
	bench("silumul", func() { elem.SiLUMul(dst, x, w) })
	bench("add", func() { elem.Add(dst[:2048], x[:2048], w[:2048]) })
	bench("a8", func() { a8.Quantize(0, 1, x, 0) })
	bench("a16", func() { a16.Quantize(0, 1, x, 0) })
	freqs := make([]float64, 32)
	for i := range freqs {
		freqs[i] = 1 / float64(i+1)
	}
	r := elem.NewRope(freqs, 1, 64, 64, false)
	r.Reserve(16)
	bench("rope", func() { r.Apply(dst[:2048], 7) })
}
