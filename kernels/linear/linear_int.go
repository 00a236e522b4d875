package linear

import (
	"qpt/internal/num"
	"qpt/kernels/internal/mem"
	"unsafe"
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
// AVX2 multiplies words, so there a row of A16 is one row of words for I8 (way.words) and
// where rows are many: half the products. Such kernels give the sums that the planes would have.
// They take single rows of A8 as well. With I4 it takes bytes less 128 (way.signed). Rows are
// made so in the scratch, and the sums start at what that leaves out.

// halfL2 is the size of inputs to keep in a core's L2 cache beside a panel of weights.
const halfL2 = 1 << 20

// dotArgs is what dot and expand kernels take; one struct, so that a table can
// hold them and nothing is allocated for a call.
type dotArgs struct {
	// c gets the sums [2h][blocks][16], the first run's rows first; for I4F
	// [G][2h+1][blocks][16], the last row being the sums of weights.
	c *int32
	// Kernels for up to two rows go on for so many tiles, whose blocks follow
	// in memory; cs and ldc are bytes from block to block and row to row of the
	// sums of all of them. Those of AMX go on with the rows nexta bytes on.
	times, nextw, nextg int
	nexta               int
	cs, ldc             int
	a0, a1              *byte // first row of each run
	lda                 int   // bytes from row to row
	w                   *byte // first block
	ws                  int   // bytes from block to block, 0 to repeat one
	k                   int   // of this call: Kp, or a part
	// Grouped formats: group bytes, bytes from block to block, steps of 8 k with a
	// group and steps in one group; dst is expand's output. For signed inputs
	// a step is of size k, and sums has the rows' of each, [steps][2][2].
	g     *byte
	gs    int
	steps int
	group int
	size  int
	sums  *int16
	dst   *byte
	h     int // rows of a run, for kernels that take any number
	more  int // not 0: the sums go on from what c holds, for kernels that take K in parts
	// What to fetch meanwhile: the rows of y, ldy bytes apart, and from fetch on
	// some lines for each 64 k.
	y     *float32
	ldy   int
	rows  int
	fetch *byte
	lines int
}

// epilogueArgs is rows x cols sums on their way to y (numerics N3.5).
type epilogueArgs struct {
	y            *float32
	ldy          int // bytes
	c            *int32
	ldc          int // bytes
	lo           int // bytes from the sums of Hi to those of Lo, 0 for A8
	rows, cols   int
	zero         *int32
	scale        *float32
	wscale, bias *float32 // bias may be nil
	sum          *int32
	add          int
	// I4F: c and sum are those of the first group, gstep bytes from group to
	// group; gscale has the groups of the first block, then of the next.
	groups, gstep int
	gscale        *float32
}

// tile is the dot kernels of one format: columns in blocks, and by rows:
// rows[0] takes one row, rows[h] two runs of h; nil where there is none.
// Kernels for up to two rows that are apart know cs and ldc.
type tile struct {
	blocks int
	rows   []func(*dotArgs)
	apart  bool
}

// vector is the integer kernels of one instruction set.
type vector struct {
	i8, i6, i4, i4f way
	epilogue        func(*epilogueArgs)
	groupEpilogue   func(*epilogueArgs) // I4F
	// When rows fill several tiles: how many of them a call takes (0 or 1: one), and of K (0: all).
	tall, chunk int
}

// way is how weights of one format are multiplied.
type way struct {
	tiles  []tile         // for few rows first
	words  tile           // for a row as words, see row; empty: as planes
	expand func(*dotArgs) // to I8, for more rows than the tiles take; nil if they are as fast
	signed bool           // the tiles take bytes less 128
}

// of returns the way of a format.
func (v *vector) of(f Format) *way {
	switch f {
	case I6:
		return &v.i6
	case I4:
		return &v.i4
	case I4F:
		return &v.i4f
	}
	return &v.i8
}

// maxRuns is the greatest h of a tile, 0 if it is empty.
func (t *tile) maxRuns() int {
	return max(len(t.rows)-1, 0)
}

// runs returns how a call covers the next of m rows: the kernel's h and the
// rows done.
func (t *tile) runs(m int, form ActForm) (h, done int) {
	if form == A16 {
		h = min(m, t.maxRuns())
		return h, h
	}
	if m == 1 && t.rows[0] != nil {
		return 0, 1
	}
	h = min((m+1)/2, t.maxRuns())
	return h, min(2*h, m)
}

// call is one Linear on a vector ISA.
type call struct {
	*vector
	y      []float32
	ldy    int
	x      *Acts
	w      *Weight
	b0     int // the block where rows of y begin
	add    bool
	s      *Scratch
	tile   *tile
	expand func(*dotArgs) // to I8, nil if the tile takes the weights as they are
	words  bool           // the tile takes rows as words
	signed bool           // or bytes less 128
}

// linear is the linearFunc of a vector ISA.
func (v *vector) linear(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	planes := x.planes(x.M)
	t, expand := v.tile(w.Format, planes)
	f := v.of(w.Format)
	words := &f.words
	l := call{vector: v, y: y, ldy: ldy, x: x, w: w, b0: b0, add: add, s: s, tile: t, expand: expand, signed: f.signed,
		words: words.blocks > 0 && (x.Form == A16 || x.M == 1)}
	if l.words {
		t, l.tile = words, words
	}
	if l.words || l.signed {
		s.many.x, s.many.shape = mem.Sized(s.many.x, 2*num.Pad(w.K, 64)), manyShape{}
	}
	panel, c := 0, max(2*t.maxRuns(), 1)*16*t.blocks
	if t.apart {
		c = max(c, 2*maxStream*16*t.blocks)
	}
	if expand != nil {
		panel = t.blocks * num.Pad(w.K, 64) * 16
	}
	if w.Format == I4F {
		c = (c + 16*t.blocks) * w.GroupCount()
	}
	rows := passRows(x)
	if v.tall > 1 {
		c = (x.planes(rows) + 1) * 16 * t.blocks
	}
	s.grow(panel, c)
	for m := 0; m < x.M; m += rows {
		l.rows(m, min(m+rows, x.M), b0, b1)
	}
}

// tile chooses by format and plane rows; with expand it wants the weights as I8.
func (v *vector) tile(f Format, planes int) (t *tile, expand func(*dotArgs)) {
	w := v.of(f)
	for i := range w.tiles {
		if t = &w.tiles[i]; planes <= max(2*t.maxRuns(), 1) {
			return t, nil
		}
	}
	if w.expand != nil {
		t = &v.i8.tiles[len(v.i8.tiles)-1]
	}
	return t, w.expand
}

// rows computes rows [m0, m1) of blocks [b0, b1).
func (l *call) rows(m0, m1, b0, b1 int) {
	t, w := l.tile, l.w
	for b := b0; b < b1; {
		n, stream := min(t.blocks, b1-b), 1
		first, step := b, 1
		switch {
		case n < t.blocks:
			// A tail: neighbours are read too, or the one block again and again.
			if first = min(b, w.Blocks()-t.blocks); first < 0 {
				first, step, n = b, 0, 1
			}
		case t.apart && l.x.planes(m1-m0) <= 2:
			stream = min((b1-b)/n, maxStream, max(maxCall/(n*w.BlockBytes()), 1))
			step, n = stream, stream*n
		}
		l.columns(m0, m1, first, step, b, n, stream)
		b += n
	}
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

// columns computes rows [m0, m1) of blocks [b, b+n), reading the tile's blocks
// from first, step blocks apart, and so many times the ones that follow.
func (l *call) columns(m0, m1, first, step, b, n, times int) {
	t, x, w, s := l.tile, l.x, l.w, l.s
	kp := num.Pad(w.K, 64)
	a := &s.dot
	*a = dotArgs{lda: x.Stride, ws: step * w.BlockBytes(), k: kp, nextw: w.BlockBytes(), cs: times * 64, ldc: times * t.blocks * 64}
	if w.Format != I8 {
		a.nextg, a.steps, a.group = w.GroupCount()*16, w.GroupedK()/8, w.Group/8
		a.gs = step * a.nextg
	}
	if l.expand != nil {
		l.panel(first, step)
		a.ws = step * kp * 16
	}
	part, lines := kp, 8
	if full := 2 * t.maxRuns(); l.tall > 1 && x.planes(m1-m0) > full {
		tiles := (x.planes(m1-m0) + full - 1) / full
		lines = min(lines, (t.blocks*w.BlockBytes()/kp+tiles-1)/tiles) // evenly
		if l.chunk > 0 {
			part = l.chunk
		}
	}
	fetch := (b + n) * w.BlockBytes()
	end := min(fetch+t.blocks*w.BlockBytes(), len(w.Data))
	for k0 := 0; k0 < kp; k0 += part {
		a.k, a.more = min(part, kp-k0), k0
		c := s.c
		for m := m0; m < m1; {
			h, done, tiles := 0, 1, 1
			if !l.words {
				h, done = t.runs(m1-m, x.Form)
			}
			if h == t.maxRuns() {
				tiles = max(min((m1-m)/done, l.tall), 1)
			}
			l.point(m, h, done, k0, first)
			a.c, a.nexta = &c[0], done*x.Stride
			// Calls fetch the next blocks meanwhile, and the rows that they complete.
			a.lines, a.rows = 0, 0
			if fetch < end {
				a.fetch, a.lines = &w.Data[fetch], lines
				fetch += tiles * a.k * lines
			}
			ends := k0+a.k == kp
			if ends {
				a.y, a.ldy, a.rows = &l.y[m*l.ldy+16*(b-l.b0)], l.ldy*4, tiles*done
			}
			l.dot(t.rows[h], first, k0, times*tiles)
			if l.words && x.Form == A8 {
				for i, low := range c[a.ldc/4 : a.ldc/2] {
					c[i] = c[i]<<8 + low
				}
			}
			sums := c
			for range tiles {
				if ends {
					l.finish(sums[(b-first)*16:], a.ldc/4, m, max(h, 1), done, b, n)
				}
				sums = sums[2*h*a.ldc/4:]
				m += done
			}
			if part < kp {
				c = sums
			}
		}
	}
}

// point sets the runs of h rows for rows [m, m+done) from k0 on; kernels that take other bytes get them made.
func (l *call) point(m, h, done, k0, first int) {
	a, x := &l.s.dot, l.x
	a.h, a.a0 = h, &x.Hi[m*x.Stride+k0]
	switch {
	case x.Form == A16:
		a.a1 = &x.Lo[m*x.Stride+k0]
	case h > 0:
		a.a1 = &x.Hi[(m+max(done-h, 0))*x.Stride+k0]
	}
	switch {
	case l.words:
		l.row(m, first, a.ldc/4)
	case l.signed:
		l.less128(1+h, first, a.ldc/4)
	}
}

// dot runs a kernel on the tile that begins with a block and some k, and more tiles. It is
// not inlined: its prologue is where the goroutine can be stopped, which
// assembly never is.
//
//go:noinline
func (l *call) dot(kernel func(*dotArgs), block, k0, times int) {
	a, w := &l.s.dot, l.w
	a.times = times
	if w.Format != I8 {
		a.g = &w.Groups[block*w.GroupCount()*16]
	}
	if l.expand != nil {
		a.w = &l.s.panel[k0*16]
	} else {
		a.w = &w.Data[block*w.BlockBytes()+k0*16] // k0 is 0 but for I8
	}
	kernel(a)
}

// panel expands the tile's blocks into s.panel.
func (l *call) panel(first, step int) {
	w, a, kp, blocks := l.w, &l.s.dot, num.Pad(l.w.K, 64), l.tile.blocks
	if step == 0 {
		blocks = 1
	}
	for j := range blocks {
		dst := l.s.panel[j*kp*16:][:kp*16]
		a.w, a.g, a.dst = &w.Data[(first+j)*w.BlockBytes()], &w.Groups[(first+j)*w.GroupCount()*16], &dst[0]
		l.expand(a)
		clear(dst[a.steps*128:])
	}
}

// finish runs the epilogue on the sums c [2h][ldc] of rows [m, m+done).
func (l *call) finish(c []int32, ldc, m, h, done, b, n int) {
	e, w := &l.s.epi, l.w
	*e = epilogueArgs{ldy: l.ldy * 4, ldc: ldc * 4, cols: min(16*n, w.N-16*b)}
	if w.Format == I4F {
		planes := max(2*l.s.dot.h, 1)
		e.groups, e.gstep, e.gscale, e.sum = w.GroupCount(), (planes+1)*ldc*4, &w.GroupScale[b*w.GroupCount()*16], &c[planes*ldc]
	} else {
		e.wscale, e.sum = &w.Scale[16*b], &w.Sum[16*b]
	}
	if w.Bias != nil {
		e.bias = &w.Bias[16*b]
	}
	if l.add {
		e.add = 1
	}
	switch {
	case l.x.Form == A16:
		e.lo = h * ldc * 4
		l.store(c, m, done, b)
	case done == 2*h || done <= h:
		l.store(c, m, done, b)
	default: // the second run repeats 2h-done rows of the first
		l.store(c, m, h, b)
		l.store(c[(3*h-done)*ldc:], m+h, done-h, b)
	}
}

// store sends the first rows of c to rows m.. of y.
func (l *call) store(c []int32, m, rows, b int) {
	e := &l.s.epi
	e.y, e.c, e.rows, e.scale = &l.y[m*l.ldy+16*(b-l.b0)], &c[0], rows, &l.x.Scale[m]
	if l.x.Form == A8 {
		e.zero = &l.x.Zero[m]
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
