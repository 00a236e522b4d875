package attn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

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

// BenchmarkWhole: texts of MiniLM's shape that are read whole, keys and values put into a new cache of bfloat16 each time, and without one where Short takes them, as the executor does.
func BenchmarkWhole(b *testing.B) {
	const heads, dim, width, chunk = 12, 32, 12 * 32, 32
	rng := rand.New(rand.NewPCG(1, 1))
	for _, m := range []int{20, 128} {
		b.Run(fmt.Sprintf("M=%d", m), func(b *testing.B) {
			kv, s, pos := NewPool(0).NewKV(KVBF16, heads, dim), new(Scratch), make([]int32, m)
			q, k, v, out := ktest.Student(rng, m*width, 0), ktest.Student(rng, m*width, 0), ktest.Student(rng, m*width, 0), make([]float32, m*width)
			spec := Spec{Heads: heads, Scale: 0.2}
			t := least(b, func() {
				kv.Append(0, k, v)
				for i := 0; i < m; i += chunk {
					n := min(chunk, m-i)
					for j := range heads {
						Attention(out[i*width:], width, q[i*width:], width, pos[i:i+n], kv, j, spec, s)
					}
				}
			})
			b.ReportMetric(float64(4*m*m*width)/t/1e9, "GFLOPS")
			if TakesShort(m, dim, KVBF16, &spec) {
				step, start := ShortHeads(m, heads), math.Inf(1)
				for range 2 * b.N {
					now := time.Now()
					for j := 0; j < heads; j += step {
						Short(out, q, k, v, m, heads, dim, j, min(j+step, heads), &spec, s)
					}
					start = min(start, time.Since(now).Seconds())
				}
				b.ReportMetric(start*1e6, "min-us-short")
			}
		})
	}
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
					kv := NewPool(0).NewKV(typ, h.kv, h.dim)
					kv.Append(0, ktest.Student(rng, c.length*h.kv*h.dim, 0), ktest.Student(rng, c.length*h.kv*h.dim, 0))
					width := h.heads * h.dim
					q, out := ktest.Student(rng, c.m*width, 0), make([]float32, c.m*width)
					pos := make([]int32, c.m)
					seen := 0
					for i := range pos {
						pos[i] = int32(c.length - c.m + i)
						seen += int(pos[i]) + 1
					}
					spec := Spec{Heads: h.heads, Scale: 1, Mask: Mask{Causal: true}}
					var s Scratch
					t := least(b, func() {
						for i := 0; i < c.m; i += chunk {
							for j := range h.kv {
								Attention(out[i*width:], width, q[i*width:], width, pos[i:min(i+chunk, c.m)], kv, j, spec, &s)
							}
						}
					})
					b.ReportMetric(float64(c.length*h.kv*h.dim*2*kv.size)/t/1e9, "GB/s")
					b.ReportMetric(float64(4*seen*width)/t/1e9, "GFLOPS")
					form := linear.ABF16
					if typ == KVF32 {
						form = linear.AF32
					}
					b.ReportMetric(float64(4*seen*width)/t/probe.Peak(probe.Product{Acts: form}, 1)*100, "%peak")
				})
			}
		}
	}
}
