package attn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/ktest"
)

// n63 is numerics N6.3 as its text goes, for one query row and head: no pages, layouts, tiles or assembly.
// fused tells whether N6.1 has a fused multiply-add. k and v are [positions][dim], the head's.
func n63(typ KVType, fused bool, x []float32, k, v [][]float32, p, head int, spec Spec, biasRow int) []float32 {
	const log2e = float32(1.44269504)
	dim := len(x)
	d32 := num.Pad(dim, 32)
	bf := func(x float32) float32 { return num.FromBF16(num.BF16(x)) }
	padded := func(x []float32) []float32 { return append(slices.Clone(x), make([]float32, d32-dim)...) }
	stored := func(x []float32) []float32 {
		x = padded(x)
		switch typ {
		case KVBF16:
			for i := range x {
				x[i] = bf(x[i])
			}
		case KVI8:
			top := float32(0)
			for _, v := range x {
				top = max(top, float32(math.Abs(float64(v))))
			}
			scale, inv := top/127, 127/top
			for i, v := range x {
				x[i] = bf(float32(math.RoundToEven(float64(v*inv))) * scale)
			}
		}
		return x
	}
	// product goes on from acc with sum of a[i]*b[i].
	product := func(acc float32, a, b []float32) float32 {
		if typ == KVF32 {
			for i := range a {
				if fused {
					acc = num.FMA32(a[i], b[i], acc)
				} else {
					acc += float32(a[i] * b[i])
				}
			}
			return acc
		}
		for i := 0; i < len(a); i += 32 {
			var e, o float32
			for j := i; j < i+32; j += 2 {
				e += float32(a[j] * b[j])
				o += float32(a[j+1] * b[j+1])
			}
			acc += e + o
		}
		return acc
	}
	sees := func(j int) bool {
		d := p - j
		if j >= len(k) || spec.Mask.Causal && d < 0 {
			return false
		}
		return spec.Mask.Window == 0 || max(d, -d) < spec.Mask.Window
	}
	exp2 := func(x float32) float32 {
		if x < -126 {
			return 0
		}
		n := float32(math.RoundToEven(float64(x)))
		r := x - n
		y := float32(0.0013381302123889327)
		for _, c := range []float32{0.00966636836528778, 0.055503811687231064, 0.2402234971523285, 0.6931471824645996, 1} {
			y = num.FMA32(y, r, c)
		}
		return y * float32(math.Exp2(float64(n)))
	}
	q, scale := padded(x), spec.Scale*log2e
	for i := range q {
		if q[i] *= scale; typ != KVF32 {
			q[i] = bf(q[i])
		}
	}
	m, l, o := float32(math.Inf(-1)), [16]float32{}, make([]float32, d32)
	if spec.Sinks != nil {
		m, l[0] = spec.Sinks[head]*log2e, 1
	}
	for first := 0; first < len(k); first += 32 {
		seen := false
		var s [32]float32
		var values [32][]float32
		for j := range s {
			at := first + j
			values[j] = make([]float32, d32)
			if at < len(k) {
				values[j] = stored(v[at])
			}
			if !sees(at) {
				s[j] = float32(math.Inf(-1))
				continue
			}
			seen = true
			s[j] = product(0, q, stored(k[at]))
			if spec.Softcap > 0 {
				c := spec.Softcap * log2e
				t := []float32{s[j] * (1 / c)}
				tanh, _ := elem.Unary("tanh")
				tanh(t, t)
				s[j] = c * t[0]
			}
			if spec.Slopes != nil {
				s[j] -= float32(float32(spec.Slopes[head]*log2e) * float32(max(at-p, p-at)))
			}
			if spec.Relative != nil {
				n := len(spec.Relative) / spec.Heads
				s[j] += float32(spec.Relative[head*n+min(max(at-p, -n/2), n/2)+n/2] * log2e)
			}
			if b := spec.Bias; b.Data != nil {
				s[j] += float32(b.Data[head*b.Head+biasRow*b.Query+at*b.Key] * log2e)
			}
			if s[j] < -math.MaxFloat32 {
				s[j] = -math.MaxFloat32
			}
		}
		if !seen {
			continue
		}
		top := max(m, slices.Max(s[:]))
		for j := range s {
			if s[j] = exp2(s[j] - top); typ != KVF32 {
				s[j] = bf(s[j])
			}
		}
		a := exp2(m - top)
		for i := range l {
			l[i] = float32(l[i]*a) + (s[2*i] + s[2*i+1])
		}
		for d := range o {
			column := make([]float32, 32)
			for j := range column {
				column[j] = values[j][d]
			}
			o[d] = product(o[d]*a, s[:], column)
		}
		m = top
	}
	for n := 8; n > 0; n /= 2 {
		for i := range n {
			l[i] += l[i+n]
		}
	}
	for d := range o {
		o[d] *= 1 / l[0]
	}
	return o[:dim]
}

// TestNumericsN63 holds Attention to the document, bit for bit.
func TestNumericsN63(t *testing.T) {
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(3, 9))
		for _, c := range attnCases {
			q, k, v, pos := c.input(rng)
			kv := NewPool(0).NewKV(c.typ, c.kvHeads, c.dim)
			if err := kv.Append(0, k, v); err != nil {
				t.Fatal(err)
			}
			out, spec := c.run(q, pos, kv), c.spec(0)
			head := func(x []float32, heads, i, h int) []float32 { return x[(i*heads+h)*c.dim:][:c.dim] }
			for i := 0; i < c.n; i += 1 + c.n/9 {
				h := rng.IntN(c.heads)
				ks, vs := make([][]float32, c.n), make([][]float32, c.n)
				for j := range ks {
					g := h / (c.heads / c.kvHeads)
					ks[j], vs[j] = head(k, c.kvHeads, j, g), head(v, c.kvHeads, j, g)
				}
				want := n63(c.typ, isa >= cpu.AVX2, head(q, c.heads, i, h), ks, vs, i, h, spec, i)
				if got := head(out, c.heads, i, h); !slices.Equal(got, want) {
					t.Fatalf("%v: query %d head %d: %v, numerics N6.3 gives %v", c, i, h, got, want)
				}
			}
		}
	})
}
