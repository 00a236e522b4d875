package linear

import (
	"math"
	"unsafe"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/dot"
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

// rowArgs is what products of one row with blocks of codes as they are stored take; see digitArgs. Streams are runs of so many blocks, in which numbers, zeros and codes of a block follow
// those of the block before it; they go on side by side, turn by turn: a group of each, or the two of a tile.
type rowArgs struct {
	c                       *float32 // [streams][blocks][16]
	codes, x                *byte
	sum                     *float32 // [groups]
	streams, blocks, turns  int
	scale, offset, zero     *byte
	scaleForm, offsetForm   int // offsetForm 0: none
	zeroForm                int // 0: zero is [16]float32, for all groups
	scaleSuper, offsetSuper *float32
	run                     int      // turns of a float32 of products, less one
	table                   *byte    // of values, or nil
	next, last, back        rowSteps // from stream to stream, with the last turn too, and back to the first stream
	ahead                   int      // of codes, in bytes
	left, until             int      // counts: of streams, of turns until the next float32 of products
}

// rowSteps is the lines of a turn, and in bytes the digits of it and the way from where it ends in a stream to where it begins in the next.
type rowSteps struct{ lines, digits, codes, scale, offset, zero, super, c int }

// expandArgs is what expand takes: dst [lines*4][16] = table[code].
type expandArgs struct {
	dst   *float32
	src   *byte
	lines int
	table *float32
}

// mergeArgs is what merge takes: c[r][i] = fma(scale[i], sum[r][i], c[r][i]), and sums become 0.
type mergeArgs struct {
	c, sum, scale *float32 // [rows][16], 32 apart; scale [16]
	rows          int
}

// tableArgs is what products of one row with four blocks of codes as they are stored take: for each group from 0 f[b][i] = fma(x[k], value, f[b][i]),
// places k in order, and c[b][i] = fma(scale, f[b][i], c[b][i]).
type tableArgs struct {
	c             *float32 // [4][16]
	src           *byte    // of the first block
	ss, ahead     int      // bytes from block to block, and from codes to those that are fetched meanwhile
	x             *float32
	lines, groups int      // lines of 4 places of a group; of 4 bits an even number
	scale         *float32 // [4][..][16]
	scales        int      // bytes from block to block
	table         *float32
}

// finishArgs is what finish takes: y[r][i] = c[r][i]*scale + bias[i], added to what is there if add is not 0, for n columns.
type finishArgs struct {
	c, scale, bias, y *float32 // bias nil: none
	ldy, rows, add, n int      // ldy in bytes
	lds, ldb          int      // bytes from row to row of scale and bias
}

type tableWay int

const (
	table16  tableWay = iota // up to 16 values
	table256                 // more
	tableE4M3
)

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

// codedRows are the rows of inputs that take a panel, if their digits are no more than codedDigits bytes; codedPlaces is about how many
// places one has, floatPlaces one of float32.
const (
	codedRows   = 64
	codedDigits = 1 << 20
	codedPlaces = 1024
	floatPlaces = 256
)

// codedShape is how places lie in panels: in groups of whole lines.
type codedShape struct {
	group, padded, groups int
	step                  int // places of a panel, as in Data
	odd                   bool
}

// codedShape cuts rows into panels of about so many places.
func (w *Weight) codedShape(places int) (c codedShape) {
	c.group, c.groups = w.Group, w.GroupCount()
	c.padded = num.Pad(c.group, 4)
	c.odd = c.padded != c.group && c.groups > 1
	switch {
	case c.odd || c.groups == 1 || c.group%tilePlaces != 0 && c.group != 16:
		c.step = w.K
	default:
		c.step = max(places/c.group, 1) * c.group
	}
	return c
}

// places is the length of a row in panels.
func (c *codedShape) places(k int) int {
	if c.odd {
		k = c.groups * c.padded
	}
	return num.Pad(k, tilePlaces)
}

// at is where place j lies in a panel of an odd shape.
func (c *codedShape) at(j int) int { return j/c.group*c.padded + j%c.group }

// panel is the codes of places [k, k+n) of block b.
func (e *coder) panel(w *Weight, sh *codedShape, b, k, n int, table *[16]byte, s *codedScratch) []byte {
	tiles := (n + tilePlaces - 1) / tilePlaces
	data := w.Data[b*w.codedBytes()+k/tilePlaces*w.Coded.Bits*64:][:tiles*w.Coded.Bits*64]
	if w.Coded.Bits < 8 {
		if len(s.bytes) < tiles*512 {
			s.bytes = mem.Bytes(tiles * 512)
		}
		e.unpack(s.bytes[:tiles*512], data, w.Coded, table)
		data = s.bytes[:tiles*512]
	}
	if !sh.odd {
		return data
	}
	s.laid = mem.Sized(s.laid, sh.places(w.K)*16)
	clear(s.laid)
	for j := range w.K {
		at := j/sh.group*sh.padded + j%sh.group
		for c := range 16 {
			s.laid[at/4*64+c*4+at%4] = data[j/4*64+c*4+j%4]
		}
	}
	return s.laid
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

// codedFew are the rows that take codes as they are stored, one after the other; codedBytesEach is about how many bytes of them, which the second-level cache keeps meanwhile.
const (
	codedFew       = 3
	codedBytesEach = 256 << 10
)

// codedLong is from how many bytes on streams are worth their beginnings, which nothing fetches ahead; less in tests.
var codedLong = 768 << 10

// streams is how many runs of codes are read side by side for so many blocks, and how far ahead of themselves. Products in both scales and offsets are five runs of memory each, of which the processor
// does not follow twenty; in groups of many places streams take turns too seldom.
func (w *Weight) streams(blocks int) (n, ahead int) {
	switch c := w.Coded; {
	case c.Scale.Form == NumProduct && c.Offset.Form == NumProduct || w.Group > 512 || blocks*w.codedBytes() < codedLong:
		return 1, 16 << 10
	case c.Bits == 8:
		return 4, 1 << 10
	}
	return 4, 4 << 10
}

// rowKernel is the product of a row with codes as they are stored, nil if there is none for groups of this shape.
func (e *coder) rowKernel(w *Weight, sh *codedShape, planes int) func(*rowArgs) {
	half := sh.group == tilePlaces/2
	if e.row == nil || sh.odd || w.K%min(sh.group, tilePlaces) != 0 || !half && sh.group%tilePlaces != 0 {
		return nil
	}
	if planes == 2 {
		planes = 3 // the third digits are 0
	}
	return e.row(w.Coded, planes, half)
}

// eachRow is linear for few rows.
func (e *coder) eachRow(f func(*rowArgs), y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, cs *codedScratch) {
	step := codedBytesEach / w.codedBytes()
	if x.M == 1 {
		step *= 4
	}
	step = max(step, 1)
	cs.c = mem.Sized(cs.c, step*16)
	for b := b0; b < b1; b += step {
		blocks := min(step, b1-b)
		for r := range x.M {
			clear(cs.c[:blocks*16])
			streams, ahead := w.streams(blocks)
			streams = min(streams, blocks)
			whole := blocks - blocks%streams
			w.row(f, x, r, b, streams, whole/streams, ahead, cs.c, cs)
			if whole < blocks {
				w.row(f, x, r, b+whole, blocks-whole, 1, ahead, cs.c[whole*16:], cs)
			}
			if whole = blocks; 16*(b+blocks) > w.N {
				whole--
			}
			cs.result = finishArgs{c: &cs.c[0], scale: &cs.rowScale[r], y: &y[r*ldy+16*(b-b0)], ldy: 64, rows: whole, ldb: 64}
			if whole > 0 {
				e.results(w, b, add, cs)
			}
			if whole < blocks {
				cs.result = finishArgs{c: &cs.c[whole*16], scale: &cs.rowScale[r], y: &y[r*ldy+16*(b+whole-b0)], rows: 1}
				e.results(w, b+whole, add, cs)
			}
		}
	}
}

// row multiplies row r by streams of so many blocks each from b on.
func (w *Weight) row(f func(*rowArgs), x *Acts, r, b, streams, blocks, ahead int, sums []float32, cs *codedScratch) {
	c, groups, supers, width := w.Coded, w.GroupCount(), (w.K+superPlaces-1)/superPlaces, digitWidth(w.Coded.Round.digits())
	places := min(max(w.Group, tilePlaces), w.K) // of a turn
	turns := (w.K + places - 1) / places
	a := &cs.row
	*a = rowArgs{c: &sums[0], codes: &w.Data[b*w.codedBytes()], x: &x.Hi[r*x.Stride*width], sum: &x.Sums[r*groups], streams: streams, blocks: blocks, turns: turns, ahead: ahead, left: streams, until: 0,
		zero: (*byte)(unsafe.Pointer(&cs.constant[0])), run: superPlaces/places - 1,
		next: w.rowSteps(blocks, places), last: w.rowSteps(blocks, w.K-(turns-1)*places), back: w.rowSteps((streams-1)*blocks, 0)}
	at := func(n *Numbers) (*byte, int, *float32) {
		switch n.Form {
		case 0:
			return nil, 0, nil
		case NumProduct:
			return &n.Data[b*groups*16], int(n.Form), &n.Super[b*supers*16]
		}
		return &n.Data[b*groups*16*n.Form.Bytes()], int(n.Form), nil
	}
	a.scale, a.scaleForm, a.scaleSuper = at(&c.Scale)
	a.offset, a.offsetForm, a.offsetSuper = at(&c.Offset)
	if c.Zeros != nil {
		a.zero, a.zeroForm = &c.Zeros[b*groups*16], 1
	}
	if t := c.ways().table; t != nil {
		a.table = &t[0]
	}
	f(a)
}

// rowSteps is the way over so many blocks, less the n places of a turn.
func (w *Weight) rowSteps(blocks, n int) rowSteps {
	c, tiles := w.Coded, (n+tilePlaces-1)/tilePlaces
	numbers := (blocks*w.GroupCount() - (n+w.Group-1)/w.Group) * 16
	s := rowSteps{lines: n / 4, digits: tiles * tilePlaces * digitWidth(c.Round.digits()), codes: blocks*w.codedBytes() - tiles*c.Bits*64,
		scale: numbers * c.Scale.Form.Bytes(), offset: numbers * c.Offset.Form.Bytes(), super: blocks * ((w.K + superPlaces - 1) / superPlaces) * 64, c: blocks * 64}
	if c.Zeros != nil {
		s.zero = numbers
	}
	return s
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

// way is how values of a table are looked up.
func (c *Coded) way() tableWay {
	switch {
	case len(c.Table) <= 16:
		return table16
	case len(c.Table) < 256:
		return table256
	}
	for q, v := range c.Table {
		if math.Float32bits(v) != math.Float32bits(E4M3(byte(q))) {
			return table256
		}
	}
	return tableE4M3
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

// lay brings digits to their places in panels of an odd shape.
func (c *codedShape) lay(digits []byte, ldx, rows, k, width int, cs *codedScratch) []byte {
	n := c.places(k) * width
	if len(cs.digits) < rows*n+64 {
		cs.digits = mem.Bytes(rows*n + 64)
	}
	clear(cs.digits[:rows*n])
	for r := range rows {
		for j := range k {
			at := c.at(j)
			from, to := digits[r*ldx+j/4*4*width+j%4:], cs.digits[r*n+at/4*4*width+at%4:]
			for p := 0; p < 4*width; p += 4 {
				to[p] = from[p]
			}
		}
	}
	return cs.digits
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

// linearTable is linear for other values, by panels of float32: groups one after the other, some of which are longer than a panel.
func (e *coder) linearTable(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	cs, c, sh := &s.coded, w.Coded, w.codedShape(floatPlaces)
	if !sh.odd && sh.group > floatPlaces {
		sh.step = floatPlaces
	}
	way, table := c.ways().way, c.Table
	if way == table16 {
		copy(cs.table[:], table)
		table = cs.table[:]
	}
	size := num.Pad(sh.step, tilePlaces) * 16
	if sh.odd {
		size = sh.places(w.K) * 16
	}
	cs.floats = aligned(cs.floats, 2*size)
	for m := 0; m < x.M; m += codedRows {
		rows := min(codedRows, x.M-m)
		in, ldx := x.F32[m*x.Stride:], x.Stride
		if sh.odd {
			ldx = sh.places(w.K)
			cs.rows = mem.Sized(cs.rows, rows*ldx)
			clear(cs.rows)
			for r := range rows {
				for j, v := range x.F32[(m+r)*x.Stride:][:w.K] {
					cs.rows[r*ldx+sh.at(j)] = v
				}
			}
			in = cs.rows
		}
		from := b0
		if f := e.table[way]; rows == 1 && f != nil && !sh.odd && (way == tableE4M3 || c.Bits == 4) && w.K%8 == 0 && sh.group%8 == 0 {
			cs.c = mem.Sized(cs.c, 64)
			for ; from+4 <= b1; from += 4 {
				e.fourBlocks(f, w, &sh, in, table, from, cs)
				finishFloat(y[m*ldy+16*(from-b0):], ldy, cs.c, 64, 1, w, from, from+4, add)
			}
		}
		cs.c, cs.sum = mem.Sized(cs.c, rows*32), mem.Sized(cs.sum, rows*32)
		clear(cs.sum)
		for b := from; b < b1; b += 2 {
			nb := min(2, b1-b)
			clear(cs.c)
			for k := 0; k < w.K; k += sh.step {
				n := min(sh.step, w.K-k)
				for i := range nb {
					panel := e.panel(w, &sh, b+i, k, n, nil, cs)
					cs.expand = expandArgs{&cs.floats[i*size], &panel[0], len(panel) / 64, &table[0]}
					e.expand(&cs.expand, way)
				}
				if sh.odd {
					n = sh.places(w.K)
				}
				e.floatGroups(w, &sh, b, nb, k, n, rows, in, ldx, size, cs)
			}
			finishFloat(y[m*ldy+16*(b-b0):], ldy, cs.c, 32, rows, w, b, b+nb, add)
		}
	}
}

// floatGroups adds to the results of nb blocks what rows times n places of a panel of float32 from k on give; the sum of a group that goes on stays for the next panel.
func (e *coder) floatGroups(w *Weight, sh *codedShape, b, nb, k, n, rows int, in []float32, ldx, size int, cs *codedScratch) {
	g0, g1 := k/sh.padded, min((k+n-1)/sh.padded+1, sh.groups)
	lines := (g1 - g0) * 16
	cs.scale = mem.Sized(cs.scale, 2*lines)
	var scale [2][]float32
	for i := range nb {
		scale[i] = e.read(&w.Coded.Scale, cs.scale[i*lines:][:lines], w, b+i, g0, g1)
	}
	for g := g0; g < g1; g++ {
		from, to := max(g*sh.padded, k), min((g+1)*sh.padded, k+n)
		dotPanel(cs.sum, in[from:], ldx, cs.floats[(from-k)*16:], size, rows, nb, num.Pad(to-from, 4))
		if to < (g+1)*sh.padded && k+n < w.K {
			return
		}
		for i := range nb {
			cs.merge = mergeArgs{&cs.c[16*i], &cs.sum[16*i], &scale[i][(g-g0)*16], rows}
			e.merge(&cs.merge)
		}
	}
}

// fourBits is about how many bytes of codes of each of four blocks are read at a time, times the bits of one, while the second-level cache fetches those that come next.
const fourBits = 32 << 10

// fourBlocks computes blocks b to b+3 for the row x, without a panel.
func (e *coder) fourBlocks(f func(*tableArgs), w *Weight, sh *codedShape, x, table []float32, b int, cs *codedScratch) {
	clear(cs.c)
	bytes := 2 * w.Coded.Bits // of a place
	step := max(fourBits/w.Coded.Bits/bytes/sh.group, 1) * sh.group
	cs.scale = mem.Sized(cs.scale, 4*16*step/sh.group)
	for k := 0; k < w.K; k += step {
		n := min(step, w.K-k)
		g0, g1 := k/sh.group, (k+n-1)/sh.group+1
		size := (g1 - g0) * 16
		for i := range 4 {
			if read := e.read(&w.Coded.Scale, cs.scale[i*size:][:size], w, b+i, g0, g1); &read[0] != &cs.scale[i*size] {
				copy(cs.scale[i*size:], read) // they are float32 in memory
			}
		}
		a := &cs.four
		*a = tableArgs{c: &cs.c[0], ss: w.codedBytes(), ahead: step * bytes, scales: 4 * size, table: &table[0]}
		if k+n == w.K { // what comes next is the first of four blocks more
			a.ahead = 4*a.ss - k*bytes
		}
		lines, whole := sh.group/4, n/sh.group
		for from := 0; from < g1-g0; from, whole = from+whole, 1 {
			if whole == 0 || from > 0 {
				whole, lines = 1, (n-from*sh.group)/4
			}
			at := k + from*sh.group
			a.src, a.x, a.scale = &w.Data[b*a.ss+at*bytes], &x[at], &cs.scale[from*16]
			a.lines, a.groups = lines, whole
			f(a)
		}
	}
}

// expandGeneric is the twin of expand.
func expandGeneric(a *expandArgs, _ tableWay) {
	dst := viewAt(a.dst, 0, a.lines*64)
	for i, q := range viewAt(a.src, 0, a.lines*64) {
		dst[(i/64*4+i%4)*16+i%64/4] = viewAt(a.table, int(q), 1)[0]
	}
}

// mergeGeneric is the twin of merge.
func mergeGeneric(a *mergeArgs) {
	scale := viewAt(a.scale, 0, 16)
	for r := range a.rows {
		c, sum := viewAt(a.c, r*32, 16), viewAt(a.sum, r*32, 16)
		for i, v := range sum {
			c[i] = num.FMA32(scale[i], v, c[i])
		}
		clear(sum)
	}
}

// aligned is mem.Sized from a cache line on.
func aligned(b []float32, n int) []float32 {
	if cap(b) < n {
		return mem.Floats(n)
	}
	return b[:n]
}

// dotPanel is dot.Rows of float32, fused on every ISA.
func dotPanel(c, a []float32, lda int, b []float32, stride, rows, nb, k int) {
	if cpu.Active() >= cpu.AVX2 {
		dot.Rows(dot.F32, c, 32, a, lda, num.BytesOf(b), stride*4, rows, nb, k)
		return
	}
	for r := range rows {
		for j := range nb {
			c, b := (*[16]float32)(c[r*32+j*16:]), b[j*stride:]
			for i, v := range a[r*lda:][:k] {
				for n, w := range b[i*16:][:16] {
					c[n] = num.FMA32(v, w, c[n])
				}
			}
		}
	}
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
