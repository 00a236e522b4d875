package attn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/internal/dot"
	"qpt/kernels/internal/ktest"
)

// TestShort: the bits of Put and Attention, for each number of rows, of heads and of queries a head, also where numbers are hard; nothing is read or
// written beside the rows.
func TestShort(t *testing.T) {
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		if active().short == nil {
			if isa >= cpu.AVX512 && dot.HasPairs() {
				t.Errorf("%v: texts of few keys have no kernel", isa)
			}
			t.Skip("no kernel of short texts")
		}
		rng := rand.New(rand.NewPCG(3, 10))
		for _, c := range []struct{ heads, kvHeads, dim int }{{3, 3, 32}, {4, 2, 64}, {5, 1, 96}, {1, 1, 128}, {2, 2, 1024}} {
			for n := 1; n <= shortValues/c.dim; n += 1 + n/35*7 {
				for _, hard := range []string{"", "large", "small", "nan"} {
					q, keepQ := ktest.Fenced(n*c.heads*c.dim, n%5)
					k, keepK := ktest.Fenced(n*c.kvHeads*c.dim, n%3)
					v, keepV := ktest.Fenced(n*c.kvHeads*c.dim, n%7)
					got, keepOut := ktest.Fenced(n*c.heads*c.dim, n%4)
					for _, x := range [][]float32{q, k, v} {
						copy(x, ktest.Mixed(rng, len(x), false))
						for i := range x {
							switch x[i] *= 0.3; {
							case hard == "large":
								x[i] *= 1e18
							case hard == "small" && rng.IntN(3) == 0:
								x[i] *= 1e-19
							case hard == "nan" && rng.IntN(len(x)) < 2:
								x[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}[rng.IntN(3)]
							}
						}
					}
					spec := Spec{Heads: c.heads, Scale: 0.2}
					if !TakesShort(n, c.dim, KVBF16, &spec) {
						t.Fatalf("%d rows of %d are not taken", n, c.dim)
					}
					var s Scratch
					first := rng.IntN(c.kvHeads)
					Short(got, q, k, v, n, c.kvHeads, c.dim, first, c.kvHeads, &spec, &s)
					if first > 0 {
						Short(got, q, k, v, n, c.kvHeads, c.dim, 0, first, &spec, &s)
					}
					if !keepQ() || !keepK() || !keepV() || !keepOut() {
						t.Fatalf("%v, %d rows: wrote beside the rows", c, n)
					}
					kv, pos, want := NewPool(0).NewKV(KVBF16, c.kvHeads, c.dim), make([]int32, n), make([]float32, len(q))
					kv.Append(0, k, v)
					for h := range c.kvHeads {
						Attention(want, c.heads*c.dim, q, c.heads*c.dim, pos, kv, h, spec, &s)
					}
					for i := range want {
						if !ktest.Same(got[i], want[i]) {
							t.Fatalf("%v, %d rows, %s: query %d value %d is %g, want %g", c, n, hard, i/(c.heads*c.dim), i%(c.heads*c.dim), got[i], want[i])
						}
					}
				}
			}
		}
	})
}

// TestTakesShort: what adds to scores or hides any, other storage and other shapes go through the cache.
func TestTakesShort(t *testing.T) {
	plain := Spec{Heads: 2, Scale: 1}
	takes := func(n, dim int, typ KVType, change func(*Spec)) bool {
		s := plain
		change(&s)
		return TakesShort(n, dim, typ, &s)
	}
	none := func(*Spec) {}
	if takes(20, 32, KVBF16, none) != (active().short != nil) {
		t.Error("a plain text is taken or not against the level")
	}
	for name, got := range map[string]bool{
		"129 rows": takes(129, 32, KVBF16, none),
		"dim 40":   takes(20, 40, KVBF16, none),
		"int8":     takes(20, 32, KVI8, none),
		"f32":      takes(20, 32, KVF32, none),
		"causal":   takes(20, 32, KVBF16, func(s *Spec) { s.Mask.Causal = true }),
		"window":   takes(20, 32, KVBF16, func(s *Spec) { s.Mask.Window = 3 }),
		"sinks":    takes(20, 32, KVBF16, func(s *Spec) { s.Sinks = []float32{1, 1} }),
		"softcap":  takes(20, 32, KVBF16, func(s *Spec) { s.Softcap = 2 }),
		"slopes":   takes(20, 32, KVBF16, func(s *Spec) { s.Slopes = []float32{1, 2} }),
		"relative": takes(20, 32, KVBF16, func(s *Spec) { s.Relative = make([]float32, 6) }),
		"bias":     takes(20, 32, KVBF16, func(s *Spec) { s.Bias.Data = make([]float32, 1) }),
		"places":   takes(20, 32, KVBF16, func(s *Spec) { s.Places = new(Positions) }),
	} {
		if got {
			t.Errorf("%s: taken", fmt.Sprint(name))
		}
	}
}
