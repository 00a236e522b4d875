package linear

import (
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

// Layers of format Codes (numerics N10.2). The codes of some hundred places of a block become a panel of bytes, lines of [16][4].
// Where values are integers, inputs become integers too, as digits of 8 bits, and panels are multiplied by these, group by group: exact sums,
// which scales and offsets make a float32 of. Where they are not (tables of any float32, e4m3) the panel becomes one of float32.

// coder is what an instruction set does. Groups are whole lines here.
type coder struct {
	unpack func(panel, tiles []byte, c *Coded, table *[16]byte) // of codes of fewer than 8 bits; table: their values, or nil
	dot    func(a *digitArgs, planes int, top uint8)            // for a.rows rows; no code is above top
	words  func(planes, group int, top uint8) *wordKernel       // for digits as words, nil: dot is as fast
	expand func(a *expandArgs, way tableWay)
	merge  func(a *mergeArgs)
	read   func(x *Numbers, dst []float32, w *Weight, b, g0, g1 int) []float32
	rows   func(planes, rows int) int // that dot takes at once, of so many that are left
	finish func(a *finishArgs)        // of 16 columns
	table  [3]func(a *tableArgs)      // by tableWay, nil: there is none
	// row finds what multiplies a row by codes as they are stored, in groups of whole tiles or half ones; nil: there is none.
	row func(c *Coded, planes int, half bool) func(*rowArgs)
}

// digitArgs is what dot takes: a panel of groups, and the digits of rows.
//
//	c[r][n] = fma(offset[g][n], sum[g][r], fma(scale[g][n], f, c[r][n])), f = fma(-zero[g][n], sum[g][r], S)
//
// for each group g in turn, S the sum of codes times digits: fma(S2, 65536, fma(S1, 256, S0)) of the sums by digit, lowest first.
type digitArgs struct {
	panel               *byte // [groups*lines][16][4] codes
	x                   *byte // [groups*lines][4 digits, the lowest first][4]; with one plane [groups*lines][4]
	ldx                 int   // bytes from row to row
	lines, groups, rows int
	scale, offset, zero *float32 // [groups][16]; offset nil: none
	zstep               int      // 64; 0: one line of zeros for all
	without             int      // 1: all zeros are 0
	sum                 *float32 // [groups][rows]
	c                   *float32 // [rows][16]
}

// wordKernel multiplies digits as words. Of one digit each is a word of its own; else the two lower ones are one, 128 more than their value, and the third is one: lines are four values' lower words, then the upper ones.
type wordKernel struct {
	dot   func(*digitArgs)
	make  func(*wordsArgs)
	width int // bytes of a value
}

// wordsArgs is what makers of words take: the digits of n values, a multiple of 16.
type wordsArgs struct {
	dst, src *byte
	n        int
}

// finishArgs is what finish takes: y[r][i] = c[r][i]*scale + bias[i], added to what is there if add is not 0, for n columns.
type finishArgs struct {
	c, scale, bias, y *float32 // bias nil: none
	ldy, rows, add, n int      // ldy in bytes
	lds, ldb          int      // bytes from row to row of scale and bias
}

// codedScratch is the working memory of layers of format Codes.
type codedScratch struct {
	bytes, laid          []byte
	floats, rows, c      []float32
	scale, offset, zeros []float32 // [groups][16]
	digits               []byte    // [rows][ldx], of odd groups
	words                []byte    // [rows][ldw]
	sums, rowScale       []float32
	table                [16]float32
	sum                  []float32 // [rows][32]
	constant             [16]float32
	dot                  digitArgs
	make                 wordsArgs
	row                  rowArgs
	expand               expandArgs
	merge                mergeArgs
	four                 tableArgs
	result               finishArgs
}

// codedWays is what a description of codes comes to, found once.
type codedWays struct {
	table *[16]byte // of values, if there is a Table and whole
	zero  int       // of all codes, or of table
	whole bool      // values are integers within a byte
	top   uint8     // the greatest of them
	way   tableWay  // if they are not whole
}

// ways finds how codes are multiplied.
func (c *Coded) ways() *codedWays {
	if w := c.found.Load(); w != nil {
		return w
	}
	w := &codedWays{zero: c.Zero, whole: c.Table == nil, top: uint8(1<<c.Bits - 1), way: c.way()}
	if least, most := c.extremes(0); c.Table != nil && c.Bits <= 4 && most-min(least, 0) <= 255 {
		least = min(least, 0)
		w.whole, w.zero, w.table, w.top = true, -int(least), new([16]byte), 0
		for i, v := range c.Table {
			if v != float32(int(v)) {
				w.whole, w.table = false, nil
				break
			}
			w.table[i] = byte(int(v) - int(least))
			w.top = max(w.top, w.table[i])
		}
	}
	c.found.Store(w)
	return w
}

// Form is that of the rows for layers of such codes.
func (c *Coded) Form() ActForm {
	if c.ways().whole {
		return A24
	}
	return AF32
}

// linear carries out Linear for values that are integers.
func (e *coder) linear(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	cs, c, sh := &s.coded, w.Coded, w.codedShape(codedPlaces)
	ways, planes := c.ways(), c.Round.digits()
	for i := range cs.constant {
		cs.constant[i] = float32(ways.zero)
	}
	cs.rowScale = mem.Sized(cs.rowScale, x.M)
	for r := range cs.rowScale {
		if cs.rowScale[r] = x.Scale[r]; c.Factor != 0 {
			cs.rowScale[r] *= c.Factor
		}
	}
	if f := e.rowKernel(w, &sh, planes); f != nil && x.M <= codedFew {
		e.eachRow(f, y, ldy, x, w, b0, b1, add, cs)
		return
	}
	var words *wordKernel
	if e.words != nil {
		words = e.words(planes, sh.group, ways.top)
	}
	for m := 0; m < x.M; m += codedRows {
		rows := min(codedRows, x.M-m)
		digits, ldx := e.inputs(x, m, rows, w, &sh, planes, cs)
		if words != nil {
			digits, ldx = words.of(digits, ldx, rows, sh.places(w.K), planes, cs)
		}
		cs.c = mem.Sized(cs.c, rows*16)
		for b := b0; b < b1; b++ {
			clear(cs.c)
			for k := 0; k < w.K; k += sh.step {
				n := min(sh.step, w.K-k)
				e.sums(w, &sh, e.panel(w, &sh, b, k, n, ways.table, cs), b, k, n, rows, planes, digits, ldx, words, cs)
			}
			cs.result = finishArgs{c: &cs.c[0], scale: &cs.rowScale[m], lds: 4, y: &y[m*ldy+16*(b-b0)], ldy: 4 * ldy, rows: rows}
			e.results(w, b, add, cs)
		}
	}
}

// results finishes 16 columns, those of block b or, with a step of the bias, of one after the other.
func (e *coder) results(w *Weight, b int, add bool, cs *codedScratch) {
	f := &cs.result
	if f.n = min(16, w.N-16*b); add {
		f.add = 1
	}
	if w.Bias != nil {
		f.bias = &w.Bias[16*b]
	} else {
		f.ldb = 0
	}
	if f.n == 16 {
		e.finish(f)
	} else {
		finishGeneric(f)
	}
}

// sums adds a panel times digits to the results.
func (e *coder) sums(w *Weight, sh *codedShape, panel []byte, b, k, n, rows, planes int, digits []byte, ldx int, words *wordKernel, cs *codedScratch) {
	c, width := w.Coded, digitWidth(planes)
	if words != nil {
		width = words.width
	}
	g0, g1 := k/sh.group, (k+n-1)/sh.group+1
	size := (g1 - g0) * 16
	cs.scale = mem.Sized(cs.scale, size)
	scale, zeros, offset := e.read(&c.Scale, cs.scale, w, b, g0, g1), cs.constant[:], []float32(nil)
	a := &cs.dot
	*a = digitArgs{ldx: ldx}
	if c.Zeros == nil && c.ways().zero == 0 {
		a.without = 1
	}
	if c.Zeros != nil {
		cs.zeros = mem.Sized(cs.zeros, size)
		zeros, a.zstep = e.read(&Numbers{Form: numU8, Data: c.Zeros}, cs.zeros, w, b, g0, g1), 64
	}
	if c.Offset.Form != 0 {
		cs.offset = mem.Sized(cs.offset, size)
		offset = e.read(&c.Offset, cs.offset, w, b, g0, g1)
	}
	// Whole groups, then the last one if it is shorter.
	lines, whole := sh.padded/4, n/sh.group
	if sh.odd {
		whole = sh.groups
	}
	for from := 0; from < g1-g0; from, whole = from+whole, 1 {
		if whole == 0 || from > 0 {
			whole, lines = 1, (n-from*sh.group+3)/4
		}
		at := from * sh.padded
		a.lines, a.groups = lines, whole
		a.panel = &panel[at*16]
		a.scale, a.zero = &scale[from*16], &zeros[from*a.zstep/4]
		if offset != nil {
			a.offset = &offset[from*16]
		}
		for r := 0; r < rows; r += a.rows {
			a.rows = e.rows(planes, rows-r)
			a.x = &digits[r*ldx+(k+at)*width]
			a.sum = &cs.sums[r*sh.groups+(g0+from)*a.rows]
			a.c = &cs.c[r*16]
			if words != nil {
				words.dot(a)
			} else {
				e.dot(a, planes, c.ways().top)
			}
		}
	}
}

// inputs are the digits of rows m.. of x in the shape of panels, ldx bytes apart; cs gets the sums of groups, tile by tile of rows.
func (e *coder) inputs(x *Acts, m, rows int, w *Weight, sh *codedShape, planes int, cs *codedScratch) (digits []byte, ldx int) {
	width := digitWidth(planes)
	digits, ldx = x.Hi[m*x.Stride*width:], x.Stride*width
	if sh.odd {
		digits, ldx = sh.lay(digits, ldx, rows, w.K, width, cs), sh.places(w.K)*width
	}
	cs.sums = mem.Sized(cs.sums, rows*sh.groups)
	for r0 := 0; r0 < rows; {
		tile := e.rows(planes, rows-r0)
		for r := range tile {
			to := cs.sums[r0*sh.groups+r:]
			for g, v := range x.Sums[(m+r0+r)*sh.groups:][:sh.groups] {
				to[g*tile] = v
			}
		}
		r0 += tile
	}
	return digits, ldx
}

// of is rows of digits as words.
func (f *wordKernel) of(digits []byte, ldx, rows, n, planes int, cs *codedScratch) (words []byte, ldw int) {
	ldw = n * f.width
	if len(cs.words) < rows*ldw {
		cs.words = mem.Bytes(rows * ldw)
	}
	for r := range rows {
		cs.make = wordsArgs{&cs.words[r*ldw], &digits[r*ldx : r*ldx+n*digitWidth(planes)][0], n}
		f.make(&cs.make)
	}
	return cs.words, ldw
}

var codedGeneric = &coder{
	unpack: func(panel, tiles []byte, c *Coded, table *[16]byte) {
		c.unpackGeneric(panel, tiles)
		if table != nil {
			for i, q := range panel {
				panel[i] = table[q]
			}
		}
	},
	read: func(x *Numbers, dst []float32, w *Weight, b, g0, g1 int) []float32 {
		x.read(dst, w, b, g0, g1)
		return dst
	},
	finish: finishGeneric,
	dot:    dotDigitsGeneric, expand: expandGeneric, merge: mergeGeneric, rows: func(_, _ int) int { return 1 },
}

// finishGeneric is the twin of finish, for any number of columns.
func finishGeneric(a *finishArgs) {
	for r := range a.rows {
		c, y, scale := viewAt(a.c, 16*r, a.n), viewAt(a.y, r*a.ldy/4, a.n), viewAt(a.scale, r*a.lds/4, 1)[0]
		for i, v := range c {
			v = float32(v * scale)
			if a.bias != nil {
				v += viewAt(a.bias, r*a.ldb/4+i, 1)[0]
			}
			if a.add != 0 {
				v = y[i] + v
			}
			y[i] = v
		}
	}
}

// dotDigitsGeneric is the twin of dot.
func dotDigitsGeneric(a *digitArgs, planes int, _ uint8) {
	weigh := [3]float32{1, 256, 65536}
	c := viewAt(a.c, 0, 16)
	for g := range a.groups {
		var sums [3][16]int32
		for l := g * a.lines; l < (g+1)*a.lines; l++ {
			step := 4 * digitWidth(planes)
			codes, x := viewAt(a.panel, l*64, 64), viewAt(a.x, l*step, step)
			for p := range planes {
				for i, q := range codes {
					sums[p][i/4] += int32(q) * int32(int8(x[4*p+i%4]))
				}
			}
		}
		scale, zero, sum := viewAt(a.scale, g*16, 16), viewAt(a.zero, g*a.zstep/4, 16), viewAt(a.sum, g, 1)[0]
		for n := range c {
			f := float32(sums[0][n])
			for p := 1; p < planes; p++ {
				f = num.FMA32(float32(sums[p][n]), weigh[p], f)
			}
			f = num.FMA32(-zero[n], sum, f)
			c[n] = num.FMA32(scale[n], f, c[n])
			if a.offset != nil {
				c[n] = num.FMA32(viewAt(a.offset, g*16, 16)[n], sum, c[n])
			}
		}
	}
}

// viewAt is n elements from the one at places after p.
func viewAt[T any](p *T, at, n int) []T {
	return unsafe.Slice((*T)(unsafe.Add(unsafe.Pointer(p), at*int(unsafe.Sizeof(*p)))), n)
}

// embedCoded is EmbedRow for format Codes.
func embedCoded(dst []float32, w *Weight, id int) {
	c, b, n := w.Coded, id/16, id%16
	column, groups := w.Data[b*w.codedBytes()+4*n:], w.GroupCount()
	var scale, zero, offset float32
	for j := range dst {
		if g := j / w.Group; j%w.Group == 0 {
			scale = c.Scale.at(w, b, g, n)
			if c.Offset.Form != 0 {
				offset = c.Offset.at(w, b, g, n)
			}
			if zero = float32(c.Zero); c.Zeros != nil {
				zero = float32(c.Zeros[(b*groups+g)*16+n])
			}
		}
		v := c.value(c.code(column, j), zero)
		v = float32(v * scale)
		if c.Factor != 0 {
			v *= c.Factor
		}
		if c.Offset.Form != 0 {
			v += offset
		}
		if c.Order != nil {
			dst[c.Order[j]] = v
		} else {
			dst[j] = v
		}
	}
}
