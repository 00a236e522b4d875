package linear

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/elem"
	"qpt/kernels/internal/ktest"
)

// sinkCase is a layer, a gate beside it, and rows.
type sinkCase struct {
	name    string
	w, gate *Weight
	x       *Acts
}

// sinkCases are all formats and forms with m rows, n columns and sums of k.
func sinkCases(rng *rand.Rand, m, n, k int) (cs []sinkCase) {
	for _, f := range []Format{I8, I6, I4, I4F} {
		for _, form := range []ActForm{A8, A16} {
			layer := func(f Format, bias bool) *Weight { return randomWeight(rng, f, n, k, 32, false, bias) }
			gate := f
			if f != I4F && rng.IntN(3) == 0 { // mixed precision
				gate = []Format{I8, I6, I4}[rng.IntN(3)]
			}
			cs = append(cs, sinkCase{fmt.Sprintf("%s/%s gate %s", f, form, gate), layer(f, rng.IntN(2) == 0), layer(gate, rng.IntN(2) == 0), randomActs(rng, form, m, k, m > 3)})
		}
	}
	for _, f := range []Format{F32, BF16} {
		w, x, _, _ := floatLayer(rng, f, m, n, k)
		gate, _, _, _ := floatLayer(rng, f, m, n, k)
		cs = append(cs, sinkCase{f.String(), w, gate, x})
	}
	return cs
}

// apart computes what a sink is to give, one step after the other.
func apart(to Sink, c sinkCase, add []float32, acts *Acts) (y []float32) {
	m, n := c.x.M, c.w.N
	var s Scratch
	y = make([]float32, m*n)
	Linear(Sink{Y: y, Ld: n}, c.x, c.w, 0, c.w.Blocks(), &s)
	if to.Add != nil {
		elem.Add(y, add, y)
	}
	switch {
	case to.Gate != nil:
		g := make([]float32, m*n)
		Linear(Sink{Y: g, Ld: n}, c.x, c.gate, 0, c.w.Blocks(), &s)
		if to.Func != nil {
			to.Func(g, g)
		}
		elem.Mul(y, g, y)
	case to.Func != nil:
		to.Func(y, y)
	}
	switch {
	case acts == nil:
	case acts.Form == A8:
		acts.QuantizeStatic(0, m, y, n, to.Scale, to.Zero)
	default:
		acts.Quantize(0, m, y, n)
	}
	return y
}

// TestSink: every sink gives the bits of the steps one after the other, on every level, for every format,
// cut into calls anywhere.
func TestSink(t *testing.T) {
	for isa := cpu.Generic; isa <= cpu.AMX; isa++ {
		if !cpu.Has(isa) {
			t.Logf("%v: not on this machine", isa)
			continue
		}
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.SetMax(isa)()
			rng := rand.New(rand.NewPCG(9, uint64(isa)))
			for _, size := range [][3]int{{1, 15, 64}, {1, 150, 100}, {2, 64, 96}, {7, 33, 70}, {40, 130, 64}, {300, 40, 1500}} {
				if isa == cpu.Generic && size[2] > 1000 {
					continue
				}
				for _, c := range sinkCases(rng, size[0], size[1], size[2]) {
					testSinks(t, rng, c)
				}
			}
		})
	}
}

// testSinks tries sinks drawn at random on a case.
func testSinks(t *testing.T, rng *rand.Rand, c sinkCase) {
	m, n := c.x.M, c.w.N
	var s Scratch
	for range 6 {
		to, what := Sink{Ld: n + rng.IntN(3)}, c.name
		if name := []string{"", "silu", "gelu", "relu"}[rng.IntN(4)]; name != "" {
			to.Func, _ = elem.Unary(name)
			what += " " + name
		}
		out := newGuarded(m, n, to.Ld-n)
		add := make([]float32, m*n)
		switch rng.IntN(4) {
		case 0:
			to.Gate = c.gate
			what += " gate"
		case 1: // in place
			to.Add = out.y()
			what += " add"
		case 2:
			other := newGuarded(m, n, to.Ld-n)
			to.Add = other.y()
			what += " add other"
		}
		for r := range m {
			if to.Add != nil {
				copy(add[r*n:][:n], to.Add[r*to.Ld:][:n])
			}
		}
		var want *Acts
		if form := []ActForm{0, AF32, ABF16, A8}[rng.IntN(4)]; form != 0 {
			to.Acts, want = NewActs(form, m+2, n).Reset(m), NewActs(form, m+2, n).Reset(m)
			if form == A8 {
				to.Scale, to.Zero = 0.02, int32(rng.IntN(256))
				to.Acts.SetStatic(to.Scale, to.Zero)
			}
			what += " to " + form.String()
		}
		if to.Acts == nil || rng.IntN(2) == 0 {
			to.Y = out.y()
		}
		y := apart(to, c, add, want)
		cut := rng.IntN(c.w.Blocks() + 1)
		Linear(to, c.x, c.w, cut, c.w.Blocks(), &s)
		Linear(to, c.x, c.w, 0, cut, &s)
		if to.Y != nil {
			ref := newGuarded(m, n, to.Ld-n)
			for r := range m {
				copy(ref.y()[r*ref.ldy:][:n], y[r*n:])
			}
			if err := out.diff(ref); err != nil {
				t.Fatalf("%s M=%d N=%d K=%d: %v", what, m, n, c.w.K, err)
			}
		}
		if a := to.Acts; a != nil && (!slices.Equal(a.Hi, want.Hi) || !slices.Equal(a.BF16, want.BF16) || !slices.EqualFunc(a.F32, want.F32, ktest.Same) ||
			!slices.EqualFunc(a.Scale, want.Scale, ktest.Same) || !slices.Equal(a.Zero, want.Zero)) {
			t.Fatalf("%s M=%d N=%d K=%d: other rows", what, m, n, c.w.K)
		}
	}
}

// TestSinkNaN: a row with a value that is not finite has scale NaN, whichever part of it that is in (numerics N3.4).
func TestSinkNaN(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	c := sinkCases(rng, 3, 100, 64)[0]
	c.w.Bias = make([]float32, 112)
	c.w.Bias[99] = float32(math.Inf(1))
	a := NewActs(A8, 3, 100).Reset(3)
	a.SetStatic(0.1, 128)
	for b := range c.w.Blocks() {
		Linear(Sink{Acts: a, Scale: 0.1, Zero: 128}, c.x, c.w, b, b+1, new(Scratch))
	}
	for m, s := range a.Scale {
		if s == s {
			t.Errorf("row %d has scale %g", m, s)
		}
	}
}

func TestSinkChecks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 10))
	c := sinkCases(rng, 3, 100, 64)[0]
	y, narrow := make([]float32, 300), randomWeight(rng, I8, 99, 64, 32, false, false)
	for want, to := range map[string]Sink{
		"output of length 299":           {Y: y[:299], Ld: 100},
		"stride 99":                      {Y: y, Ld: 99},
		"output of length 0":             {},
		"what is added of length 200":    {Y: y, Ld: 100, Add: y[:200]},
		"a gate [99, 64]":                {Y: y, Ld: 100, Gate: narrow},
		"a gate and a sum":               {Y: y, Ld: 100, Gate: c.gate, Add: y},
		"rows [3, 99]":                   {Acts: NewActs(AF32, 3, 99).Reset(3)},
		"rows [2, 100]":                  {Acts: NewActs(AF32, 3, 100).Reset(2)},
		"rows of form a16 have a scale":  {Acts: NewActs(A16, 3, 100).Reset(3)},
		"rows of form a8 have a scale":   {Acts: NewActs(A8, 3, 100).Reset(3)},
		"inputs have K = 64, weights 65": {Y: y, Ld: 100},
	} {
		w := c.w
		if strings.Contains(want, "65") {
			w = randomWeight(rng, I8, 100, 65, 32, false, false)
		}
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic %q, want %q", got, want)
				}
			}()
			Linear(to, c.x, w, 0, w.Blocks(), new(Scratch))
		}()
		if slices.ContainsFunc(y, func(v float32) bool { return v != 0 }) {
			t.Fatalf("%s: written before the panic", want)
		}
	}
}

// TestSinkAllocs: once the scratch has grown a sink allocates nothing.
func TestSinkAllocs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 11))
	silu, _ := elem.Unary("silu")
	for _, m := range []int{1, 9} {
		for _, c := range sinkCases(rng, m, 100, 64) {
			var s Scratch
			y, a := make([]float32, 100*m), NewActs(A8, m, 100).Reset(m)
			a.SetStatic(0.1, 128)
			to := Sink{Y: y, Ld: 100, Func: silu, Gate: c.gate, Acts: a, Scale: 0.1, Zero: 128}
			if n := testing.AllocsPerRun(5, func() { Linear(to, c.x, c.w, 0, c.w.Blocks(), &s) }); n != 0 {
				t.Errorf("%s M=%d: %v allocations", c.name, m, n)
			}
		}
	}
}
