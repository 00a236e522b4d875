package attn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
)

// attnCase is a cache with length positions and a query at each of them.
type attnCase struct {
	typ                    KVType
	heads, kvHeads, dim, n int
	scale                  float32
	mask                   Mask
	extra                  int
}

// Bits of attnCase.extra.
const (
	withSoftcap = 1 << iota
	withSlopes
	withRelative
	withBias    // for each head and query
	withOneBias // one row for all
	withSinks
)

// spec is for a call whose first query is at position from.
func (c attnCase) spec(from int) Spec {
	rng := rand.New(rand.NewPCG(8, uint64(c.extra)))
	s := Spec{Heads: c.heads, Scale: c.scale, Mask: c.mask}
	if c.extra&withSoftcap != 0 {
		s.Softcap = 2
	}
	if c.extra&withSlopes != 0 {
		s.Slopes = make([]float32, c.heads)
		for h := range s.Slopes {
			s.Slopes[h] = 0.3 / float32(h+1)
		}
	}
	if c.extra&withRelative != 0 {
		s.Relative = ktest.Mixed(rng, c.heads*(2*17-1), false)
	}
	bias := func(n int) (x []float32) {
		x = ktest.Mixed(rng, n, false)
		for i := range x { // c.n is a multiple of 3 with a bias: no row is hidden
			if x[i] *= 0.2; i%3 == 1 {
				x[i] = float32(math.Inf(-1))
			}
		}
		return x
	}
	switch {
	case c.extra&withBias != 0:
		s.Bias = Bias{Data: bias(c.heads * c.n * c.n)[from*c.n:], Head: c.n * c.n, Query: c.n, Key: 1}
	case c.extra&withOneBias != 0:
		s.Bias = Bias{Data: bias(c.n), Key: 1}
	}
	if c.extra&withSinks != 0 {
		s.Sinks = ktest.Mixed(rng, c.heads, false)
	}
	return s
}

func (c attnCase) String() string {
	return fmt.Sprintf("cache %d heads %d/%d dim %d length %d mask %v extra %b", c.typ, c.heads, c.kvHeads, c.dim, c.n, c.mask, c.extra)
}

func (c attnCase) input(rng *rand.Rand) (q, k, v []float32, pos []int32) {
	pos = make([]int32, c.n)
	for i := range pos {
		pos[i] = int32(i)
	}
	q, k, v = ktest.Mixed(rng, c.n*c.heads*c.dim, false), ktest.Mixed(rng, c.n*c.kvHeads*c.dim, false), ktest.Mixed(rng, c.n*c.kvHeads*c.dim, false)
	for i := range k {
		k[i] *= 0.1
	}
	for i := range q {
		q[i] *= 0.2
	}
	return q, k, v, pos
}

// run attends the queries to kv.
func (c attnCase) run(q []float32, pos []int32, kv *KV) []float32 {
	out, spec := make([]float32, len(q)), c.spec(int(pos[0]))
	var s Scratch
	for h := range c.kvHeads {
		Attention(out, c.heads*c.dim, q, c.heads*c.dim, pos, kv, h, spec, &s)
	}
	return out
}

var attnCases = func() (cases []attnCase) {
	for _, typ := range []KVType{KVF32, KVBF16, KVI8} {
		for _, mask := range []Mask{{}, {Causal: true}, {Causal: true, Window: 33}} {
			cases = append(cases,
				attnCase{typ, 4, 4, 8, 70, 0.35, mask, 0},
				attnCase{typ, 6, 2, 24, 100, 0.2, mask, 0},
				attnCase{typ, 15, 1, 64, 67, 0.125, mask, 0})
		}
		cases = append(cases, attnCase{typ, 80, 1, 32, 34, 0.2, Mask{Causal: true}, 0}, attnCase{typ, 1, 1, 128, 290, 0.1, Mask{Causal: true}, 0},
			attnCase{typ, 4, 2, 24, 100, 0.2, Mask{Window: 21}, 0})
		for i, extra := range []int{withSoftcap, withSlopes, withRelative, withBias, withOneBias, withSinks, withSoftcap | withSlopes | withRelative | withBias | withSinks} {
			mask := []Mask{{}, {Causal: true}, {Causal: true, Window: 20}, {Window: 33}}[(i+int(typ))%4]
			cases = append(cases, attnCase{typ, 6, 2, 40, 102, 0.2, mask, extra})
		}
	}
	return cases
}()

// TestAttention holds results within a bound of float64 attention. With u
// = 2^-24 and h the half unit of the stored numbers (2^-9 for bf16, 0 for
// float32; int8 adds absmax/254 to keys and values), a score is off by
//
//	E = scale * (sum|q||k| * (2h+h^2+(dim+6)u) + absmax(k)/254*(1+2h)*sum|q|)
//
// at most, a normalized weight by the factor (1+R)^2*exp(2E), R = h + 2^-21 +
// (n+10)u for the rounding of p, 2^x and the sums; then values are off by h and absmax(v)/254.
func TestAttention(t *testing.T) {
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(3, 1))
		worst := 0.0
		for _, c := range attnCases {
			q, k, v, pos := c.input(rng)
			kv := NewPool(0).NewKV(c.typ, c.kvHeads, c.dim)
			kv.Append(0, k, v)
			out := c.run(q, pos, kv)
			for i := c.n - 1; i >= 0; i -= 11 {
				for h := 0; h < c.heads; h += 3 {
					r := c.check(t, out[(i*c.heads+h)*c.dim:][:c.dim], q[(i*c.heads+h)*c.dim:][:c.dim], k, v, i, h)
					worst = max(worst, r)
				}
			}
		}
		t.Logf("worst error is %.3g of its bound", worst)
	})
}

func absOf(x []float32) (top, sum float64) {
	for _, v := range x {
		top, sum = max(top, math.Abs(float64(v))), sum+math.Abs(float64(v))
	}
	return top, sum
}

func (c attnCase) check(t *testing.T, out, q, k, v []float32, i, head int) (worst float64) {
	const u = 1.0 / (1 << 24)
	h, step := 0.0, 0.0
	if c.typ != KVF32 {
		h = 1.0 / (1 << 9)
	}
	if c.typ == KVI8 {
		step = 1.01 / 254
	}
	lo, hi := 0, c.n
	if c.mask.Causal {
		hi = i + 1
	}
	if c.mask.Window > 0 {
		lo, hi = max(0, i+1-c.mask.Window), min(hi, i+c.mask.Window)
	}
	spec := c.spec(0)
	row := func(x []float32, j int) []float32 {
		return x[(j*c.kvHeads+head/(c.heads/c.kvHeads))*c.dim:][:c.dim]
	}
	_, qsum := absOf(q)
	w, vmax, e, top, sum := make([]float64, hi), make([]float64, hi), 0.0, math.Inf(-1), 0.0
	for j := lo; j < hi; j++ {
		abs := 0.0
		for d, x := range row(k, j) {
			p := float64(q[d]) * float64(c.scale) * float64(x)
			w[j], abs = w[j]+p, abs+math.Abs(p)
		}
		kmax, _ := absOf(row(k, j))
		vmax[j], _ = absOf(row(v, j))
		change := 0.0 // how large the numbers are that are added
		if cap := float64(spec.Softcap); cap > 0 {
			w[j], change = cap*math.Tanh(w[j]/cap), cap
		}
		add := func(b float64) { w[j], change = w[j]+b, change+math.Abs(b)+math.Abs(w[j]) }
		if spec.Slopes != nil {
			add(-float64(spec.Slopes[head]) * float64(max(j-i, i-j)))
		}
		if spec.Relative != nil {
			add(float64(spec.Relative[head*33+min(max(j-i, -16), 16)+16]))
		}
		if b := spec.Bias; b.Data != nil {
			if v := float64(b.Data[head*b.Head+i*b.Query+j*b.Key]); math.IsInf(v, 0) {
				w[j] = v
			} else {
				add(v)
			}
		}
		e = max(e, 16*u*change+abs*(2*h+h*h+float64(c.dim+6)*u)+float64(c.scale)*kmax*step*(1+2*h)*qsum)
		top = max(top, w[j])
	}
	if spec.Sinks != nil {
		top = max(top, float64(spec.Sinks[head]))
		sum = math.Exp(float64(spec.Sinks[head]) - top)
	}
	for j := lo; j < hi; j++ {
		w[j] = math.Exp(w[j] - top)
		sum += w[j]
	}
	r := h + math.Exp2(-21) + float64(hi+10)*u
	rel := (1+r)*(1+r)*math.Exp(2*e) - 1
	for d := range c.dim {
		want, abs, off := 0.0, 0.0, 0.0
		for j := lo; j < hi; j++ {
			x := float64(row(v, j)[d])
			want, abs, off = want+w[j]/sum*x, abs+w[j]/sum*math.Abs(x), off+w[j]/sum*vmax[j]*step
		}
		tol := abs*rel + (abs*h+off)*(1+rel) + abs*float64(hi+10)*u
		if err := math.Abs(float64(out[d]) - want); !(err <= tol) {
			t.Fatalf("%v: query %d head %d column %d: %g, want %g within %.3g", c, i, head, d, out[d], want, tol)
		} else {
			worst = max(worst, err/tol)
		}
	}
	return worst
}

// TestAttentionBits: the bits of a result do not depend on the other queries
// of the call nor on later ones having been appended (causal), and all levels agree
// but for float32 products, which the twin rounds.
func TestAttentionBits(t *testing.T) {
	first := map[string][]float32{}
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(3, 2))
		for _, c := range attnCases {
			q, k, v, pos := c.input(rng)
			kv := NewPool(0).NewKV(c.typ, c.kvHeads, c.dim)
			kv.Append(0, k, v)
			out := c.run(q, pos, kv)
			width, kw := c.heads*c.dim, c.kvHeads*c.dim
			one := NewPool(0).NewKV(c.typ, c.kvHeads, c.dim)
			if !c.mask.Causal {
				one = kv
			}
			for i := range pos {
				if c.mask.Causal {
					one.Append(i, k[i*kw:(i+1)*kw], v[i*kw:(i+1)*kw])
				}
				if got := c.run(q[i*width:(i+1)*width], pos[i:i+1], one); !slices.Equal(got, out[i*width:(i+1)*width]) {
					t.Fatalf("%v: query %d alone gives other bits", c, i)
				}
			}
			key := c.String()
			if c.typ == KVF32 && isa >= cpu.AVX2 {
				key += " fma"
			}
			if first[key] == nil {
				first[key] = out
			} else if !slices.Equal(first[key], out) {
				t.Errorf("%v: other bits than a lower level", c)
			}
			if key != c.String() && slices.Equal(first[c.String()], out) {
				t.Errorf("%v: the twin ran in place of FMA", c)
			}
		}
	})
}

// TestAttentionISA: AMX and AVX-512 agree also where products and sums are
// flushed, overflow, or are NaN.
func TestAttentionISA(t *testing.T) {
	if !cpu.Has(cpu.AMX) {
		t.Skip("no AMX on this machine")
	}
	rng := rand.New(rand.NewPCG(3, 5))
	for _, exp := range [][2]int{{0, 255}, {0, 70}, {1, 254}, {120, 134}} {
		for _, c := range []attnCase{{KVBF16, 8, 2, 40, 70, 0.5, Mask{Causal: true}, 0}, {KVI8, 1, 1, 128, 33, 0.5, Mask{}, 0}, {KVBF16, 20, 1, 64, 300, 1, Mask{Causal: true, Window: 100}, 0}} {
			q, k, v, pos := c.input(rng)
			for _, x := range [][]float32{q, k, v} {
				for i := range x {
					if e := exp[0] + rng.IntN(exp[1]-exp[0]+1); e != 127 {
						x[i] = math.Float32frombits(rng.Uint32()&0x807f0000 | uint32(e)<<23)
					}
				}
			}
			kv := NewPool(0).NewKV(c.typ, c.kvHeads, c.dim)
			kv.Append(0, k, v)
			var out [2][]float32
			for i, isa := range []cpu.ISA{cpu.AVX512, cpu.AMX} {
				restore := cpu.SetMax(isa)
				out[i] = make([]float32, len(q))
				var s Scratch
				for h := range c.kvHeads {
					Attention(out[i], c.heads*c.dim, q, c.heads*c.dim, pos, kv, h, c.spec(0), &s)
				}
				if (s.args.tiles != nil) != (isa == cpu.AMX) {
					t.Errorf("%v: tiles taken or not against the level %v", c, isa)
				}
				restore()
			}
			if !slices.EqualFunc(out[0], out[1], ktest.Same) {
				t.Errorf("exponents %v, %v: AMX gives other bits than AVX-512", exp, c)
			}
		}
	}
}

// pageBytes is what the pages of a cache hold.
func pageBytes(kv *KV) (b [][]byte) {
	for _, pg := range kv.pages {
		b = append(b, pg.data)
	}
	return b
}

// TestKVPut: all levels store the bytes of the twin, whatever the order of the rows.
func TestKVPut(t *testing.T) {
	first := map[string][][]byte{}
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(3, 6))
		for _, c := range attnCases {
			kw := c.kvHeads * c.dim
			k, v := ktest.Mixed(rng, c.n*kw, c.typ != KVI8), ktest.Mixed(rng, c.n*kw, false)
			kv := NewPool(0).NewKV(c.typ, c.kvHeads, c.dim)
			kv.Append(0, k[:5*kw], v[:5*kw])
			kv.Grow(5, c.n-5)
			for i := c.n; i > 5; i -= 3 {
				j := max(i-3, 5)
				kv.Put(j, k[j*kw:i*kw], v[j*kw:i*kw])
			}
			if key := c.String(); first[key] == nil {
				first[key] = pageBytes(kv)
			} else if !slices.EqualFunc(first[key], pageBytes(kv), slices.Equal) {
				t.Errorf("%v: other bytes than the twin's", c)
			}
		}
	})
}

// TestKVTruncate: after going back nothing is left of what was there, not even NaN.
func TestKVTruncate(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, c := range attnCases {
		if !c.mask.Causal {
			continue
		}
		q, k, v, pos := c.input(rng)
		kw := c.kvHeads * c.dim
		kv := NewPool(0).NewKV(c.typ, c.kvHeads, c.dim)
		kv.Append(0, k, v)
		want := c.run(q, pos, kv)
		bad := slices.Repeat([]float32{float32(math.NaN())}, kw)
		for _, n := range []int{c.n - 1, 33, 32, 31, 0} {
			kv.Append(n, bad, bad)
			kv.Truncate(n)
			if kv.Len() != n {
				t.Fatalf("length %d after Truncate(%d)", kv.Len(), n)
			}
			for i := n; i < c.n; i += 2 { // two rows at a time, then one
				kv.Append(i, k[i*kw:min(i+2, c.n)*kw], v[i*kw:min(i+2, c.n)*kw])
				if i == n && !slices.Equal(c.run(q[i*c.heads*c.dim:][:c.heads*c.dim], pos[i:i+1], kv), want[i*c.heads*c.dim:][:c.heads*c.dim]) {
					t.Fatalf("%v: other bits after Truncate(%d)", c, n)
				}
			}
		}
		if !slices.Equal(c.run(q, pos, kv), want) {
			t.Errorf("%v: other bits after truncations", c)
		}
	}
}

// TestAttentionNaN: NaN in a query or key reaches the queries that see it, and no others.
func TestAttentionNaN(t *testing.T) {
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, typ := range []KVType{KVF32, KVBF16, KVI8} {
			c := attnCase{typ, 4, 2, 16, 80, 0.25, Mask{Causal: true, Window: 20}, 0}
			q, k, v, pos := c.input(rng)
			q[3*c.heads*c.dim+1] = float32(math.NaN())
			k[40*c.kvHeads*c.dim+1] = float32(math.NaN())
			kv := NewPool(0).NewKV(c.typ, c.kvHeads, c.dim)
			kv.Append(0, k, v)
			out := c.run(q, pos, kv)
			for i := range pos {
				for h := range c.heads {
					want := i == 3 && h == 0 || i >= 40 && i < 60 && h < 2
					if got := out[(i*c.heads+h)*c.dim]; (got != got) != want {
						t.Errorf("cache %d query %d head %d: %g", typ, i, h, got)
					}
				}
			}
		}
	})
}

// TestFlushDenormals: BF16 sums below 2^-126 count as zero, and float arithmetic is as before
// after the call. The twin does not flush, so this also shows that it was not taken.
func TestFlushDenormals(t *testing.T) {
	if !cpu.Has(cpu.AVX512) {
		t.Skip("the twin does not flush")
	}
	in := make([]float32, 32)
	in[4] = math.Float32frombits(0x0f000000) // the product is near 2^-192
	in[5] = math.Float32frombits(0x00400000) // denormal
	kv := NewPool(0).NewKV(KVBF16, 1, 32)
	kv.Append(0, in, in)
	out := make([]float32, 32)
	Attention(out, 32, in, 32, []int32{0}, kv, 0, Spec{Heads: 1, Scale: 1}, new(Scratch))
	if out[5] != 0 || out[4] != in[4] {
		t.Errorf("attention to itself gives %g, %g, want %g, 0", out[4], out[5], in[4])
	}
	if d := in[5] * 0.5; d == 0 {
		t.Error("denormals are still flushed after the call")
	}
}

func TestAllocs(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 11))
	for _, typ := range []KVType{KVF32, KVBF16, KVI8} {
		kv := NewPool(0).NewKV(typ, 2, 24)
		k, q, out := ktest.Mixed(rng, 48, false), ktest.Mixed(rng, 96, false), make([]float32, 96)
		var s Scratch
		kv.Append(0, k, k)
		pos := []int32{0}
		if n := testing.AllocsPerRun(100, func() {
			pos[0]++
			kv.Append(int(pos[0]), k, k)
			for h := range 2 {
				Attention(out, 96, q, 96, pos, kv, h, Spec{Heads: 4, Scale: 1, Mask: Mask{Causal: true}}, &s)
			}
		}); n != 0 {
			t.Errorf("cache type %d: %g allocations a token", typ, n)
		}
	}
}

// TestCross: queries need be none of the keys, and their positions say nothing without a mask.
func TestCross(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 8))
	kv := NewPool(0).NewKV(KVF32, 2, 8)
	if err := kv.Append(0, ktest.Mixed(rng, 5*16, false), ktest.Mixed(rng, 5*16, false)); err != nil {
		t.Fatal(err)
	}
	const nq = 9
	q := ktest.Mixed(rng, nq*32, false)
	run := func(pos []int32, spec Spec) []float32 {
		out := make([]float32, nq*32)
		for h := range 2 {
			Attention(out, 32, q, 32, pos, kv, h, spec, new(Scratch))
		}
		return out
	}
	spec := Spec{Heads: 4, Scale: 0.3}
	want := run(make([]int32, nq), spec)
	if got := run([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8}, spec); !slices.Equal(got, want) {
		t.Error("positions change what queries see without a mask")
	}
	spec.Bias = Bias{Data: make([]float32, 4*nq*5), Head: nq * 5, Query: 5, Key: 1}
	if got := run(make([]int32, nq), spec); !slices.Equal(got, want) {
		t.Error("a bias of zeros changes bits")
	}
	for name, bad := range map[string]Spec{
		"causal":   {Heads: 4, Scale: 1, Mask: Mask{Causal: true}},
		"bias":     {Heads: 4, Scale: 1, Bias: Bias{Data: make([]float32, 4*nq*5-1), Head: nq * 5, Query: 5, Key: 1}},
		"slopes":   {Heads: 4, Scale: 1, Slopes: make([]float32, 3)},
		"relative": {Heads: 4, Scale: 1, Relative: make([]float32, 8)},
		"sinks":    {Heads: 4, Scale: 1, Sinks: make([]float32, 5)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			run([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8}, bad)
		}()
	}
}
