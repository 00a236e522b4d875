package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
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

// BenchmarkAttention: heads of TinyLlama (32/4 x 64) and Llama 3 (32/8 x 128),
// decode (M = 1) and causal prefill from position 0, queries as the executor
// cuts them; GB/s of keys and values, GFLOPS of visible positions.
func BenchmarkAttention(b *testing.B) {
	const chunk = 32
	rng := rand.New(rand.NewPCG(1, 1))
	for _, h := range []struct{ heads, kv, dim int }{{32, 4, 64}, {32, 8, 128}} {
		for _, typ := range []KVType{KVF32, KVBF16, KVI8} {
			for _, c := range []struct{ m, length int }{{1, 1024}, {1, 4096}, {512, 512}, {1024, 1024}} {
				if c.m > 1 && typ == KVF32 {
					continue
				}
				b.Run(fmt.Sprintf("kv%d/heads=%d-%d-%d/M=%d/length=%d", typ, h.heads, h.kv, h.dim, c.m, c.length), func(b *testing.B) {
					kv := NewKV(typ, h.kv, h.dim, c.length)
					kv.Append(0, student(rng, c.length*h.kv*h.dim, 0), student(rng, c.length*h.kv*h.dim, 0))
					width := h.heads * h.dim
					q, out := student(rng, c.m*width, 0), make([]float32, c.m*width)
					pos := make([]int32, c.m)
					seen := 0
					for i := range pos {
						pos[i] = int32(c.length - c.m + i)
						seen += int(pos[i]) + 1
					}
					spec := AttnSpec{h.heads, 1, Mask{Causal: true}}
					var s AttnScratch
					t := least(b, func() {
						for i := 0; i < c.m; i += chunk {
							for j := range h.kv {
								Attention(out[i*width:], width, q[i*width:], width, pos[i:min(i+chunk, c.m)], kv, j, spec, &s)
							}
						}
					})
					b.ReportMetric(float64(c.length*h.kv*h.dim*2*kv.size)/t/1e9, "GB/s")
					b.ReportMetric(float64(4*seen*width)/t/1e9, "GFLOPS")
					form := ABF16
					if typ == KVF32 {
						form = AF32
					}
					b.ReportMetric(float64(4*seen*width)/t/Peak(Product{Acts: form}, 1)*100, "%peak")
				})
			}
		}
	}
}

// BenchmarkLinearFloat: GB/s of weights, GFLOPS and the share of Peak.
func BenchmarkLinearFloat(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, f := range []struct {
		f    Format
		form ActForm
	}{{F32, AF32}, {BF16, ABF16}} {
		for _, s := range []struct{ n, k int }{{2048, 2048}, {64, 64}} {
			w := NewWeight(f.f, s.n, s.k, 0)
			w.PutFloatRows(0, student(rng, s.n*s.k, 0), s.n)
			for _, m := range []int{1, 4, 8, 128} {
				b.Run(fmt.Sprintf("%s/M=%d/N=%d/K=%d", f.f, m, s.n, s.k), func(b *testing.B) {
					x := NewActs(f.form, m, s.k).Reset(m)
					x.Quantize(0, m, student(rng, m*s.k, 0), s.k)
					y := make([]float32, m*s.n)
					var sc Scratch
					t := least(b, func() { Linear(y, s.n, x, w, 0, w.Blocks(), Epilogue{}, &sc) })
					b.ReportMetric(float64(len(w.Data))/t/1e9, "GB/s")
					b.ReportMetric(float64(2*m*s.n*s.k)/t/1e9, "GFLOPS")
					b.ReportMetric(float64(2*m*s.n*s.k)/t/Peak(Product{Acts: f.form}, 1)*100, "%peak")
				})
			}
		}
	}
}

// BenchmarkRow: one row of 2048 (5632 for silu).
func BenchmarkRow(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	x, w, dst := student(rng, 5632, 0), student(rng, 5632, 0), make([]float32, 5632)
	a8, a16 := NewActs(A8, 1, 2048).Reset(1), NewActs(A16, 1, 2048).Reset(1)
	bench := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			least(b, f)
		})
	}
	bench("rmsnorm", func() { RMSNorm(dst[:2048], x[:2048], w[:2048], 1e-5, 0) })
	bench("silumul", func() { SiLUMul(dst, x, w) })
	bench("add", func() { Add(dst[:2048], x[:2048], w[:2048]) })
	bench("a8", func() { a8.Quantize(0, 1, x, 0) })
	bench("a16", func() { a16.Quantize(0, 1, x, 0) })
	freqs := make([]float64, 32)
	for i := range freqs {
		freqs[i] = 1 / float64(i+1)
	}
	r := NewRope(freqs, 1, 64, 64, false)
	r.Reserve(16)
	bench("rope", func() { r.Apply(dst[:2048], 7) })
}
