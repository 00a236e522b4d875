package linear

import (
	"unsafe"

	"qpt/kernels/internal/mem"
)

// Few rows, multiplied by codes as they are stored (numerics N10.2): blocks of columns without a panel.

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
