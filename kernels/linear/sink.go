package linear

import (
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/mem"
)

// Sink is where the results of a linear layer go, and what becomes of each on the way: with v = x·w + bias,
//
//	v = v + Add          the residual connection
//	v = Func(v)          an activation; with Gate v = Func(x·Gate + its bias) * v in its place
//
// in float32, every step that of package elem, so that the bits are those of one step after the other.
// Then v is stored to Y, to Acts, or to both.
type Sink struct {
	// Y [M, Ld] gets float32. Where Acts is given Y may be nil.
	Y  []float32
	Ld int // values from row to row of Y and Add
	// Add [M, Ld] is added; Y itself costs nothing. Not with Gate.
	Add  []float32
	Func func(dst, x []float32) // as elem.Unary finds them; nil: none
	// Gate is a second layer on the same inputs, of the same N and a format for the same form.
	Gate *Weight
	// Acts gets the rows of the next layer, M of N values: of form AF32 or ABF16, or A8 with one scale and zero point,
	// put there before (SetStatic), as Quantize and QuantizeStatic would make them.
	Acts  *Acts
	Scale float32 // of static A8
	Zero  int32
}

// SetStatic gives all rows one scale and zero point, for the sinks that will fill them.
func (a *Acts) SetStatic(scale float32, zero int32) {
	checkStatic(a, scale, zero)
	for m := range a.M {
		a.Scale[m], a.Zero[m] = scale, zero
	}
}

// plain tells whether the kernels' own epilogue is all that is asked.
func (to *Sink) plain() bool {
	return to.Func == nil && to.Gate == nil && to.Acts == nil && (to.Add == nil || &to.Add[0] == &to.Y[0])
}

// check tells what is wrong with a sink for columns up to that of block b1 of w.
func (to *Sink) check(x *Acts, w *Weight, b1 int) error {
	n := min(16*b1, w.N)
	for _, p := range []struct {
		name string
		have []float32
		want bool
	}{{"output", to.Y, to.Acts == nil || to.Y != nil}, {"what is added", to.Add, to.Add != nil}} {
		if p.want && (to.Ld < n || len(p.have) < (x.M-1)*to.Ld+n) {
			return fmt.Errorf("%s of length %d, stride %d for %d rows and columns up to %d", p.name, len(p.have), to.Ld, x.M, n)
		}
	}
	if g := to.Gate; g != nil {
		switch err := g.Check(); {
		case err != nil:
			return err
		case g.N != w.N || g.K != w.K:
			return fmt.Errorf("a gate [%d, %d] on weights [%d, %d]", g.N, g.K, w.N, w.K)
		case to.Add != nil:
			return fmt.Errorf("a gate and a sum")
		}
	}
	if a := to.Acts; a != nil {
		switch err := a.Check(); {
		case err != nil:
			return err
		case a == x || a.M != x.M || a.K != w.N:
			return fmt.Errorf("rows [%d, %d] for results [%d, %d]", a.M, a.K, x.M, w.N)
		case a.Form == A16 || a.Form == A8 && !(to.Scale > 0):
			return fmt.Errorf("rows of form %s have a scale that depends on all of their values", a.Form)
		}
	}
	return nil
}

// tileFloats is the size of a tile of results, 128 KB: two of them lie in the second-level cache beside the inputs.
const tileFloats = 32 << 10

// tiles computes blocks [b0, b1) of rows [m0, m1) tile by tile in the scratch, where results become what the sink wants.
func (to *Sink) tiles(x *Acts, m0, m1 int, w *Weight, b0, b1 int, s *Scratch) {
	k := w.mustKernel(x)
	gate := k
	if to.Gate != nil {
		gate = to.Gate.mustKernel(x)
	}
	rows := k.rows(x, w)
	blocks := max(tileFloats/(rows*16)&^3, 4)
	if k.Tile == manyName { // rows a power of two apart would evict each other
		blocks--
	}
	blocks = min(blocks, b1-b0)
	s.tile, s.gate = mem.Sized(s.tile, rows*blocks*16), mem.Sized(s.gate, rows*blocks*16)
	for m := m0; m < m1; m += rows {
		part := &s.part
		*part = x.Sub(m, min(m+rows, m1))
		s.many.keep = false
		for b := b0; b < b1; b += blocks {
			end := min(b+blocks, b1)
			ld := 16 * (end - b)
			v := s.tile[:part.M*ld]
			k.linear(v, ld, part, w, b, end, false, s)
			s.many.keep = true
			if to.Gate != nil {
				g := s.gate[:part.M*ld]
				gate.linear(g, ld, part, to.Gate, b, end, false, s)
				if to.Func != nil {
					to.Func(g, g)
				}
				elem.Mul(v, g, v)
			}
			to.store(v, ld, m, part.M, 16*b, min(16*end, w.N)-16*b)
		}
	}
	s.many.keep = false
}

// store brings a tile v [rows][ld] to rows m.. and n columns from n0 on.
func (to *Sink) store(v []float32, ld, m, rows, n0, n int) {
	if to.Add != nil {
		for r := range rows {
			row := v[r*ld:][:n]
			elem.Add(row, to.Add[(m+r)*to.Ld+n0:][:n], row)
		}
	}
	call := to.Func
	if to.Gate != nil {
		call = nil
	}
	if call != nil && to.Acts != nil {
		call(v, v)
		call = nil
	}
	for r := range rows {
		row := v[r*ld:][:n]
		switch {
		case call != nil:
			call(to.Y[(m+r)*to.Ld+n0:][:n], row)
		case to.Y != nil:
			copy(to.Y[(m+r)*to.Ld+n0:], row)
		}
		if to.Acts != nil {
			to.Acts.put(m+r, n0, row, to.Scale, to.Zero)
		}
	}
}

// put stores values n0.. of row m. Several workers may store parts of one row.
func (a *Acts) put(m, n0 int, x []float32, scale float32, zero int32) {
	at := m*a.Stride + n0
	switch a.Form {
	case AF32:
		copy(a.F32[at:], x)
	case ABF16:
		elem.ToBF16(a.BF16[at:][:len(x)], x)
	default:
		if !(math.Float32frombits(elem.AbsMax(x)) <= math.MaxFloat32) {
			atomic.StoreUint32((*uint32)(unsafe.Pointer(&a.Scale[m])), math.Float32bits(float32(math.NaN())))
		}
		staticCodes(a.Hi[at:][:len(x)], x, scale, zero)
	}
}

// rows is how many rows of x a kernel takes at a time, which a sink's tile then has: as many as it prepares
// at once, as pass over a block of columns together, or as fit in a cache beside it.
func (k *Kernel) rows(x *Acts, w *Weight) int {
	n := passRows(x)
	switch {
	case k.Tile == manyName:
		n = newManyShape(x, w).rows
	case k.sink != nil:
		n = panelRows(x)
	case x.Form == AF32 || x.Form == ABF16:
		n = manyRows
	}
	return min(n, x.M)
}

// passBF16 is the rows of a pass whose input fills half of the second-level cache.
func passBF16(x *Acts) int { return max(halfL2/(2*x.Stride)&^31, 32) }

// passRows is the rows of passes of equal size, whose rows about leave room for weights in the L2 cache.
func passRows(x *Acts) int {
	passes := max((x.planes(x.M)*x.Stride+halfL2/2)/halfL2, 1)
	return num.Pad((x.M+passes-1)/passes, 32)
}
