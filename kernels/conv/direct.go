package conv

import (
	"fmt"
	"math"
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/internal/mem"
	"qpt/kernels/linear"
)

// Direct is a convolution without patches: the rows of its product are read where they lie in the input, a pointer a tap. Groups whose columns do not
// fill blocks of 16 are put together, with weights of zero between them; where kernels know halves, each half of a block has only the features that its groups have.
//
// Sums are those of a linear layer on patches, float32 or codes (numerics N6.1, N3.5), with the same bits.
type Direct struct {
	Shape
	N      int
	parts  int // groups put together
	cols   int // columns of a part; the last may have fewer
	width  int // features of a part, the same
	half   int // features of half a block, where the halves of blocks have features of their own; 0: all blocks of a part have all of its features
	blocks int // of a part
	unit   int // bytes of an element
	size   int // the same as it is multiplied
	// lines tells that the taps of a line count as one: short ones, whose elements lie side by side but at the edges, where they are copied.
	lines bool

	weights []byte  // blocks of [taps][span/4][16][4 bytes], block bytes apart
	words   []int16 // the same as words, block numbers apart, of few weights that are multiplied so
	block   int
	start   []int32   // of codes: -zero * sum of a column's weights; of float32 zeros. [16*blocks of all]
	scale   []float32 // of codes
	bias    []float32
	factor  float32
	most    float32 // which no sum of codes exceeds, with its bias
	padding []byte
	kernels *directKernels
}

// End is what becomes of the sums v of a layer with its bias, in float32, after SiLU if it says so: codes are round(clamp((v + Add) * Inv, -Zero, Hi)) + Zero, in which NaN counts as -Zero;
// without Codes it is clamp(v + Add, Lo, Hi), in which NaN stays. What is added has the rows and columns of what is stored.
type End struct {
	Codes    []byte
	Inv      float32
	Zero     int32
	AddCodes []byte // (u - AddZero) * AddScale; beside Codes
	AddScale float32
	AddZero  int32

	Floats []float32
	Add    []float32 // beside Floats
	Lo, Hi float32   // Lo beside Floats
	Ld     int       // elements from row to row
	SiLU   bool      // where HasSiLU tells so
}

// NewDirect lays out a layer of format F32, or I8 on codes of this scale and zero point. Without kernels for it, where patches and package linear
// serve it returns nil.
func NewDirect(s Shape, w *linear.Weight, scale float32, zero int32) (*Direct, error) {
	kernels := active().directInts
	if w.Format == linear.F32 {
		kernels = active().directFloats
	}
	if kernels == nil || s.Places() == 1 && len(kernels.tiles[0]) == 1 { // a row is faster by several blocks
		return nil, nil
	}
	taps := s.Taps()
	if w.K != s.K() || s.C%s.Groups != 0 || w.N%s.Groups != 0 {
		return nil, fmt.Errorf("weights [%d, %d] of a convolution of %d features in %d groups and %d taps", w.N, w.K, s.C, s.Groups, taps)
	}
	d := &Direct{Shape: s, N: w.N, parts: s.Groups, unit: 1, kernels: kernels}
	if w.Format == linear.F32 {
		d.unit = 4
	} else if w.Format != linear.I8 {
		return nil, fmt.Errorf("weights of a direct convolution are stored as %s, must be F32 or I8", w.Format)
	}
	if d.size = d.unit; d.Widens() {
		d.size = 2
	}
	together, each := 1, s.C/s.Groups
	if n := w.N / s.Groups; s.Groups > 1 { // as many as fill blocks
		for together < s.Groups && together*n%16 != 0 {
			together++
		}
		d.parts = (s.Groups + together - 1) / together
	}
	d.width, d.cols = together*each, together*(w.N/s.Groups)
	n := d.cols
	if of := w.N / s.Groups; d.Widens() && kernels.halves != nil && of%16 != 0 && n%16 == 0 && (of%8 == 0 || 8%of == 0) {
		d.half = each * max(8/of, 1)
	}
	d.lines = d.parts == 1 && d.half == 0 && !s.Transposed && s.Dilation[2] == 1 && s.Kernel[2] > 1 && s.Kernel[2]*s.C*d.unit <= 256
	d.blocks = (n + 15) / 16
	all := 16 * d.blocks * d.parts
	d.start, d.bias, d.scale, d.factor = make([]int32, all), make([]float32, all), make([]float32, all), scale
	for i := range all {
		d.bias[i] = float32(math.Copysign(0, -1)) // which changes no sum
	}
	for i := range w.N {
		at := i/n*16*d.blocks + i%n
		if w.Bias != nil {
			d.bias[at] = w.Bias[i]
		}
		if d.unit == 1 {
			d.start[at], d.scale[at] = -zero*w.Sum[i], w.Scale[i]
			d.most = max(d.most, 255*128*float32(w.K)*scale*w.Scale[i]+float32(math.Abs(float64(d.bias[at])))) // NaN stays
		}
	}
	d.padding = make([]byte, s.C*d.size*s.Kernel[2]+2*d.half*d.size+8) // of a last part that is less wide, too
	if d.unit == 1 {
		for i := 0; i < len(d.padding); i += d.size {
			d.padding[i] = byte(zero)
		}
	}
	if s.Groups == 1 && (taps == 1 || d.span(0)%4 == 0 && d.tap()%4 == 0) {
		d.weights, d.block = w.Data, len(w.Data)/w.Blocks()
		d.widen()
		return d, nil
	}
	d.block = 16 * d.span(0) * d.taps()
	d.weights = mem.Bytes(d.block * d.blocks * d.parts)
	ints, floats := make([]int8, w.K), make([]float32, w.K)
	for i := range w.N {
		if d.unit == 1 {
			linear.Row(w, i, ints)
		} else {
			linear.EmbedRow(floats, w, i)
		}
		part, col := i/n, i%n
		to := d.weights[(part*d.blocks+col/16)*d.block:][:d.block]
		first := i/(w.N/s.Groups)%together*each - d.begins(col/8) // feature of the part, or of the half
		for t := range taps {
			for f := range each {
				at := t*d.span(part) + (first+f)*d.unit // of a row: four bytes are a line of 64
				if d.lines {
					at = t/s.Kernel[2]*d.span(0) + (t%s.Kernel[2]*s.C+first+f)*d.unit
				}
				at = at/4*64 + col%16*4 + at%4
				if d.unit == 1 {
					to[at] = byte(ints[t*each+f])
				} else {
					*(*float32)(unsafe.Pointer(&to[at])) = floats[t*each+f]
				}
			}
		}
	}
	d.widen()
	return d, nil
}

// mostWords is how many weights are words from the beginning: items of few rows would widen them again and again.
const mostWords = 128 << 10

// widen makes words of few weights that are multiplied so.
func (d *Direct) widen() {
	if all := d.blocks * d.parts; d.Widens() && d.block*all <= mostWords {
		d.words = make([]int16, d.block*all)
		for i := 0; i+64 <= len(d.words); i += 64 {
			d.kernels.widenWeights(&d.words[i], &d.weights[i], 1)
		}
	}
}

// Remakes tells whether each item makes words of its weights.
func (d *Direct) Remakes() bool { return d.Widens() && d.words == nil }

// Widens tells whether codes are multiplied as words, which an item makes of its part of the input first, and of its weights if Remakes says so.
func (d *Direct) Widens() bool { return d.unit == 1 && d.kernels.widenCodes != nil }

// at is where the weights of block b lie: words, if they are kept.
func (d *Direct) at(b int) *byte {
	if d.words != nil {
		return (*byte)(unsafe.Pointer(&d.words[b*d.block]))
	}
	return &d.weights[b*d.block]
}

// taps is the number of pointers of a row.
func (d *Direct) taps() int {
	if d.lines {
		return d.Kernel[0] * d.Kernel[1]
	}
	return d.Taps()
}

// tap is the bytes of a tap of the first part.
func (d *Direct) tap() int {
	if d.lines {
		return d.Kernel[2] * d.C * d.unit
	}
	return d.width * d.unit
}

// begins is the feature of a part that half a block begins with.
func (d *Direct) begins(half int) int {
	if d.half == 0 {
		return 0
	}
	return half * 8 / (d.N / d.Groups) * (d.C / d.Groups)
}

// span is the bytes of a tap of a part, in whole steps of 4.
func (d *Direct) span(part int) int {
	if d.half > 0 {
		return num.Pad(d.half*d.unit, 4)
	}
	if part > 0 {
		return num.Pad(min(d.width, d.C-part*d.width)*d.unit, 4)
	}
	return num.Pad(d.tap(), 4)
}

// HasSiLU tells whether its kernels know SiLU.
func (d *Direct) HasSiLU() bool { return d.kernels.silu }

// Bounded tells whether an end in codes keeps all sums of codes within integers, as it must.
func (d *Direct) Bounded(e End) bool {
	return d.unit == 4 || (d.most+256*e.AddScale)*e.Inv < 1<<30
}

// Blocks is the number of blocks of columns; those of an item are whole parts, or of the one part there is.
func (d *Direct) Blocks() int { return d.blocks * d.parts }

// Parts is how many parts the columns are in, of equally many blocks.
func (d *Direct) Parts() int { return d.parts }

// Bytes is the size of the weights of a block.
func (d *Direct) Bytes() int { return 16 * d.span(0) * d.taps() }

// Columns are those of blocks b0 to b1-1: n0 to n1-1.
func (d *Direct) Columns(b0, b1 int) (n0, n1 int) {
	return d.column(b0), min(d.column(b1-1)+16, (1+(b1-1)/d.blocks)*d.cols, d.N)
}

// column is the first of block b.
func (d *Direct) column(b int) int { return min(b/d.blocks*d.cols+b%d.blocks*16, d.N) }

// directArgs is a strip of blocks side by side and rows of places, tile after tile. Of the sums of a tile, which begin at start: v = sum, or with scale
// float32(sum) * factor * scale, plus bias; then see End.
//
// Addresses that the kernels move on are no pointers to Go, since they end behind what they go through; keep holds that.
type directArgs struct {
	keep     [3]unsafe.Pointer // inputs, results, what is added
	table    uintptr           // [taps][rows]: where a tap of a row lies, ldt bytes from tap to tap
	ldt      int
	taps     int
	left     int // taps, counted down
	from, to int // bytes of a tap; up to most in steps of 16
	most     int
	half     int // bytes that the second half of a block begins later
	w        *byte
	ws       int     // bytes from block to block
	fetch    uintptr // weights to come, of whose blocks a line is fetched each 16 bytes, step bytes on
	step     int
	start    *int32
	scale    *float32 // nil: sums are float32
	bias     *float32
	c        *int32 // a tile, and room behind it
	rows     int    // of results
	dst      uintptr
	ldd      int
	other    uintptr // what is added, 0: nothing; ldo is 0 then
	ldo      int
	mask     int // of the columns of the last block
	codes    int // 0: dst and other are float32
	silu     int // 0: no SiLU
	factor   float32
	inv      float32
	lo, hi   float32
	zero     int32
	greatest int32 // code
	// of other
	otherZero  int32
	otherScale float32
	// of tiles of 4 x 4 places: where they lie, from the first place of all, sums before they are transformed back, and bytes from line to line; of the tile at hand its size and a line of its sums
	list                uintptr
	tiles               int
	first, firstOther   uintptr
	m                   uintptr
	lineStep, otherStep int
	//lint:ignore U1000 assembly's
	places, lines int
	//lint:ignore U1000 assembly's
	line uintptr
	work *byte
}

// directFunc is a kernel for tiles of rows, whatever their number, by blocks.
type directFunc func(a *directArgs)

// directKernels are tiles: of rows (directTiles), and as many blocks as their place tells, less one. Those that multiply words take codes from widenCodes, n sixteens, and each block of weights
// from widenWeights: n lines [16][4] as [2][16][2].
type directKernels struct {
	tiles        [4][]directFunc
	halves       []directFunc // the same of one block, whose halves have inputs of their own; nil: none
	silu         bool
	widenCodes   func(dst *uint16, src *byte, n int)
	widenWeights func(dst *int16, src *byte, n int)
	winograd     *winogradKernels // nil: none
}

// directTiles are the rows of tiles.
var directTiles = [4]int{1, 2, 4, 6}

// DirectWork is working memory.
type DirectWork struct {
	table   []uintptr
	edges   []byte
	codes   []uint16
	weights []int16
	c       [6 * 64]int32
	args    directArgs

	winograd winogradWork
}

// Codes computes rows r0 to r1-1 and blocks b0 to b1-1 from codes x, of which the first is that of pixel begin (of all images one after the other) and which have three bytes more of
// capacity than they need. The end begins at row r0 and the first column of b0.
func (d *Direct) Codes(e End, x []byte, begin, r0, r1, b0, b1 int, work *DirectWork) {
	first, end := d.check(len(x), begin, r0, r1)
	if cap(x) < (end-begin)*d.C+3 || d.unit != 1 {
		panic(fmt.Sprintf("conv: Direct: room for %d codes behind %d pixels", cap(x), end-begin))
	}
	if !d.Widens() {
		d.run(&e, unsafe.Pointer(&x[0]), begin, r0, r1, b0, b1, work)
		return
	}
	x = x[(first-begin)*d.C:]
	n := (end - first) * d.C
	work.codes = mem.Sized(work.codes, n+16+2*d.half)
	if n >= 16 {
		d.kernels.widenCodes(&work.codes[0], &x[0], n/16)
	}
	for i := n &^ 15; i < n; i++ {
		work.codes[i] = uint16(x[i])
	}
	d.run(&e, unsafe.Pointer(&work.codes[0]), first, r0, r1, b0, b1, work)
}

// Floats is Codes from float32.
func (d *Direct) Floats(e End, x []float32, begin, r0, r1, b0, b1 int, work *DirectWork) {
	if d.check(len(x), begin, r0, r1); d.unit != 4 {
		panic("conv: Direct: float32 for a layer of codes")
	}
	d.run(&e, unsafe.Pointer(&x[0]), begin, r0, r1, b0, b1, work)
}

// ends panics if the end is not one of d, or has no room for rows and columns.
func (d *Direct) ends(e *End, rows, cols int) {
	if e.check(rows, cols); e.SiLU && !d.kernels.silu || e.Codes != nil && !d.Bounded(*e) {
		panic("conv: Direct: no kernel for SiLU, or sums might be too large for codes")
	}
}

// check panics if the end has no room for rows and columns.
func (e *End) check(rows, cols int) {
	need := (rows-1)*e.Ld + cols
	for _, n := range []int{len(e.Codes), len(e.Floats)} {
		if n > 0 && n < need || cols > e.Ld {
			panic(fmt.Sprintf("conv: Direct: %d results, %d from row to row, for %d rows of %d", n, e.Ld, rows, cols))
		}
	}
	if e.AddCodes != nil && (len(e.AddCodes) < need || e.Codes == nil) || e.Add != nil && (len(e.Add) < need || e.Floats == nil) || (e.Codes == nil) == (e.Floats == nil) {
		panic("conv: Direct: what is added is not of the kind or the length of the results")
	}
}

// greatest is the greatest code that it gives.
func (e *End) greatest() int32 {
	if e.Codes == nil {
		return 0
	}
	return min(max(int32(math.RoundToEven(float64(e.Hi)))+e.Zero, 0), 255)
}

// run computes from x, where pixel begin and those after it lie.
func (d *Direct) run(e *End, x unsafe.Pointer, begin, r0, r1, b0, b1 int, work *DirectWork) {
	rows := r1 - r0
	first, last := d.Columns(b0, b1)
	d.ends(e, rows, last-first)
	// Tiles: sixes, then a smaller one or two fours.
	sixes, tail, tails := rows/6, 0, 1
	switch rows % 6 {
	case 0:
		tails = 0
	case 1, 2:
		if tail = rows % 6; sixes > 0 {
			sixes, tail, tails = sixes-1, 4, 2
		}
	case 3, 4:
		tail = 4
	default:
		tail = 6
	}
	taps, ld := d.taps(), 6*sixes+tail*tails
	work.table = mem.Sized(work.table, ld*taps)
	if d.lines {
		d.pointLines(work, ld, x, begin, r0, r1)
	} else {
		d.point(work.table, ld, uintptr(x)-uintptr(begin*d.C*d.size), r0, r1)
	}
	for t := range taps {
		row := work.table[t*ld:][:ld]
		for i := rows; i < ld; i++ {
			row[i] = row[i-1]
		}
	}
	size, lo := 4, e.Lo
	a := &work.args
	most := len(d.kernels.tiles[3])
	if e.Codes != nil {
		size, lo = 1, float32(-e.Zero)
	}
	for b := b0; b < b1; {
		part, inner := b/d.blocks, b%d.blocks
		here := min(d.cols, d.N-part*d.cols) - 16*inner // columns of the part from here on
		if here <= 0 {
			break // the last part is less wide
		}
		left := min((here+15)/16, b1-b)
		nb := min(most, left)
		if nb == 4 && left == 5 {
			nb = 3
		}
		cols := min(16*nb, here)
		n := d.column(b) - first
		*a = directArgs{
			keep: [3]unsafe.Pointer{x}, table: uintptr(unsafe.Pointer(&work.table[0])), ldt: 8 * ld, taps: taps, left: taps, from: part * d.width * d.size, ws: d.block,
			start: &d.start[16*b], bias: &d.bias[16*b], c: &work.c[0], ldd: size * e.Ld, mask: 1<<((cols-1)%16+1) - 1,
			factor: d.factor, inv: e.Inv, lo: lo, hi: e.Hi, zero: e.Zero, greatest: e.greatest(), otherZero: e.AddZero, otherScale: e.AddScale,
		}
		if d.half > 0 {
			begin := d.begins(2 * inner)
			a.from += begin * d.size
			a.half = (d.begins(2*inner+1) - begin) * d.size
		}
		span := d.span(part) * d.size / d.unit
		a.to, a.most = a.from+span, a.from+span&^15
		a.w = d.at(b)
		if d.Remakes() {
			n := d.span(part) / 4 * taps
			work.weights = mem.Sized(work.weights, 128/2*n)
			d.kernels.widenWeights(&work.weights[0], a.w, n)
			a.w = (*byte)(unsafe.Pointer(&work.weights[0]))
		}
		a.fetch = uintptr(unsafe.Pointer(a.w))
		if d.unit == 1 {
			a.scale = &d.scale[16*b]
		}
		if e.SiLU {
			a.silu = 1
		}
		if e.Codes != nil {
			a.codes, a.keep[1] = 1, unsafe.Pointer(&e.Codes[n])
		} else {
			a.keep[1] = unsafe.Pointer(&e.Floats[n])
		}
		switch {
		case e.AddCodes != nil:
			a.keep[2], a.ldo = unsafe.Pointer(&e.AddCodes[n]), a.ldd
		case e.Add != nil:
			a.keep[2], a.ldo = unsafe.Pointer(&e.Add[n]), a.ldd
		}
		a.dst, a.other = uintptr(a.keep[1]), uintptr(a.keep[2])
		b += nb
		if sixes > 0 {
			// four tiles fetch the strip to come
			six := d.tile(3, nb)
			if first := min(sixes, 4); b < d.Blocks() && b%d.blocks != 0 {
				a.fetch, a.step, a.rows = uintptr(unsafe.Pointer(d.at(b))), 64, min(6*first, rows)
				callDirect(six, a)
				a.fetch, a.step, a.rows = uintptr(unsafe.Pointer(a.w)), 0, min(6*sixes, rows)-min(6*first, rows)
			} else {
				a.rows = min(6*sixes, rows)
			}
			if a.rows > 0 {
				callDirect(six, a)
			}
		}
		if tails > 0 {
			i := 0
			for directTiles[i] != tail {
				i++
			}
			a.rows = rows - 6*sixes
			callDirect(d.tile(i, nb), a)
		}
	}
}

// tile is the kernel for rows of directTiles and blocks.
func (d *Direct) tile(rows, blocks int) directFunc {
	if d.half > 0 {
		return d.kernels.halves[rows]
	}
	return d.kernels.tiles[rows][blocks-1]
}

// callDirect is a call of assembly; the goroutine can be stopped before it.
//
//go:noinline
func callDirect(f directFunc, a *directArgs) { f(a) }

// point fills the table [taps][ld] for rows r0 to r1-1.
func (d *Direct) point(table []uintptr, ld int, x uintptr, r0, r1 int) {
	pixel := uintptr(d.C * d.size)
	pad := uintptr(unsafe.Pointer(&d.padding[0]))
	places, step := d.Places(), uintptr(d.Stride[2])*pixel
	for r := r0; r < r1; {
		image, p := r/places, r%places
		w, h, dd := p%d.Out[2], p/d.Out[2]%d.Out[1], p/d.Out[2]/d.Out[1]
		n := min(d.Out[2]-w, r1-r) // places of this line
		to := table[r-r0:]
		for kd := range d.Kernel[0] {
			id := d.element(0, dd, kd)
			for kh := range d.Kernel[1] {
				ih := d.element(1, h, kh)
				line := x + uintptr(((image*d.In[0]+id)*d.In[1]+ih)*d.In[2])*pixel
				for kw := range d.Kernel[2] {
					list := to[:n]
					to = to[min(ld, len(to)):]
					switch {
					case id < 0 || ih < 0:
						for i := range list {
							list[i] = pad
						}
					case d.Transposed:
						for i := range list {
							if list[i] = pad; d.element(2, w+i, kw) >= 0 {
								list[i] = line + uintptr(d.element(2, w+i, kw))*pixel
							}
						}
					default: // inside are those from w0 to w1-1
						first := kw*d.Dilation[2] - d.Before[2] // element of place 0
						w0, w1 := max(w, (d.Stride[2]-1-first)/d.Stride[2]), 0
						if first > 0 {
							w0 = w
						}
						if room := d.In[2] - 1 - first; room >= 0 {
							w1 = min(w+n, room/d.Stride[2]+1)
						}
						w0 = min(w0, w+n)
						w1 = max(w0, w1)
						for i := range list[:w0-w] {
							list[i] = pad
						}
						addr := line + uintptr(w0*d.Stride[2]+first)*pixel
						inside := list[w0-w : w1-w]
						for i := range inside {
							inside[i] = addr
							addr += step
						}
						for i := w1 - w; i < n; i++ {
							list[i] = pad
						}
					}
				}
			}
		}
		r += n
	}
}

// pointLines is point for taps that are lines, of x, where pixel begin and those after it lie; those over an edge are copied.
func (d *Direct) pointLines(work *DirectWork, ld int, x unsafe.Pointer, begin, r0, r1 int) {
	pixel, lines := d.C*d.size, d.taps()
	size := d.Kernel[2]*pixel + 6 // kernels read whole steps
	work.edges = mem.Sized(work.edges, (r1-r0)*lines*size)
	edges := work.edges
	_, end := d.reach(r0, r1)
	all := unsafe.Slice((*byte)(x), (end-begin)*pixel)
	pad := uintptr(unsafe.Pointer(&d.padding[0]))
	places := d.Places()
	for r := r0; r < r1; {
		image, p := r/places, r%places
		w, h, dd := p%d.Out[2], p/d.Out[2]%d.Out[1], p/d.Out[2]/d.Out[1]
		n := min(d.Out[2]-w, r1-r) // places of this line
		to := work.table[r-r0:]
		for kd := range d.Kernel[0] {
			id := d.element(0, dd, kd)
			for kh := range d.Kernel[1] {
				ih := d.element(1, h, kh)
				list := to[:n]
				to = to[min(ld, len(to)):]
				if id < 0 || ih < 0 {
					for i := range list {
						list[i] = pad
					}
					continue
				}
				line := all[(((image*d.In[0]+id)*d.In[1]+ih)*d.In[2]-begin)*pixel:][:d.In[2]*pixel]
				base := uintptr(unsafe.Pointer(&line[0]))
				// inside are places w0 to w1-1 of the line
				w0, w1 := max(w, (d.Before[2]+d.Stride[2]-1)/d.Stride[2]), w
				if room := d.In[2] - d.Kernel[2] + d.Before[2]; room >= 0 {
					w1 = min(w+n, room/d.Stride[2]+1)
				}
				for i := w; i < w+n; i++ {
					if i == w0 && w0 < w1 {
						addr := base + uintptr((w0*d.Stride[2]-d.Before[2])*pixel)
						inside := list[w0-w : w1-w]
						for j := range inside {
							inside[j] = addr
							addr += uintptr(d.Stride[2] * pixel)
						}
						if i = w1; i == w+n {
							break
						}
					}
					first := i*d.Stride[2] - d.Before[2]
					copy(edges, d.padding[:size])
					from, end := max(first, 0), min(first+d.Kernel[2], d.In[2])
					if from < end {
						copy(edges[(from-first)*pixel:], line[from*pixel:end*pixel])
					}
					list[i-w] = uintptr(unsafe.Pointer(&edges[0]))
					edges = edges[size:]
				}
			}
		}
		r += n
	}
}
