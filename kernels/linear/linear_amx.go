package linear

import (
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/dot"
	"qpt/kernels/internal/mem"
)

// Linear layers on AMX: tiles of 32 rows x 32 columns. All rows of a pass go by a panel of 32 columns, a part of K at a time that
// the first-level cache holds; the rows and their sums lie in the second, and so does the panel to come. That one is
// expanded between the products if its weights are codes, and the one behind it fetched. A gate's panels alternate with those of
// the layer that it gates; the sink's steps are done tile by tile.

const (
	panelPart    = 1 << 10 // bytes of a column in a part: 32 KB of a panel
	fetchStreams = 8       // places of the weights to come that are fetched in turns
	tileSums     = 32 * 32
)

// amxArgs are the operands of a call: some tiles of rows, one after the other, and a part of a panel.
type amxArgs struct {
	c    *int32 // sums [tiles][2h][32], of float32 for BF16
	more int    // not 0: they go on from what c holds

	// Rows: two runs of h in each tile.
	a0, a1 *byte // the first of each run
	lda    int   // bytes from row to row
	h      int
	tiles  int
	nexta  int // bytes from the end of what is read of a row to its like in the next tile

	// Weights: two blocks.
	w     *byte
	ws    int // bytes from block to block, 0 to repeat one
	steps int // of 64 bytes of a row, 1 KB of a block

	// What to fetch: for each step so many lines, one of each stream in turns; streams lie span bytes apart.
	fetch uintptr // where the next line is
	round int     // streams left before the next line of the first
	span  int
	back  int // bytes from behind the last stream to the next line of the first
	lines int

	// What to expand, in units of 16 k of 16 columns: for each step so many. Places, not pointers: they end behind the last.
	codes, groups, panel uintptr
	codesLeft            int
	each, now            int // now counts
	group, groupLeft     int // units of a group
}

// amxPass is the rows of a pass.
type amxPass struct {
	amxArgs
	planes [2]*byte // the first row of each; one plane: the second nil
	kp     int      // bytes of a row
	per    int      // rows of a tile
	full   int      // whole tiles
	rest   int      // rows of one that is not, in two runs of restH, which begin apart bytes apart
	restH  int
	apart  int
}

// newPass is for rows whose planes begin at hi and lo, nil for one plane.
func newPass(hi, lo *byte, lda, rows, kp int) amxPass {
	p := amxPass{amxArgs: amxArgs{lda: lda}, planes: [2]*byte{hi, lo}, kp: kp, per: 32}
	if lo != nil {
		p.per = 16
	}
	p.full, p.rest = rows/p.per, rows%p.per
	if p.restH = p.rest; lo == nil {
		p.restH = (p.rest + 1) / 2
		p.apart = (p.rest - p.restH) * lda
	}
	return p
}

// tiles is how many tiles the rows are.
func (p *amxPass) tileCount() int { return p.full + min(p.rest, 1) }

// tile returns the rows of tile t, the h of its runs, and where its sums begin.
func (p *amxPass) tile(t int) (rows, h, c int) {
	if t == p.full {
		return p.rest, p.restH, t * tileSums
	}
	return p.per, 16, t * tileSums
}

// multiply sums the products of all rows and the panel of two blocks at w, fetching and expanding what is set.
func (p *amxPass) multiply(kernel func(*amxArgs), c []int32, w *byte, ws int) {
	part := p.kp
	if p.tileCount() > 1 {
		parts := (p.kp + panelPart - 1) / panelPart
		part = num.Pad((p.kp+parts-1)/parts, 64)
	}
	p.ws = ws
	for k := 0; k < p.kp; k += part {
		n := min(part, p.kp-k)
		p.more, p.steps, p.w = k, n/64, at(w, k*16)
		if p.full > 0 {
			p.point(0, k, 16, 16*p.lda)
			p.c, p.tiles, p.nexta = &c[0], p.full, p.per*p.lda-n
			p.call(kernel)
		}
		if p.rest > 0 {
			p.point(p.full, k, p.restH, p.apart)
			p.c, p.tiles = &c[p.full*tileSums], 1
			p.call(kernel)
		}
	}
}

// point sets the runs of tile t from byte k of its rows on.
func (p *amxPass) point(t, k, h, apart int) {
	k += t * p.per * p.lda
	p.h, p.a0 = h, at(p.planes[0], k)
	if p.a1 = at(p.a0, apart); p.planes[1] != nil {
		p.a1 = at(p.planes[1], k)
	}
}

// call is not inlined: its prologue is where the goroutine can be stopped, which assembly never is.
//
//go:noinline
func (p *amxPass) call(kernel func(*amxArgs)) { kernel(&p.amxArgs) }

// stepCount is how many steps multiply takes.
func (p *amxPass) stepCount() int { return p.tileCount() * p.kp / 64 }

// ahead sets what multiply fetches.
func (p *amxPass) ahead(next []byte) {
	p.span = len(next) / fetchStreams &^ 63
	lines := p.span / 64 * fetchStreams
	if p.lines = 0; lines > 0 {
		p.fetch, p.round = place(next), fetchStreams
		p.back = p.span*fetchStreams - 64
		p.lines = (lines + p.stepCount() - 1) / p.stepCount()
	}
}

func place(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

// at is the byte n behind p.
func at(p *byte, n int) *byte { return (*byte)(unsafe.Add(unsafe.Pointer(p), n)) }

// panelCall is some layers on the same rows, panel by panel: a gate and what it gates, or one.
type panelCall struct {
	call
	to     Sink
	first  int // the block where rows of Y begin
	layers [2]*Weight
	n, b1  int
	buffer [2][]byte // expanded panels, in turns
	pass   amxPass
	v, g   [tileSums]float32 // a tile of results, and one of the gate's
}

// sinkPanels is the sinkFunc in panels: v has the kernels of products, what expands to I8, and an epilogue.
func (v *vector) sinkPanels(to Sink, x *Acts, m0, m1 int, w *Weight, b0, b1 int, s *Scratch) {
	s.panels.start(v, to, 0, x, m0, m1, w, b0, b1, s)
}

// linearPanels is the linearFunc in panels.
func (v *vector) linearPanels(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	to := Sink{Y: y, Ld: ldy}
	if add {
		to.Add = y
	}
	s.panels.start(v, to, b0, x, 0, x.M, w, b0, b1, s)
}

func (l *panelCall) start(v *vector, to Sink, first int, x *Acts, m0, m1 int, w *Weight, b0, b1 int, s *Scratch) {
	l.call = call{vector: v, x: x, b0: b0, s: s}
	l.to, l.first, l.layers, l.n, l.b1 = to, first, [2]*Weight{w}, 1, b1
	if to.Gate != nil {
		l.layers, l.n = [2]*Weight{to.Gate, w}, 2
	}
	kp := num.Pad(w.K, 64)
	for i := range l.buffer {
		if len(l.buffer[i]) < 2*kp*16 && (l.expands(w) || l.expands(l.layers[0])) {
			l.buffer[i] = mem.Bytes(2 * kp * 16)
		}
	}
	rows := panelRows(x)
	for m := m0; m < m1; m += rows {
		n := min(rows, m1-m)
		switch at := m * x.Stride; x.Form {
		case ABF16:
			l.pass = newPass((*byte)(unsafe.Pointer(&x.BF16[at])), nil, 2*x.Stride, n, 2*kp)
		case A16:
			l.pass = newPass(&x.Hi[at], &x.Lo[at], x.Stride, n, kp)
		default:
			l.pass = newPass(&x.Hi[at], nil, x.Stride, n, kp)
		}
		l.run(m)
	}
}

func (l *panelCall) expands(w *Weight) bool { return l.of(w.Format).expand != nil }

// item is the layer, first block and number of blocks of a panel in order; those behind the last are of later columns.
func (l *panelCall) item(i int) (w *Weight, b, n int) {
	b = l.b0 + i/l.n*2
	return l.layers[i%l.n], b, min(2, l.b1-b)
}

// run computes the pass of rows from m on.
func (l *panelCall) run(m int) {
	p, s := &l.pass, l.s
	size := p.tileCount() * tileSums
	s.grow(0, l.n*size)
	l.expandNow(0)
	items := (l.b1 - l.b0 + 1) / 2 * l.n
	for i := range items {
		w, b, n := l.item(i)
		bytes, next := w.panelBytes(), i+1
		data, ws := &w.Data[b*bytes], (n-1)*bytes // a block alone twice
		if l.expands(w) {
			data, ws, next = &l.buffer[i%2][0], (n-1)*p.kp*16, i+2
		}
		kernel := l.of(I8).panels
		if w.Format == BF16 {
			kernel = l.of(BF16).panels
		} else if i+1 < items {
			kernel = l.prepare(i + 1)
		}
		after, nb, _ := l.item(next)
		bytes = after.panelBytes()
		p.ahead(after.Data[min(nb*bytes, len(after.Data)):min((nb+2)*bytes, len(after.Data))])
		p.multiply(kernel, s.c[i%l.n*size:][:size], data, ws)
		if i%l.n == l.n-1 {
			l.finishPanel(m, b, n, size)
		}
	}
}

// panelBytes is the size of a block.
func (w *Weight) panelBytes() int {
	if w.Format == BF16 {
		return dot.BlockSize(dot.BF16, num.Pad(w.K, 64))
	}
	return w.BlockBytes()
}

// expandNow expands item i into its buffer, if it is to be.
func (l *panelCall) expandNow(i int) {
	w, b, n := l.item(i)
	if l.expand = l.of(w.Format).expand; l.expand != nil {
		l.w = w
		l.expandBlocks(l.buffer[i%2], b, n)
	}
}

// prepare has item i expanded, now or by the kernel that it returns, which multiplies meanwhile.
func (l *panelCall) prepare(i int) func(*amxArgs) {
	p := &l.pass
	w, b, n := l.item(i)
	way := l.of(w.Format)
	if way.expand == nil || way.panels == nil || w.GroupCount()*w.Group != p.kp {
		l.expandNow(i)
		return l.of(I8).panels
	}
	p.codes, p.groups, p.panel = place(w.Data[b*w.BlockBytes():]), place(w.Groups[b*w.GroupCount()*16:]), place(l.buffer[i%2])
	p.codesLeft, p.group, p.groupLeft = n*p.kp/16, w.Group/16, w.Group/16
	p.each, p.now = (p.codesLeft+p.stepCount()-1)/p.stepCount(), 0
	return way.panels
}

// finishPanel brings the sums of a pass that begins at row m to the sink: those of block b and on, and the gate's before, size of each.
func (l *panelCall) finishPanel(m, b, n, size int) {
	to, p := &l.to, &l.pass
	cols := min(16*(b+n), l.layers[0].N) - 16*b
	for t := range p.tileCount() {
		rows, h, c := p.tile(t)
		r := m + t*p.per
		var y []float32
		if to.Y != nil {
			y = to.Y[r*to.Ld+16*(b-l.first):]
		}
		switch {
		case to.plain():
			l.finishTile(l.layers[0], y, to.Ld, nil, to.Add != nil, c, h, r, rows, b, n)
		case to.Gate == nil:
			l.finishTile(l.layers[0], l.v[:], 32, nil, false, c, h, r, rows, b, n)
			to.store(l.v[:], 32, r, rows, 16*b, cols)
		default:
			l.finishTile(to.Gate, l.g[:], 32, nil, false, c, h, r, rows, b, n)
			if to.Func != nil {
				to.Func(l.g[:32*rows], l.g[:32*rows])
			}
			if c += size; to.Acts == nil && l.x.Form != ABF16 {
				l.finishTile(l.layers[1], y, to.Ld, &l.g[0], false, c, h, r, rows, b, n)
				continue
			}
			l.finishTile(l.layers[1], l.v[:], 32, nil, false, c, h, r, rows, b, n)
			elem.Mul(l.v[:32*rows], l.g[:32*rows], l.v[:32*rows])
			to.store(l.v[:], 32, r, rows, 16*b, cols)
		}
	}
}

// finishTile makes results of the sums from c on, in two runs of h, for rows from m on, multiplied by mul if that is not nil.
func (l *panelCall) finishTile(w *Weight, y []float32, ldy int, mul *float32, add bool, c, h, m, rows, b, n int) {
	sums := l.s.c[c:]
	if l.x.Form != ABF16 {
		l.w, l.ldy, l.mul, l.add = w, ldy, mul, add
		l.finish(y, sums, 32, m, h, rows, b, n)
		return
	}
	f := unsafe.Slice((*float32)(unsafe.Pointer(&sums[0])), 2*h*32)
	finishFloat(y, ldy, f, 32, min(h, rows), w, b, b+n, add)
	if rows > h { // the second run repeats 2h-rows of the first
		finishFloat(y[h*ldy:], ldy, f[(3*h-rows)*32:], 32, rows-h, w, b, b+n, add)
	}
}

// panelRows is the rows of a pass in panels.
func panelRows(x *Acts) int {
	if x.Form == ABF16 {
		return passBF16(x)
	}
	return passRows(x)
}
