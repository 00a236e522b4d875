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

	// Of feature n: that of row n%M, each of C numbers padded with zeros to a multiple of 64. With quads and pairs they lie as windowArgs says.
	bias, scale []float32 // [M]
	floats      []float32 // [M][taps], nil of int8
	ints        []int32   // [M][taps]; with quads
	quads       []byte    // in fours of taps
	pairs       []byte    // in pairs of taps
	start       []int32   // [M] -zero * sum of a feature's weights

	factor  float32
	padding []byte
	zeros   []float32
	level   *level
	columns bool // windows of 3 x 3, whose quads are columns
	double  bool // of which two places side by side, of half as many features as a vector has, can be one place of all: each number lies twice
}

// NewDepthwise lays out the weights w [N, taps] of a layer of format F32, or I8 on codes of this scale and zero point.
func NewDepthwise(s Shape, w *linear.Weight, scale float32, zero int32) (*Depthwise, error) {
	taps, n := s.Taps(), w.N
	if s.Groups != s.C || w.K != taps || n%s.C != 0 {
		return nil, fmt.Errorf("weights [%d, %d] of a depthwise convolution of %d features and %d taps", n, w.K, s.C, taps)
	}
	cp := padded(s.C)
	d := &Depthwise{Shape: s, M: n / s.C, level: active()}
	d.bias = make([]float32, d.M*cp)
	quads := d.level.quads && w.Format == linear.I8
	pairs := d.level.depthPairs != nil && w.Format == linear.I8 && s.C >= pairBlock
	d.columns = quads && s.Kernel == [3]int{1, 3, 3} && s.Dilation[2] == 1 && s.Stride[2] <= 2 && !s.Transposed
	d.double = d.columns && s.C == 32 && d.M == 1 && s.Stride[2] == 1
	at := func(i int) int {
		f := i / d.M
		if quads {
			f = f&^63 + f%16/4*16 + f%64/16*4 + f%4
		}
		return i%d.M*cp + f
	}
	if pairs {
		d.layPairs(w, scale, zero)
		return d, nil
	}
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
		d.start, d.scale, d.factor, d.padding = make([]int32, len(d.bias)), make([]float32, len(d.bias)), scale, padding(&s, byte(zero))
		fours := (taps + 3) / 4
		if quads {
			d.quads = mem.Bytes(4 * fours * len(d.bias))
		} else {
			d.ints = make([]int32, taps*len(d.bias))
		}
		row := make([]int8, taps)
		for i := range n {
			d.scale[at(i)] = w.Scale[i]
			linear.Row(w, i, row)
			for t, v := range row {
				d.start[at(i)] -= zero * int32(v)
				if !quads {
					d.ints[(i%d.M*taps+t)*cp+i/d.M] = int32(v)
					continue
				}
				f := i / d.M
				at := t
				if d.columns {
					at = t%3*4 + t/3
				}
				line := (i%d.M*fours+at/4)*cp*4 + f/64*256 + f%16/4*64
				d.quads[line+(f%64/16*4+f%4)*4+at%4] = byte(v)
			}
		}
		if d.double {
			for i := range n {
				d.bias[at(n+i)], d.scale[at(n+i)], d.start[at(n+i)] = d.bias[at(i)], d.scale[at(i)], d.start[at(i)]
			}
			for i := 0; i < len(d.quads); i += 16 { // four features
				if i%64 >= 32 {
					copy(d.quads[i:][:16], d.quads[i-32:])
				}
			}
		}
	default:
		return nil, fmt.Errorf("weights of a depthwise convolution are stored as %s, must be F32 or I8", w.Format)
	}
	return d, nil
}

// pairBlock is the features of a block of pairs of taps.
const pairBlock = 32

// layPairs lays out what depthPairs reads.
func (d *Depthwise) layPairs(w *linear.Weight, scale float32, zero int32) {
	taps, cp := d.Taps(), padded(d.C)
	pairs := (taps + 1) / 2
	d.start, d.scale, d.factor, d.padding = make([]int32, len(d.bias)), make([]float32, len(d.bias)), scale, padding(&d.Shape, byte(zero))
	d.pairs = mem.Bytes(4 * pairs * len(d.bias))
	row := make([]int8, taps)
	for m := range d.M {
		for b := 0; b < d.C; b += pairBlock {
			for f := range pairBlock { // of the block
				n := (min(b, d.C-pairBlock)+f)*d.M + m
				to := m*cp + b + f%16/4*8 + f/16*4 + f%4
				d.scale[to] = w.Scale[n]
				if w.Bias != nil {
					d.bias[to] = w.Bias[n]
				}
				d.start[to] = int32((pairs+7)/8) << 15
				linear.Row(w, n, row)
				for t, v := range row {
					d.start[to] -= zero * int32(v)
					line := d.pairs[4*((m*pairs+t/2)*cp+b):]
					i := f%16/8*32 + f/16*16 + f%8*2 + t%2
					line[i], line[64+i] = byte(v&15), byte(v>>4)
				}
			}
		}
	}
}

// N is the number of results of a place.
func (d *Depthwise) N() int { return d.C * d.M }

// Codes computes rows r0 to r1-1 of the result, ld apart in dst, from codes x, which begin with pixel begin of all images one after the other: the sum of (x - zero) * w over the taps inside, an
// int32, then as a linear layer (numerics N3.5).
func (d *Depthwise) Codes(dst []float32, ld int, x []byte, begin, r0, r1 int, work *Taps) {
	kernel := d.level.depthInts
	if d.pairs != nil {
		kernel = d.level.depthPairs
	}
	depth(d, dst, ld, x, begin, d.padding, d.intArgs(), kernel, d.level.depthInts3, r0, r1, work)
}

// HasEnd tells whether there is a kernel that ends in codes: of one result a feature.
func (d *Depthwise) HasEnd() bool {
	return (d.level.depthCodes != nil || d.pairs != nil) && d.M == 1 && d.start != nil
}

// End is Codes whose results become codes, without anything added.
func (d *Depthwise) End(e End, x []byte, begin, r0, r1 int, work *Taps) {
	e.check(r1-r0, d.N())
	a := d.intArgs()
	a.inv, a.hi, a.zero = e.Inv, e.Hi, e.Zero
	kernel := d.level.depthCodes
	if d.pairs != nil {
		kernel = d.level.depthPairCodes
	}
	depth(d, e.Codes, e.Ld, x, begin, d.padding, a, kernel, d.level.depthCodes3, r0, r1, work)
}

// intArgs are those of int8.
func (d *Depthwise) intArgs() windowArgs {
	cp := padded(d.C)
	a := windowArgs{w: unsafe.Pointer(unsafe.SliceData(d.ints)), ldw: 4 * cp, start: &d.start[0], scale: &d.scale[0], factor: d.factor}
	if d.quads != nil {
		a.w = unsafe.Pointer(&d.quads[0])
	} else if d.pairs != nil {
		a.w = unsafe.Pointer(&d.pairs[0])
	}
	return a
}

// padded is the numbers of C features.
func padded(c int) int { return num.Pad(c, 64) }

func depth[T, R byte | float32](d *Depthwise, dst []R, ld int, x []T, begin int, pad []T, first windowArgs, one, many windowFunc, r0, r1 int, work *Taps) {
	_ = dst[(r1-r0-1)*ld+d.N()-1]
	cp, taps := padded(d.C), d.Taps()
	lines, fours := taps, d.quads != nil
	if fours {
		lines = (taps + 3) / 4
	} else if d.pairs != nil {
		lines = (taps + 1) / 2
	}
	size := int(unsafe.Sizeof(dst[0]))
	for m := range d.M {
		a := first
		a.bias, a.features, a.ldd, a.pixel, a.stride = &d.bias[m*cp], d.C, size*ld, d.C, d.Stride[2]
		a.w = unsafe.Add(a.w, m*lines*a.ldw)
		if d.start != nil {
			a.start, a.scale = &d.start[m*cp], &d.scale[m*cp]
		}
		windows(&d.Shape, x, begin, pad, r0, r1, work, &a, func(r int) {
			kernel := one
			switch {
			case fours && d.columns:
				rows := [9]unsafe.Pointer(work.rows)
				for i := range work.rows[:12] {
					work.rows[i] = rows[i%4%3*3+i/4] // of the fourth of a column nothing counts
				}
				a.taps = lines
				if d.double && a.places > 1 && ld == d.C {
					all := a
					a.features, a.stride, a.places, a.ldd, a.dst = 2*d.C, 2, all.places/2, 2*a.ldd, unsafe.Pointer(&dst[(r-r0)*ld])
					if a.places > 1 {
						kernel = many
					}
					kernel(&a)
					if a = all; a.places%2 == 0 {
						return
					}
					a.places = 1
					for i := range work.rows[:12] {
						work.rows[i] = unsafe.Add(work.rows[i], (all.places-1)*a.step)
					}
					a.dst = unsafe.Pointer(&dst[(r-r0+all.places-1)*ld])
					one(&a)
					a.places = all.places
					return
				}
				if a.places > 1 {
					kernel = many
				}
			case fours:
				for i := taps; i%4 != 0; i++ {
					work.rows[i] = work.rows[0]
				}
				a.taps = lines
			case d.pairs != nil:
				work.rows[taps] = work.rows[0] // of which nothing counts
				a.taps = lines
			}
			to := dst[(r-r0)*ld:]
			if d.M == 1 {
				a.dst = unsafe.Pointer(&to[0])
				kernel(&a)
				return
			}
			work.row = mem.Sized(work.row, a.places*d.C)
			a.dst, a.ldd = unsafe.Pointer(&work.row[0]), 4*d.C
			kernel(&a)
			for i, v := range work.row {
				to[i/d.C*ld+i%d.C*d.M+m] = R(v)
			}
		})
	}
}
