//go:build !purego

package kernels

//go:noescape
func dotCodes32AVX2(a *manyArgs)

//go:noescape
func dotCodes16AVX2(a *manyArgs)

//go:noescape
func dotWordsAVX2(a *manyArgs)

//go:noescape
func unpackI4AVX2(a, src *byte, lines int)

//go:noescape
func pairI4AVX2(a *int32, offset *int16, even, odd *byte)

//go:noescape
func widenWeightsAVX2(a, src *byte, lines int)

//go:noescape
func signed32AVX2(a, src *byte, sums *int16, chunks int)

//go:noescape
func signed16AVX2(a, src *byte, sums *int16, chunks int)

//go:noescape
func widenInputsAVX2(a, src *byte, n int)

// rowsMany computes all rows of blocks [b0, b1).
func (l *call) rowsMany(b0, b1 int) {
	x, w, s := l.x, l.w, l.s
	t := &s.many
	k, size, width := Pad(w.K, 64), 4, 2 // inputs, of a step, bytes of one
	dot := dotWordsAVX2
	if w.Format == I4 {
		k, size, width, dot = w.grouped(), min(w.Group, 32), 1, dotCodes32AVX2
		if size == 16 {
			dot = dotCodes16AVX2
		}
	}
	planes, n := x.planes(1), k/size
	pairs := (n + 1) / 2
	ldx := (Pad(k, 64) + 64) * width
	if ldx%512 == 0 { // rows in different sets of the cache
		ldx += 64
	}
	rows := min(max(manyBytes/ldx/planes/manyTile, 1)*manyTile, Pad(x.M, manyTile))
	total := Pad(rows*planes, manyTile)
	t.x = sized(t.x, total*ldx)
	s.grow(2*Pad(w.K, 64)*16*width, total*16) // for words, bytes first
	if w.Format == I4 {
		t.sums, t.gscale, t.offset = sized(t.sums, total*2*pairs), sized(t.gscale, 2*pairs*16), sized(t.offset, pairs*32)
	}
	for m0 := 0; m0 < x.M; m0 += rows {
		m := min(rows, x.M-m0)
		for i := range planes {
			for r := range m {
				l.inputs(i*m+r, [][]byte{x.Hi, x.Lo}[i][(m0+r)*x.Stride:], ldx, size, n)
			}
		}
		for b := b0; b < b1; b++ {
			panel := l.manyPanel(b, size, n)
			for r := 0; r < m*planes; r += manyTile {
				t.args = manyArgs{c: &s.c[r*16], x: &t.x[r*ldx], ldx: ldx, w: panel, n: n}
				if w.Format == I4 {
					a := &t.args
					a.gscale, a.start, a.offset = &t.gscale[0], &t.start[0], &t.offset[0]
					a.sums, a.lds, a.pairs = &t.sums[r*2*pairs], 4*pairs, pairs
				}
				callMany(dot, &t.args)
			}
			l.finish(s.c, 16, m0, m, m, b, 1)
		}
	}
}

// callMany is a call of assembly; see dot.
//
//go:noinline
func callMany(f func(*manyArgs), a *manyArgs) { f(a) }

// inputs puts a row into the scratch.
func (l *call) inputs(r int, row []byte, ldx, size, n int) {
	t := &l.s.many
	dst := &t.x[r*ldx]
	if l.w.Format != I4 {
		widenInputsAVX2(dst, &row[0], n/8)
		return
	}
	pairs := (n + 1) / 2
	sums := t.sums[r*2*pairs : (r+1)*2*pairs]
	sums[2*pairs-1] = 0
	if size == 32 {
		signed32AVX2(dst, &row[0], &sums[0], n)
	} else {
		signed16AVX2(dst, &row[0], &sums[0], n)
	}
}

// manyPanel unpacks a block of columns.
func (l *call) manyPanel(b, size, n int) *byte {
	w, t, kp := l.w, &l.s.many, Pad(l.w.K, 64)
	dst, src := &l.s.panel[0], &w.Data[b*blockBytes(w)]
	switch w.Format {
	case I8:
		widenWeightsAVX2(dst, src, kp/4)
		return dst
	case I6:
		bytes := l.s.panel[2*kp*16:][:kp*16]
		l.s.dot = dotArgs{w: src, g: &w.Groups[b*w.groups()*16], dst: &bytes[0], steps: w.grouped() / 8, group: w.Group / 8}
		expandI6AVX2(&l.s.dot)
		clear(bytes[w.grouped()*16:])
		widenWeightsAVX2(dst, &bytes[0], kp/4)
		return dst
	}
	unpackI4AVX2(dst, src, n*size/8)
	for i := range t.start {
		t.start[i] = 128 * w.Sum[16*b+i]
	}
	groups, each := w.Groups[b*w.groups()*16:], w.Group/size
	for c := 0; c < n; c += 2 { // the sums beside a last one alone are 0
		pairI4AVX2(&t.gscale[c*16], &t.offset[c*16], &groups[c/each*16], &groups[min(c+1, n-1)/each*16])
	}
	return dst
}
