package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

// naiveAttention is float64 attention of query rows over k, v [T][kvHeads*dim].
func naiveAttention(q, k, v []float32, pos []int32, heads, kvHeads, dim, length int, scale float32, mask Mask) []float64 {
	out := make([]float64, len(q))
	for i, p := range pos {
		for h := range heads {
			kvh := h / (heads / kvHeads)
			lo, hi := 0, length
			if mask.Causal {
				hi = int(p) + 1
				if mask.Window > 0 {
					lo = max(0, hi-mask.Window)
				}
			}
			w := make([]float64, hi)
			top, sum := math.Inf(-1), 0.0
			for j := lo; j < hi; j++ {
				for d := range dim {
					w[j] += float64(q[(i*heads+h)*dim+d]) * float64(k[(j*kvHeads+kvh)*dim+d]) * float64(scale)
				}
				top = max(top, w[j])
			}
			for j := lo; j < hi; j++ {
				w[j] = math.Exp(w[j] - top)
				sum += w[j]
			}
			for j := lo; j < hi; j++ {
				for d := range dim {
					out[(i*heads+h)*dim+d] += w[j] / sum * float64(v[(j*kvHeads+kvh)*dim+d])
				}
			}
		}
	}
	return out
}

func TestAttentionNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for _, mask := range []Mask{{}, {Causal: true}, {Causal: true, Window: 40}} {
		for _, typ := range []KVType{KVF32, KVBF16, KVI8} {
			const heads, kvHeads, dim, length = 6, 2, 24, 300
			q, k, v := student(rng, length*heads*dim, 0), student(rng, length*kvHeads*dim, 0), student(rng, length*kvHeads*dim, 0)
			for i := range q {
				q[i] *= 50
			}
			for i := range k {
				k[i] *= 50
				v[i] *= 50
			}
			kv := NewKV(typ, kvHeads, dim, length)
			kv.Append(0, k, v)
			pos := make([]int32, length)
			for i := range pos {
				pos[i] = int32(i)
			}
			scale := float32(1 / math.Sqrt(dim))
			out := make([]float32, len(q))
			var s AttnScratch
			for h := range kvHeads {
				Attention(out, heads*dim, q, heads*dim, pos, kv, h, AttnSpec{heads, scale, mask}, &s)
			}
			want := naiveAttention(q, k, v, pos, heads, kvHeads, dim, length, scale, mask)
			var e2, s2 float64
			for i := range want {
				e2 += (float64(out[i]) - want[i]) * (float64(out[i]) - want[i])
				s2 += want[i] * want[i]
			}
			t.Logf("type %d mask %v: %.1f dB", typ, mask, 10*math.Log10(s2/e2))
		}
	}
}
