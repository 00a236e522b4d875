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
	columns int // 1: windows of 3 x 3, 2: of 5 x 5, whose quads are of columns
	// places side by side, of windows of 3 x 3 on 16 or 32 features, that can be one place of as many features as a vector has: each number lies as often
	together int
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
	if k := s.Kernel[2]; quads && s.Kernel == [3]int{1, k, k} && (k == 3 || k == 5) && s.Dilation[2] == 1 && s.Stride[2] <= 2 && !s.Transposed {
		d.columns = k / 2
	}
	if d.together = 1; d.columns == 1 && (s.C == 16 || s.C == 32) && d.M == 1 && s.Stride[2] == 1 {
		d.together = 64 / s.C
	}
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
		fours := d.fours()
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
				line := (i%d.M*fours+at/4)*cp*4 + f/64*256
				if k := s.Kernel[2]; d.columns > 0 { // of a block side by side
					at = t%k*(fours/k*4) + t/k
					line = ((i%d.M*cp+f&^63)/64*fours + at/4) * 256
				}
				line += f % 16 / 4 * 64
				d.quads[line+(f%64/16*4+f%4)*4+at%4] = byte(v)
			}
		}
		for i := n; i < d.together*n; i++ {
			d.bias[at(i)], d.scale[at(i)], d.start[at(i)] = d.bias[at(i-n)], d.scale[at(i-n)], d.start[at(i-n)]
		}
		for i := 0; d.together > 1 && i < len(d.quads); i += 16 { // 16 features
			if i%64 >= n {
				copy(d.quads[i:][:16], d.quads[i-n:])
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

// fours is the number of quads of a feature.
func (d *Depthwise) fours() int {
	if d.columns > 0 {
		return d.Kernel[2] * ((d.Kernel[1] + 3) / 4)
	}
	return (d.Taps() + 3) / 4
}

// Codes computes rows r0 to r1-1 of the result, ld apart in dst, from codes x, which begin with pixel begin of all images one after the other: the sum of (x - zero) * w over the taps inside, an
// int32, then as a linear layer (numerics N3.5).
func (d *Depthwise) Codes(dst []float32, ld int, x []byte, begin, r0, r1 int, work *Taps) {
	kernel := d.level.depthInts
	switch {
	case d.columns > 0:
		columns(d, dst, ld, x, begin, d.intArgs(), d.level.columnInts[d.columns-1], r0, r1, work)
		return
	case d.pairs != nil:
		kernel = d.level.depthPairs
	}
	depth(d, dst, ld, x, begin, d.padding, d.intArgs(), kernel, r0, r1, work)
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
	switch {
	case d.columns > 0:
		columns(d, e.Codes, e.Ld, x, begin, a, d.level.columnCodes[d.columns-1], r0, r1, work)
		return
	case d.pairs != nil:
		kernel = d.level.depthPairCodes
	}
	depth(d, e.Codes, e.Ld, x, begin, d.padding, a, kernel, r0, r1, work)
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

func depth[T, R byte | float32](d *Depthwise, dst []R, ld int, x []T, begin int, pad []T, first windowArgs, kernel windowFunc, r0, r1 int, work *Taps) {
	_ = dst[(r1-r0-1)*ld+d.N()-1]
	taps := d.Taps()
	lines, fours := taps, d.quads != nil
	if fours {
		lines = (taps + 3) / 4
	} else if d.pairs != nil {
		lines = (taps + 1) / 2
	}
	for m := range d.M {
		a := first
		a.features, a.w = d.C, unsafe.Add(a.w, m*lines*a.ldw)
		d.of(m, &a)
		windows(&d.Shape, x, begin, pad, r0, r1, work, &a, func(r int) {
			if fours || d.pairs != nil {
				for i := taps; i < taps+3; i++ {
					work.rows[i] = work.rows[0] // of which nothing counts
				}
				a.taps = lines
			}
			feature(d, &a, kernel, dst[(r-r0)*ld:], ld, m, work)
		})
	}
}

// of sets what is of result m of each feature.
func (d *Depthwise) of(m int, a *windowArgs) {
	cp := padded(d.C)
	if a.bias = &d.bias[m*cp]; d.start != nil {
		a.start, a.scale = &d.start[m*cp], &d.scale[m*cp]
	}
}

// feature computes result m of each feature of a run of places.
func feature[R byte | float32](d *Depthwise, a *windowArgs, kernel windowFunc, to []R, ld, m int, work *Taps) {
	if d.M == 1 {
		a.dst, a.ldd = unsafe.Pointer(&to[0]), ld*int(unsafe.Sizeof(to[0]))
		kernel(a)
		return
	}
	work.row = mem.Sized(work.row, a.places*d.C)
	a.dst, a.ldd = unsafe.Pointer(&work.row[0]), 4*d.C
	kernel(a)
	for i, v := range work.row {
		to[i/d.C*ld+i%d.C*d.M+m] = R(v)
	}
}

// columns is depth for kernels that take columns of windows, places over an edge too.
func columns[R byte | float32](d *Depthwise, dst []R, ld int, x []byte, begin int, first windowArgs, kernel windowFunc, r0, r1 int, work *Taps) {
	_ = dst[(r1-r0-1)*ld+d.N()-1]
	s, cp, k := &d.Shape, padded(d.C), d.Kernel[1]
	work.rows = mem.Sized(work.rows, k)
	s.check(len(x), begin, r0, r1)
	for m := range d.M {
		a := first
		a.x, a.pad, a.pixel, a.stride, a.width, a.features = unsafe.Pointer(&work.rows[0]), unsafe.Pointer(&d.padding[0]), d.C, s.Stride[2], s.In[2]*d.C, d.C
		a.w = unsafe.Add(a.w, m*d.fours()*4*cp)
		d.of(m, &a)
		for r := r0; r < r1; {
			image, p := r/s.Places(), r%s.Places()
			w, h := p%s.Out[2], p/s.Out[2]%s.Out[1]
			id := s.element(0, p/s.Out[2]/s.Out[1], 0)
			for i := range k {
				work.rows[i] = unsafe.Pointer(&d.padding[0])
				if ih := s.element(1, h, i); id >= 0 && ih >= 0 {
					work.rows[i] = unsafe.Pointer(&x[(((image*s.In[0]+id)*s.In[1]+ih)*s.In[2]-begin)*d.C])
				}
			}
			for end := min(r+s.Out[2]-w, r1); r < end; {
				b := a
				n, column := end-r, w*s.Stride[2]-s.Before[2]
				to := dst[(r-r0)*ld:]
				b.places, b.column = n, column*d.C
				if t := d.together; t > 1 && ld == d.C {
					if inside := min(n, s.In[2]-2-column) / t; column < 0 {
						b.places, n = 1, 1
					} else if inside > 0 {
						b.places, b.stride, b.skip, b.features, n = inside, t, (t-3)*d.C, t*d.C, inside*t
						b.width -= (t - 1) * d.C // each column is so many
						feature(d, &b, kernel, to, t*ld, m, work)
						r, w = r+n, w+n
						continue
					}
				}
				feature(d, &b, kernel, to, ld, m, work)
				r, w = r+n, w+n
			}
		}
	}
}
