package conv

import (
	"fmt"
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/internal/mem"
	"qpt/kernels/linear"
)

// Depthwise is a convolution whose every result feature looks at one feature of the input: N = Groups * M of them, feature n at n/M,
// where Groups = C. Weights are stored as those of any other and laid out tap by tap here.
type Depthwise struct {
	Shape
	M int // results a feature of the input

	// Of feature n: that of row n%M, each of C numbers padded with zeros to a multiple of 16.
	bias, scale []float32 // [M]
	floats      []float32 // [M][taps], nil of int8
	ints        []int32   // [M][taps]
	start       []int32   // [M] -zero * sum of a feature's weights

	factor  float32
	padding []byte
	zeros   []float32
}

// NewDepthwise lays out the weights w [N, taps] of a layer of format F32, or I8 on codes of this scale and zero point.
func NewDepthwise(s Shape, w *linear.Weight, scale float32, zero int32) (*Depthwise, error) {
	taps, n := s.Taps(), w.N
	if s.Groups != s.C || w.K != taps || n%s.C != 0 {
		return nil, fmt.Errorf("weights [%d, %d] of a depthwise convolution of %d features and %d taps", n, w.K, s.C, taps)
	}
	cp := num.Pad(s.C, 16)
	d := &Depthwise{Shape: s, M: n / s.C}
	d.bias = make([]float32, d.M*cp)
	at := func(i int) int { return i%d.M*cp + i/d.M }
	for i := range w.Bias[:min(n, len(w.Bias))] {
		d.bias[at(i)] = w.Bias[i]
	}
	switch w.Format {
	case linear.F32:
		d.floats, d.zeros = make([]float32, taps*len(d.bias)), padding[float32](&s, 0)
		row := make([]float32, taps)
		for i := range n {
			linear.EmbedRow(row, w, i)
			for t, v := range row {
				d.floats[(i%d.M*taps+t)*cp+i/d.M] = v
			}
		}
	case linear.I8:
		d.ints, d.start, d.scale, d.factor, d.padding = make([]int32, taps*len(d.bias)), make([]int32, len(d.bias)), make([]float32, len(d.bias)), scale, padding(&s, byte(zero))
		row := make([]int8, taps)
		for i := range n {
			d.scale[at(i)] = w.Scale[i]
			linear.Row(w, i, row)
			for t, v := range row {
				d.ints[(i%d.M*taps+t)*cp+i/d.M] = int32(v)
				d.start[at(i)] -= zero * int32(v)
			}
		}
	default:
		return nil, fmt.Errorf("weights of a depthwise convolution are stored as %s, must be F32 or I8", w.Format)
	}
	return d, nil
}

// N is the number of results of a place.
func (d *Depthwise) N() int { return d.C * d.M }

// Codes computes rows r0 to r1-1 of the result, ld apart in dst, from codes x: the sum of (x - zero) * w over the taps inside, an
// int32, then as a linear layer (numerics N3.5).
func (d *Depthwise) Codes(dst []float32, ld int, x []byte, r0, r1 int, work *Taps) {
	rows(d, dst, ld, x, d.padding, unsafe.Pointer(unsafe.SliceData(d.ints)), active().depthInts, r0, r1, work)
}

// Floats computes rows r0 to r1-1 of the result: products rounded, then added tap by tap to 0, and the bias last (numerics N11.2).
func (d *Depthwise) Floats(dst []float32, ld int, x []float32, r0, r1 int, work *Taps) {
	rows(d, dst, ld, x, d.zeros, unsafe.Pointer(unsafe.SliceData(d.floats)), active().depthFloats, r0, r1, work)
}

func rows[T byte | float32](d *Depthwise, dst []float32, ld int, x, pad []T, w unsafe.Pointer, kernel windowFunc, r0, r1 int, work *Taps) {
	_ = dst[(r1-r0-1)*ld+d.N()-1]
	cp := num.Pad(d.C, 16)
	for m := range d.M {
		a := &windowArgs{w: unsafe.Add(w, 4*m*d.Taps()*cp), ldw: 4 * cp, bias: &d.bias[m*cp], features: d.C, ldd: 4 * ld, factor: d.factor}
		if d.start != nil {
			a.start, a.scale = &d.start[m*cp], &d.scale[m*cp]
		}
		windows(&d.Shape, x, pad, r0, r1, work, a, func(r int) {
			to := dst[(r-r0)*ld:]
			if d.M == 1 {
				a.dst = unsafe.Pointer(&to[0])
				kernel(a)
				return
			}
			work.row = mem.Sized(work.row, a.places*d.C)
			a.dst, a.ldd = unsafe.Pointer(&work.row[0]), 4*d.C
			kernel(a)
			for i, v := range work.row {
				to[i/d.C*ld+i%d.C*d.M+m] = v
			}
		})
	}
}
