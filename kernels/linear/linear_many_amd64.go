//go:build !purego

package linear

import (
	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

//go:noescape
func dotCodes32AVX2(a *manyArgs)

//go:noescape
func dotCodes16AVX2(a *manyArgs)

//go:noescape
func dotWordsAVX2(a *manyArgs)

//go:noescape
func dotWordsA16AVX2(a *manyArgs)

//go:noescape
func startSumsAVX2(a, src *int32, n int)

//go:noescape
func wordsAVX2(a, hi, lo *byte, n int)

//go:noescape
func unpackI4AVX2(a, src *byte, lines int)

//go:noescape
func split32AVX2(a, src *byte, sums *int16, chunks int)

//go:noescape
func split16AVX2(a, src *byte, sums *int16, chunks int)

//go:noescape
func pairI4AVX2(a, offset *int16, even, odd *byte)

//go:noescape
func widenWeightsAVX2(a, src *byte, lines int)

//go:noescape
func signed32AVX2(a, src *byte, sums *int16, chunks int)

//go:noescape
func signed16AVX2(a, src *byte, sums *int16, chunks int)

//go:noescape
func widenInputsAVX2(a, src *byte, n int)

// row makes words of row m for a tile from block first on, and starts the sums: ldc without their low bytes, and ldc low bytes.
func (l *call) row(m, first, ldc int) {
	x, s := l.x, l.s
	s.dot.a0 = &s.many.x[0]
	clear(s.c[:2*ldc])
	l.toWords(s.dot.a0, m*x.Stride, num.Pad(x.K, 64))
	if x.Form == A16 {
		startSums(s.c[:ldc], l.w.Sum[16*first:])
	}
}

// less128 makes bytes less 128 of one or two rows for a tile from block first on, and starts the sums.
func (l *call) less128(rows, first, ldc int) {
	a, t, w := &l.s.dot, &l.s.many, l.w
	split := split32AVX2
	if a.size = 32; w.Group == 16 {
		split, a.size = split16AVX2, 16
	}
	a.steps, a.group = w.GroupedK()/a.size, w.Group/a.size
	t.sums = mem.Sized(t.sums, 4*a.steps)
	a.sums = &t.sums[0]
	for i, row := range []**byte{&a.a0, &a.a1}[:rows] {
		dst := &t.x[i*num.Pad(w.K, 64)]
		split(dst, *row, &t.sums[2*i], a.steps)
		*row = dst
		startSums(l.s.c[i*ldc:][:ldc], w.Sum[16*first:])
	}
}

// toWords makes words of the k values of a row that begins at byte from of its planes.
func (l *call) toWords(dst *byte, from, k int) {
	if l.x.Form == A16 {
		wordsAVX2(dst, &l.x.Hi[from], &l.x.Lo[from], k/16)
	} else {
		widenInputsAVX2(dst, &l.x.Hi[from], k/32)
	}
}

// startSums sets sums to what inputs with 128 added have more.
func startSums(c, sum []int32) { startSumsAVX2(&c[0], &sum[0], min(len(c), len(sum))/8) }

// linearMany is the linearFunc for many rows.
func (v *vector) linearMany(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, ep Epilogue, s *Scratch) {
	l := call{vector: v, y: y, ldy: ldy, x: x, w: w, ep: ep, s: s}
	t := &s.many
	k, size, width := num.Pad(w.K, 64), 4, 2 // inputs, of a step, bytes of one
	dot := dotWordsAVX2
	codes := w.Format == I4 && x.Form == A8
	switch {
	case x.Form == A16:
		dot = dotWordsA16AVX2
	case codes:
		k, size, width, dot = w.GroupedK(), min(w.Group, 32), 1, dotCodes32AVX2
		if size == 16 {
			dot = dotCodes16AVX2
		}
	}
	n := k / size
	pairs := (n + 1) / 2
	ldx := (num.Pad(k, 64) + 64) * width
	if ldx%512 == 0 { // rows in different sets of the cache
		ldx += 64
	}
	rows := min(max(manyBytes/ldx/manyTile, 1)*manyTile, num.Pad(x.M, manyTile))
	t.x = mem.Sized(t.x, rows*ldx)
	s.grow(2*num.Pad(w.K, 64)*16*width, 2*rows*16) // for words, bytes first
	if codes {
		t.sums, t.gscale, t.offset = mem.Sized(t.sums, rows*2*pairs), mem.Sized(t.gscale, 2*pairs*32), mem.Sized(t.offset, pairs*32)
	}
	for m0 := 0; m0 < x.M; m0 += rows {
		m := min(rows, x.M-m0)
		for r := range m {
			l.inputs(r, (m0+r)*x.Stride, ldx, size, n, codes)
		}
		for b := b0; b < b1; b++ {
			panel := l.manyPanel(b, size, n, codes)
			startSums(t.start[:], w.Sum[16*b:])
			for r := 0; r < m; r += manyTile {
				t.args = manyArgs{c: &s.c[r*16], x: &t.x[r*ldx], ldx: ldx, w: panel, n: n, lo: rows * 64, start: &t.start[0]}
				if r == 0 && b+1 < b1 {
					t.args.fetch = &w.Data[(b+1)*w.BlockBytes()]
				}
				if codes {
					a := &t.args
					a.gscale, a.offset = &t.gscale[0], &t.offset[0]
					a.sums, a.lds, a.pairs = &t.sums[r*2*pairs], 4*pairs, pairs
				}
				callMany(dot, &t.args)
			}
			l.finish(s.c, 16, m0, rows, m, b, 1)
		}
	}
}

// callMany is a call of assembly; see dot.
//
//go:noinline
func callMany(f func(*manyArgs), a *manyArgs) { f(a) }

// inputs puts a row, which begins at byte from of its planes, into the scratch.
func (l *call) inputs(r, from, ldx, size, n int, codes bool) {
	t, row := &l.s.many, l.x.Hi[from:]
	dst := &t.x[r*ldx]
	if !codes {
		l.toWords(dst, from, n*size)
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
func (l *call) manyPanel(b, size, n int, codes bool) *byte {
	w, t, kp := l.w, &l.s.many, num.Pad(l.w.K, 64)
	dst, src := &l.s.panel[0], &w.Data[b*w.BlockBytes()]
	if !codes {
		if w.Format != I8 {
			expand, bytes := expandI6AVX2, l.s.panel[2*kp*16:][:kp*16]
			if w.Format == I4 {
				expand = expandI4AVX2
			}
			l.s.dot = dotArgs{w: src, g: &w.Groups[b*w.GroupCount()*16], dst: &bytes[0], steps: w.GroupedK() / 8, group: w.Group / 8}
			expand(&l.s.dot)
			clear(bytes[w.GroupedK()*16:])
			src = &bytes[0]
		}
		widenWeightsAVX2(dst, src, kp/4)
		return dst
	}
	unpackI4AVX2(dst, src, n*size/8)
	groups, each := w.Groups[b*w.GroupCount()*16:], w.Group/size
	for c := 0; c < n; c += 2 { // the sums beside a last one alone are 0
		pairI4AVX2(&t.gscale[c*32], &t.offset[c*16], &groups[c/each*16], &groups[min(c+1, n-1)/each*16])
	}
	return dst
}
