package linear

import (
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

// The integer linear layer for every instruction set: Go walks blocks and
// rows, assembly sums (dot), unpacks int4 (expand) and scales (epilogue).
//
// A dot call takes two runs of h rows, each Stride apart, and some blocks of
// columns. For A8 the second run continues the first; where M leaves fewer
// rows they overlap, and what was computed twice is stored once. For A16 the
// runs are the planes Hi and Lo of the same rows. So no kernel has a tail in M.
// A tail in N repeats earlier blocks in the same way.
//
// Tiles are of linear_tile.go, arguments of linear_args.go. Columns go strip by strip, rows in passes that leave
// room for weights in the second-level cache. AMX and many rows on AVX2 have drivers of their own (linear_amx_amd64.go,
// linear_many.go).

// halfL2 is the size of inputs to keep in a core's L2 cache beside a panel of weights.
const halfL2 = 1 << 20

// feed is how a tile takes its rows.
type feed uint8

// Feeds. Where rows are not as they lie in Acts they are made so in the scratch, and the sums start at what that leaves out.
const (
	asPlanes feed = iota // bytes; A16 as two rows of bytes
	asWords              // one row of words, of A16 or A8: half the products on AVX2, which multiplies words
	asSigned             // bytes less 128, one or two rows, for codes of 4 bits on AVX2
)

// call is one Linear on a vector ISA.
type call struct {
	*vector
	y      []float32
	ldy    int
	x      *Acts
	w      *Weight
	b0     int // the block where rows of y begin
	add    bool
	mul    *float32 // not nil: what results are multiplied by, rows of 32
	wilds  wildArgs // of the columns that finish is at
	s      *Scratch
	tile   *tile
	feed   feed
	expand func(*dotArgs) // to I8, nil if the tile takes the weights as they are
}

// linear is the linearFunc of a vector ISA.
func (v *vector) linear(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	l := call{vector: v, y: y, ldy: ldy, x: x, w: w, b0: b0, add: add, s: s}
	l.tile, l.expand = v.tile(w.Format, x.planes(x.M))
	switch f := v.of(w.Format); {
	case f.words.blocks > 0 && (x.Form == A16 || x.M == 1):
		l.tile, l.feed = &f.words, asWords
	case f.signed:
		l.feed = asSigned
	}
	rows := passRows(x)
	l.reserve()
	for m := 0; m < x.M; m += rows {
		end := min(m+rows, x.M)
		for b := b0; b < b1; {
			v := l.strip(b, b1, x.planes(end-m))
			b += v.n
			l.columns(m, end, v, b < b1)
		}
	}
}

// reserve makes room in the scratch.
func (l *call) reserve() {
	t, kp := l.tile, num.Pad(l.w.K, 64)
	if l.feed != asPlanes {
		l.s.many.x, l.s.many.shape = mem.Sized(l.s.many.x, 2*kp), manyShape{}
	}
	panel, c := 0, max(2*t.maxRuns(), 1)*16*t.blocks
	if l.expand != nil {
		panel = t.blocks * kp * 16
	}
	switch {
	case l.w.Format == I4F:
		c = (c + 16*t.blocks) * l.w.GroupCount()
	case t.apart:
		c = max(c, 2*maxStream*16*t.blocks)
	}
	l.s.grow(panel, c)
}

// strip is the columns that calls of one tile compute: n blocks from b on. The tile reads its blocks from first
// on, step apart, and so many times those that follow.
type strip struct{ b, n, first, step, times int }

// strip returns the first of blocks [b, b1), for so many planes of rows.
func (l *call) strip(b, b1, planes int) strip {
	t, w := l.tile, l.w
	n := min(t.blocks, b1-b)
	if n == t.blocks && t.apart && planes <= 2 {
		times := min((b1-b)/n, maxStream, max(maxCall/(n*w.BlockBytes()), 1))
		return strip{b: b, n: times * n, first: b, step: times, times: times}
	}
	v := strip{b: b, n: n, first: b, step: 1, times: 1}
	if n < t.blocks { // a tail: neighbours are read too, or the one block again and again
		if v.first = w.Blocks() - t.blocks; v.first < 0 {
			v.first, v.step, v.n = b, 0, 1
		}
		v.first = min(v.first, b)
	}
	return v
}

// maxStream is how many blocks, one after the other, a kernel for up to two
// rows reads in each of its streams. Such a kernel waits for memory, which
// serves several long streams best.
const maxStream = 16

// maxCall is about how many bytes of weights a call of assembly reads: 100 us of a slow core.
const maxCall = 1 << 20

// planes is the number of rows that m rows of integer input are to a kernel.
func (x *Acts) planes(m int) int {
	if x.Form == A16 {
		return 2 * m
	}
	return m
}

// columns computes rows [m0, m1) of a strip, and fetches the weights of the next one if more follow.
func (l *call) columns(m0, m1 int, v strip, more bool) {
	l.aim(v)
	a, c := &l.s.dot, l.s.c
	var next []byte
	if more {
		next = l.w.Data[(v.b+v.n)*l.w.BlockBytes():][:l.w.BlockBytes()]
	}
	if l.vector.whole != nil && l.w.Format == I8 && l.x.Form == A8 && l.mul == nil && v.n == 4 && v.first == v.b && 16*(v.b+v.n) <= l.w.N {
		m0, next = l.turns(m0, m1, v, next)
	}
	for m := m0; m < m1; {
		h, done := 0, 1
		if l.feed != asWords {
			h, done = l.tile.runs(m1-m, l.x.Form)
		}
		l.point(m, h, done, v.first)
		a.c, a.times = &c[0], v.times // kernels count with them
		if a.fetch = nil; len(next) > 0 {
			a.fetch = &next[0]
			next = next[min(4*a.k, len(next)):]
		}
		l.dot(l.tile.rows[h], v.first)
		if l.feed == asWords && l.x.Form == A8 {
			joinBytes(c, a.ldc/4)
		}
		l.finish(l.y[m*l.ldy+16*(v.b-l.b0):], c[(v.b-v.first)*16:], a.ldc/4, m, max(h, 1), done, v.b, v.n)
		m += done
	}
}

// turns computes rows of four blocks, six a turn, in calls that make sums and their results at once; rows from the one that it returns on are left, and of next what is not yet fetched.
func (l *call) turns(m0, m1 int, v strip, next []byte) (int, []byte) {
	const rows, columns, calls = 6, 64, 16 << 20 // products of a call, some 100 us
	a, x, w := &l.s.whole, l.x, l.w
	*a = wholeArgs{lda: x.Stride, w: &w.Data[v.b*w.BlockBytes()], ws: w.BlockBytes(), k: num.Pad(w.K, 64), nextw: w.BlockBytes(),
		sum: &w.Sum[16*v.b], wscale: &w.Scale[16*v.b], count: len(w.Wild), ldy: 4 * l.ldy}
	if w.Bias != nil {
		a.bias = &w.Bias[16*v.b]
	}
	if a.count > 0 {
		a.wildw = &w.WildData[16*v.b*a.count]
	}
	if l.add {
		a.add = 1
	}
	for m1-m0 >= rows {
		a.turns = min((m1-m0)/rows, max(calls/(rows*columns*a.k), 1))
		if a.fetch = nil; len(next) > 0 { // a turn fetches a quarter
			a.turns, a.fetch = min(a.turns, 4), &next[0]
			next = next[min(4*a.k*a.turns, len(next)):]
		}
		a.x, a.y, a.zero, a.scale = &x.Hi[m0*x.Stride], &l.y[m0*l.ldy+16*(v.b-l.b0)], &x.Zero[m0], &x.Scale[m0]
		if a.count > 0 {
			a.wild = &x.Wild[m0*a.count]
		}
		l.callWhole(a)
		m0 += a.turns * rows
	}
	return m0, next
}

// callWhole is not inlined, as dot.
//
//go:noinline
func (l *call) callWhole(a *wholeArgs) { l.vector.whole(a) }

// aim sets what calls for a strip have in common, and expands its weights if they are.
func (l *call) aim(v strip) {
	a, w, t := &l.s.dot, l.w, l.tile
	*a = dotArgs{lda: l.x.Stride, k: num.Pad(w.K, 64), ws: v.step * w.BlockBytes(), nextw: w.BlockBytes(), cs: v.times * 64, ldc: v.times * t.blocks * 64}
	if w.Format != I8 {
		a.nextg, a.steps, a.group = w.GroupCount()*16, w.GroupedK()/8, w.Group/8
		a.gs = v.step * a.nextg
	}
	if l.expand != nil {
		blocks := t.blocks
		if v.step == 0 {
			blocks = 1
		}
		l.expandBlocks(l.s.panel, v.first, blocks)
		a.ws = v.step * a.k * 16
	}
}

// joinBytes adds up the sums of a row of A8 fed as words: of high bytes [n], then of low ones.
func joinBytes(c []int32, n int) {
	for i, low := range c[n : 2*n] {
		c[i] = c[i]<<8 + low
	}
}

// point sets the runs of h rows for rows [m, m+done).
func (l *call) point(m, h, done, first int) {
	a, x := &l.s.dot, l.x
	a.h, a.a0 = h, &x.Hi[m*x.Stride]
	switch {
	case x.Form == A16:
		a.a1 = &x.Lo[m*x.Stride]
	case h > 0:
		a.a1 = &x.Hi[(m+max(done-h, 0))*x.Stride]
	}
	switch l.feed {
	case asWords:
		l.row(m, first, a.ldc/4)
	case asSigned:
		l.less128(1+h, first, a.ldc/4)
	}
}

// dot runs a kernel on the tiles that begin with a block. It is
// not inlined: its prologue is where the goroutine can be stopped, which
// assembly never is.
//
//go:noinline
func (l *call) dot(kernel func(*dotArgs), block int) {
	a, w := &l.s.dot, l.w
	if w.Format != I8 {
		a.g = &w.Groups[block*w.GroupCount()*16]
	}
	if l.expand != nil {
		a.w = &l.s.panel[0]
	} else {
		a.w = &w.Data[block*w.BlockBytes()]
	}
	kernel(a)
}

// expandBlocks expands n blocks from first on into panel.
func (l *call) expandBlocks(panel []byte, first, n int) {
	w, a, kp := l.w, &l.s.dot, num.Pad(l.w.K, 64)
	a.steps, a.group = w.GroupedK()/8, w.Group/8
	for j := range n {
		dst := panel[j*kp*16:][:kp*16]
		a.w, a.g, a.dst = &w.Data[(first+j)*w.BlockBytes()], &w.Groups[(first+j)*w.GroupCount()*16], &dst[0]
		l.expand(a)
		clear(dst[a.steps*128:])
	}
}

// finish runs the epilogue on the sums c [2h][ldc] of rows [m, m+done), which go to y from its begin on.
func (l *call) finish(y []float32, c []int32, ldc, m, h, done, b, n int) {
	e, w := &l.s.epi, l.w
	*e = epilogueArgs{ldy: l.ldy * 4, ldc: ldc * 4, cols: min(16*n, w.N-16*b), mul: l.mul}
	if w.Format == I4F {
		planes := max(2*l.s.dot.h, 1)
		e.groups, e.gstep, e.gscale, e.sum = w.GroupCount(), (planes+1)*ldc*4, &w.GroupScale[b*w.GroupCount()*16], &c[planes*ldc]
	} else {
		e.wscale, e.sum = &w.Scale[16*b], &w.Sum[16*b]
	}
	if w.Bias != nil {
		e.bias = &w.Bias[16*b]
	}
	l.wilds = wildArgs{count: len(w.Wild), bias: e.bias, n: n, ldt: 64 * n}
	if l.wilds.count > 0 {
		l.wilds.w, e.ldb = &w.WildData[16*b*len(w.Wild)], l.wilds.ldt
	}
	if l.mul != nil {
		e.ldm = 4 * 32
	}
	if l.add {
		e.add = 1
	}
	switch {
	case l.x.Form == A16:
		e.lo = h * ldc * 4
		l.store(y, c, m, done)
	case done == 2*h || done <= h:
		l.store(y, c, m, done)
	default: // the second run repeats 2h-done rows of the first
		l.store(y, c, m, h)
		l.store(y[h*l.ldy:], c[(3*h-done)*ldc:], m+h, done-h)
	}
}

// store sends the first rows of c, results for rows m.. of x, to y.
func (l *call) store(y []float32, c []int32, m, rows int) {
	e := &l.s.epi
	e.y, e.c, e.rows, e.scale = &y[0], &c[0], rows, &l.x.Scale[m]
	if l.x.Form == A8 {
		e.zero = &l.x.Zero[m]
	}
	if a := &l.s.wilds; l.wilds.count > 0 {
		*a = l.wilds
		l.s.wild = mem.Sized(l.s.wild, rows*16*a.n)
		a.t, a.x, a.rows = &l.s.wild[0], &l.x.Wild[m*a.count], rows
		l.wild(a)
		e.bias = a.t
	}
	if e.groups > 0 {
		l.groupEpilogue(e)
	} else {
		l.epilogue(e)
	}
}

// grow makes room for a panel of n bytes and c sums.
func (s *Scratch) grow(n, c int) {
	if len(s.panel) < n {
		s.panel = mem.Bytes(n)
	}
	if len(s.c) < c {
		s.c = unsafe.Slice((*int32)(unsafe.Pointer(&mem.Bytes(c * 4)[0])), c)
	}
}
