//go:build !purego

package linear_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
	"qpt/kernels/linear"
	"qpt/kernels/probe"
)

// BenchmarkMatMul: shapes of a layer of the 1.1B model, of calibration's blocks and of
// one row. On AVX2 the limit is products and sums of registers alone, a number each.
func BenchmarkMatMul(b *testing.B) {
	f := linear.MatMul()
	if f == nil {
		b.Skip("no assembly")
	}
	rng := rand.New(rand.NewPCG(2, 3))
	for _, v := range []shape{{96, 256, 2048}, {96, 96, 5632}, {256, 256, 512}, {128, 256, 256}, {256, 128, 128}, {512, 64, 64}, {1, 64, 2048}, {4096, 512, 576}, {4096, 288, 1536}} {
		b.Run(fmt.Sprintf("%dx%dx%d", v.m, v.n, v.k), func(b *testing.B) {
			w := ktest.Mixed(rng, v.n*v.k, false)
			x, y := make([][]float32, v.m), make([][]float32, v.m)
			for i := range v.m {
				x[i], y[i] = ktest.Mixed(rng, v.k, false), make([]float32, v.n)
			}
			packed := linear.NewShorts(v.n, v.k)
			packed.Put(0, w)
			least := func(run func()) (best float64) { // seconds: others use the machine too
				for start, i := time.Now(), 0; i < 8 || time.Since(start) < 200*time.Millisecond; i++ {
					t := time.Now()
					run()
					if s := time.Since(t).Seconds(); i == 0 || s < best {
						best = s
					}
				}
				return best
			}
			for b.Loop() {
				flops := 2 * float64(v.m*v.n*v.k) / least(func() { f(y, 0, x, w) }) / 1e9
				b.ReportMetric(flops, "GFLOPS")
				b.ReportMetric(2*float64(v.m*v.n*v.k)/least(func() { packed.MatMul(y, x, 0, v.n) })/1e9, "shorts-GOPS")
				if cpu.Active() < cpu.AVX512 {
					const rounds = 20000
					b.ReportMetric(flops*least(func() { probe.MulAdd256(rounds) })/(rounds*14*8)*1e9*100, "%peak")
				}
			}
		})
	}
}
