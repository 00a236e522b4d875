package linear

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
)

var integerFormats = []struct {
	f     Format
	group int
}{{I8, 0}, {I4, 16}, {I4, 32}, {I4, 64}, {I4, 128}, {I6, 16}, {I6, 32}, {I6, 128}, {I4F, 16}, {I4F, 128}}

// randomWeight fills a weight with codes and parameters over their whole
// ranges; extreme takes the ends of the ranges only.
func randomWeight(rng *rand.Rand, f Format, n, k, group int, extreme, bias bool) *Weight {
	w := unalign(NewWeight(f, n, k, group))
	for i := range w.Groups {
		code, top := f.Levels()
		zero, gscale := rng.IntN(code+1), rng.IntN(top)
		if extreme {
			zero, gscale = code*rng.IntN(2), (top-1)*rng.IntN(2)
		}
		if f == I4F {
			gscale = 0
		}
		w.Groups[i] = byte(zero | gscale<<f.Bits())
	}
	codes := make([]int8, k)
	most, _ := f.Levels()
	for r := range n {
		for i := range codes {
			switch {
			case f == I8 && extreme:
				codes[i] = int8(rng.IntN(2)*255 - 128)
			case f == I8:
				codes[i] = int8(rng.IntN(256))
			case extreme:
				codes[i] = int8(rng.IntN(2) * most)
			default:
				codes[i] = int8(rng.IntN(most + 1))
			}
			if f.Grouped() && f != I4F { // numerics N4.2: every w8 is an int8
				z, g := f.Split(w.Groups[(r/16*w.GroupCount()+i/group)*16+r%16])
				zero, gscale := int(z), int(g)
				codes[i] = int8(min(max(int(codes[i]), zero-128/gscale), zero+127/gscale))
			}
		}
		PutRow(w, r, codes)
	}
	fill := func(x []float32) {
		for i := range x {
			x[i] = float32(rng.NormFloat64() * 0.01)
		}
	}
	fill(w.Scale)
	fill(w.GroupScale)
	if bias {
		w.Bias = make([]float32, num.Pad(n, 16))
		fill(w.Bias)
	}
	if f != I4F {
		FillSums(w)
	}
	return w
}

// unalign moves the byte slices to odd addresses.
func unalign(w *Weight) *Weight {
	w.Data = append(make([]byte, 1, 1+len(w.Data)), w.Data...)[1:]
	w.Groups = append(make([]byte, 3, 3+len(w.Groups)), w.Groups...)[3:]
	return w
}

// randomActs makes m rows; beyond K the planes hold noise, which must not matter.
func randomActs(rng *rand.Rand, form ActForm, m, k int, extreme bool) *Acts {
	x := &Acts{Form: form, M: m, K: k, Stride: num.Pad(k, 64) + 64*rng.IntN(2)}
	plane := func() []byte {
		b := make([]byte, 1+max(m-1, 0)*x.Stride+num.Pad(k, 64))[1:]
		for i := range b {
			b[i] = byte(rng.Uint32())
			if extreme {
				b[i] = byte(rng.IntN(2) * 255)
			}
		}
		return b
	}
	x.Hi = plane()
	if form == A16 {
		x.Lo = plane()
	}
	for range m {
		x.Scale = append(x.Scale, float32(math.Exp(rng.NormFloat64())))
		zero := int32(rng.IntN(256))
		if extreme {
			zero = 255 * int32(rng.IntN(2))
		}
		x.Zero = append(x.Zero, zero)
	}
	if extreme && m > 1 {
		x.Scale[m-1] = float32(math.NaN()) // a row that was not finite
		x.Scale[m-2] = 0
	}
	return x
}

// guarded is an output with a pattern round it and in the gaps between rows.
type guarded struct {
	all    []float32
	m, n   int
	ldy    int
	before int
}

const pattern = -12345.5

func newGuarded(m, n, gap int) *guarded {
	g := &guarded{m: m, n: n, ldy: n + gap, before: 17}
	g.all = make([]float32, g.before+m*g.ldy+17)
	for i := range g.all {
		g.all[i] = pattern
	}
	for r := range m {
		for c := range n {
			g.y()[r*g.ldy+c] = float32(r*31+c) * 0.5
		}
	}
	return g
}

// y ends with the last row's last column.
func (g *guarded) y() []float32 {
	return g.all[g.before : g.before+max((g.m-1)*g.ldy+g.n, 0)]
}

// diff compares bit for bit, guards included; all NaNs are one.
func (g *guarded) diff(o *guarded) error {
	for i, a := range g.all {
		b := o.all[i]
		if math.Float32bits(a) != math.Float32bits(b) && (a == a || b == b) {
			i -= g.before
			return fmt.Errorf("y[%d] (row %d, column %d of [%d, %d]): got %v, want %v", i, i/g.ldy, i%g.ldy, g.m, g.n, a, b)
		}
	}
	return nil
}

// TestGenericLinear proves the twin against sums in float64 over the real
// numbers that codes stand for, and that it leaves other columns alone.
func TestGenericLinear(t *testing.T) {
	defer cpu.SetMax(cpu.Generic)()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range integerFormats {
		for _, form := range []ActForm{A8, A16} {
			const m, n, k = 3, 21, 172
			w := randomWeight(rng, c.f, n, k, c.group, false, true)
			x := randomActs(rng, form, m, k, false)
			g := newGuarded(m, n, 5)
			var s Scratch
			Linear(Sink{Y: g.y(), Ld: g.ldy}, x, w, 0, w.Blocks(), &s)
			row := make([]int8, k)
			for col := range n {
				Row(w, col, row)
				for r := range m {
					var want, norm float64
					for i, c := range row {
						scale := 0.0
						if w.Format == I4F {
							scale = float64(w.GroupScale[(col/16*w.GroupCount()+i/w.Group)*16+col%16])
						} else {
							scale = float64(w.Scale[col])
						}
						u := float64(x.Hi[r*x.Stride+i]) - float64(x.Zero[r])
						if form == A16 {
							u = 256*(float64(x.Hi[r*x.Stride+i])-128) + float64(x.Lo[r*x.Stride+i])
						}
						p := u * float64(c) * scale * float64(x.Scale[r])
						want += p
						norm += math.Abs(p)
					}
					want += float64(w.Bias[col])
					// A few roundings of partial sums, each half an ulp of at most norm.
					got := float64(g.y()[r*g.ldy+col])
					if math.Abs(got-want) > 16*0x1p-24*(norm+math.Abs(want)) {
						t.Fatalf("%s %s group %d: y[%d,%d] = %v, want %v", c.f, form, c.group, r, col, got, want)
					}
				}
			}
		}
	}
}

// TestLinearISA holds every kernel of the list to its twin's bits.
func TestLinearISA(t *testing.T) {
	reached := map[string]bool{}
	var compare func(rng *rand.Rand, x *Acts, w *Weight, add bool, gap int, split bool)
	compare = func(rng *rand.Rand, x *Acts, w *Weight, add bool, gap int, split bool) {
		t.Helper()
		if w.Format == I8 && x.Form == A8 && w.Wild == nil {
			wx, ww := wild(rng, x, w)
			compare(rng, wx, ww, add, gap, split)
		}
		restore := cpu.SetMax(cpu.Generic)
		want := newGuarded(x.M, w.N, gap)
		var s Scratch
		choose(w.Format, x.Form, x.M).linear(want.y(), want.ldy, x, w, 0, w.Blocks(), add, &s)
		restore()
		for _, k := range List() {
			if k.Format != w.Format || k.Form != x.Form || k.ISA == cpu.Generic || !cpu.Has(k.ISA) || x.M == 0 {
				continue
			}
			got, name := newGuarded(x.M, w.N, gap), k.Name()
			reached[name] = true
			if b := rng.IntN(w.Blocks() + 1); split && 0 < b && b < w.Blocks() {
				k.linear(got.y()[16*b:], got.ldy, x, w, b, w.Blocks(), add, &s)
				k.linear(got.y(), got.ldy, x, w, 0, b, add, &s)
			} else {
				k.linear(got.y(), got.ldy, x, w, 0, w.Blocks(), add, &s)
			}
			if err := got.diff(want); err != nil {
				t.Fatalf("%s M=%d N=%d K=%d group %d %+v: %v", name, x.M, w.N, w.K, w.Group, add, err)
			}
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range integerFormats {
		for _, form := range []ActForm{A8, A16} {
			for m := range 41 {
				w := randomWeight(rng, c.f, 17+rng.IntN(64), 1+rng.IntN(200), c.group, false, m%2 == 0)
				compare(rng, randomActs(rng, form, m, w.K, false), w, m%3 == 0, m%4, true)
			}
			for _, n := range []int{1, 15, 16, 17, 33, 48, 64, 130, 512, 1100} {
				for _, k := range []int{1, 43, 64, 172, 352} {
					w := randomWeight(rng, c.f, n, k, c.group, true, n%2 == 0)
					compare(rng, randomActs(rng, form, 1+rng.IntN(4), k, true), w, k%2 == 0, 3, k == 64)
				}
			}
			w := randomWeight(rng, c.f, 70, 1900, c.group, true, true)
			for _, m := range []int{1, 2, 7, 37, 70, 127} {
				compare(rng, randomActs(rng, form, m, w.K, true), w, false, 0, false)
			}
		}
	}
	for _, k := range List() {
		if integer := k.Form == A8 || k.Form == A16; integer && cpu.Has(k.ISA) && k.ISA != cpu.Generic && !reached[k.Name()] {
			t.Errorf("%s: the machine can run it and no call reached it", k.Name())
		}
	}
}

// TestWholeRange runs the longest sum: K = 65536 at the ends of both ranges.
func TestWholeRange(t *testing.T) {
	const k = 65536
	w := NewWeight(I8, 16, k, 0)
	row := make([]int8, k)
	for i := range row {
		row[i] = -127
	}
	PutRow(w, 3, row)
	FillSums(w)
	w.Scale[3] = 1
	x8 := &Acts{Form: A8, M: 1, K: k, Stride: k + 64, Hi: make([]byte, k), Scale: []float32{1}, Zero: []int32{0}}
	for i := range x8.Hi {
		x8.Hi[i] = 255
	}
	x16 := &Acts{Form: A16, M: 1, K: k, Stride: k + 64, Hi: make([]byte, k), Lo: make([]byte, k), Scale: []float32{1}}
	for isa := cpu.Generic; isa <= cpu.AMX; isa++ {
		if !cpu.Has(isa) {
			continue
		}
		restore := cpu.SetMax(isa)
		for x, want := range map[*Acts]float32{x8: -127 * 255 * k, x16: 127 * 32768 * k} {
			var y [16]float32
			Linear(Sink{Y: y[:], Ld: 16}, x, w, 0, 1, new(Scratch))
			if y[3] != want {
				t.Errorf("%s %s: got %v, want %v", isa, x.Form, y[3], want)
			}
		}
		restore()
	}
}

func TestLinearChecks(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for name, spoil := range map[string]func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int){
		"short y":       func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { *y = (*y)[1:] },
		"small ldy":     func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { *ldy = 19 },
		"block range":   func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { *b1 = 3 },
		"K":             func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { x.K = 99 },
		"stride":        func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { x.Stride = 64 },
		"short plane":   func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { x.Hi = x.Hi[1:] },
		"short scales":  func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { x.Scale = x.Scale[1:] },
		"short zeros":   func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { x.Zero = nil },
		"wrong form":    func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { x.Form = AF32 },
		"short data":    func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { w.Data = w.Data[1:] },
		"short groups":  func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { w.Groups = w.Groups[1:] },
		"short sums":    func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { w.Sum = w.Sum[1:] },
		"short bias":    func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { w.Bias = w.Bias[1:] },
		"unknown group": func(y *[]float32, ldy *int, x *Acts, w *Weight, b1 *int) { w.Group = 8 },
	} {
		w := randomWeight(rng, I4, 20, 100, 32, false, true)
		x := randomActs(rng, A8, 2, 100, false)
		x.Stride, x.Hi = 128, make([]byte, 256)
		g := newGuarded(2, 20, 0)
		want := newGuarded(2, 20, 0)
		y, ldy, b1 := g.y(), 20, 2
		spoil(&y, &ldy, x, w, &b1)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Linear(Sink{Y: y, Ld: ldy}, x, w, 0, b1, new(Scratch))
		}()
		if err := g.diff(want); err != nil {
			t.Errorf("%s: written before the panic: %v", name, err)
		}
	}
}

func TestRowRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, c := range integerFormats {
		w := NewWeight(c.f, 35, 172, c.group)
		codes := make([][]int8, w.N)
		for n := range codes {
			codes[n] = make([]int8, w.K)
			for k := range codes[n] {
				codes[n][k] = int8(rng.IntN(16))
			}
			PutRow(w, n, codes[n])
		}
		got := make([]int8, w.K)
		for n := range codes {
			Row(w, n, got)
			for k, v := range got {
				if v != codes[n][k] {
					t.Fatalf("%s group %d: row %d, k %d: %d, want %d", c.f, c.group, n, k, v, codes[n][k])
				}
			}
		}
	}
}

// Rows as the columns of a weight are the same numbers, whatever blocks they go by.
func TestColumns(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for _, k := range []int{1, 63, 130, 512} {
		x := make([]float32, 37*k)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		a := NewActs(A8, 37, k).Reset(37)
		a.Quantize(0, 37, x, k)
		w, want := NewWeight(I8, 37, k, 0), NewWeight(I8, 37, k, 0)
		a.Columns(w, 1, 3)
		a.Columns(w, 0, 1)
		codes := make([]int8, k)
		for n := range 37 {
			for i, u := range a.bytesRow(a.Hi, n) {
				codes[i] = int8(int(u) - 128)
			}
			PutRow(want, n, codes)
			want.Scale[n] = a.Scale[n]
		}
		FillSums(want)
		if !bytes.Equal(w.Data, want.Data) || !slices.Equal(w.Scale, want.Scale) || !slices.Equal(w.Sum, want.Sum) {
			t.Errorf("K %d: the columns are not the rows", k)
		}
	}
}

func TestLinearAllocs(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, k := range List() {
		if k.Form != A8 && k.Form != A16 || !cpu.Has(k.ISA) {
			continue
		}
		w := randomWeight(rng, k.Format, 100, 700, 32, false, false)
		x := randomActs(rng, k.Form, 40, 700, false)
		y := make([]float32, 40*100)
		if k.Format == I8 && k.Form == A8 {
			x, w = wild(rng, x, w)
		}
		var s Scratch
		if n := testing.AllocsPerRun(5, func() { k.linear(y, 100, x, w, 0, w.Blocks(), false, &s) }); n != 0 {
			t.Errorf("%s: %v allocations a call", k.Name(), n)
		}
	}
}
