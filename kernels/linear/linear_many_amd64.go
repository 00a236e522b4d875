//go:build !purego

package linear

import (
	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

//go:noescape
func dotCodes32x4AVX2(a *manyArgs)

//go:noescape
func unpackCodes32x4AVX2(a *manyArgs)

//go:noescape
func dotCodes32x6AVX2(a *manyArgs)

//go:noescape
func unpackCodes32x6AVX2(a *manyArgs)

//go:noescape
func dotCodes16x4AVX2(a *manyArgs)

//go:noescape
func unpackCodes16x4AVX2(a *manyArgs)

//go:noescape
func dotCodes16x6AVX2(a *manyArgs)

//go:noescape
func unpackCodes16x6AVX2(a *manyArgs)

//go:noescape
func dotWordsx4AVX2(a *manyArgs)

//go:noescape
func dotWordsx6AVX2(a *manyArgs)

//go:noescape
func dotWordsA16x4AVX2(a *manyArgs)

//go:noescape
func dotWordsA16x6AVX2(a *manyArgs)

//go:noescape
func startSumsAVX2(a, src *int32, n int)

//go:noescape
func wordsAVX2(a, hi, lo *byte, n int)

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

// many is the assembly of one kind of weights: for the first rows of a pass on a block, then for the others.
type many struct{ four, six [2]func(*manyArgs) }

// alike is many whose first rows are like the others.
func alike(four, six func(*manyArgs)) many {
	return many{[2]func(*manyArgs){four, four}, [2]func(*manyArgs){six, six}}
}

var (
	wordsMany    = alike(dotWordsx4AVX2, dotWordsx6AVX2)
	wordsA16Many = alike(dotWordsA16x4AVX2, dotWordsA16x6AVX2)
	codes16Many  = many{[2]func(*manyArgs){unpackCodes16x4AVX2, dotCodes16x4AVX2}, [2]func(*manyArgs){unpackCodes16x6AVX2, dotCodes16x6AVX2}}
	codes32Many  = many{[2]func(*manyArgs){unpackCodes32x4AVX2, dotCodes32x4AVX2}, [2]func(*manyArgs){unpackCodes32x6AVX2, dotCodes32x6AVX2}}
)

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
func (v *vector) linearMany(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	l := call{vector: v, y: y, ldy: ldy, x: x, w: w, b0: b0, add: add, s: s}
	t, sh := &s.many, newManyShape(x, w)
	dot := &wordsMany
	switch {
	case sh.codes && sh.size == 16:
		dot = &codes16Many
	case sh.codes:
		dot = &codes32Many
	case x.Form == A16:
		dot = &wordsA16Many
	}
	s.grow(2*num.Pad(w.K, 64)*16*sh.width, 2*sh.rows*16) // for words, bytes first
	if sh.codes {
		t.sums, t.gscale, t.offset = mem.Sized(t.sums, sh.rows*2*sh.pairs), mem.Sized(t.gscale, 2*sh.pairs*32), mem.Sized(t.offset, sh.pairs*32)
	}
	made := t.keep && x.M <= sh.rows && t.shape == sh // by the call before
	t.shape, t.x = sh, mem.Sized(t.x, sh.rows*sh.ldx)
	for m0 := 0; m0 < x.M; m0 += sh.rows {
		m := min(sh.rows, x.M-m0)
		for r := 0; r < m && !made; r++ {
			l.inputs(r, (m0+r)*x.Stride)
		}
		for b := b0; b < b1; b++ {
			panel := l.manyPanel(b)
			startSums(t.start[:], w.Sum[16*b:])
			for r := 0; r < m; {
				f, rows := dot.six, manyTile
				if left := m - r; left <= 4 || left == 7 || left == 8 {
					f, rows = dot.four, 4
				}
				t.args = manyArgs{c: &s.c[r*16], x: &t.x[r*sh.ldx], ldx: sh.ldx, w: panel, n: sh.n, lo: sh.rows * 64, start: &t.start[0]}
				if r == 0 && b+1 < b1 {
					t.args.fetch = &w.Data[(b+1)*w.BlockBytes()]
				}
				if sh.codes {
					a := &t.args
					a.packed, a.gscale, a.offset = &w.Data[b*w.BlockBytes()], &t.gscale[0], &t.offset[0]
					a.sums, a.lds, a.pairs = &t.sums[r*2*sh.pairs], 4*sh.pairs, sh.pairs
				}
				callMany(f[min(r, 1)], &t.args)
				r += rows
			}
			l.finish(y[m0*ldy+16*(b-b0):], s.c, 16, m0, sh.rows, m, b, 1)
		}
	}
}

// callMany is a call of assembly; see dot.
//
//go:noinline
func callMany(f func(*manyArgs), a *manyArgs) { f(a) }

// inputs puts a row, which begins at byte from of its planes, into the scratch.
func (l *call) inputs(r, from int) {
	t, row := &l.s.many, l.x.Hi[from:]
	sh := &t.shape
	dst := &t.x[r*sh.ldx]
	if !sh.codes {
		l.toWords(dst, from, sh.k)
		return
	}
	sums := t.sums[r*2*sh.pairs : (r+1)*2*sh.pairs]
	sums[2*sh.pairs-1] = 0
	if sh.size == 32 {
		signed32AVX2(dst, &row[0], &sums[0], sh.n)
	} else {
		signed16AVX2(dst, &row[0], &sums[0], sh.n)
	}
}

// manyPanel is where a block of columns is unpacked to: words now, codes with the first rows.
func (l *call) manyPanel(b int) *byte {
	codes, size, n := l.s.many.shape.codes, l.s.many.shape.size, l.s.many.shape.n
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
	groups, each := w.Groups[b*w.GroupCount()*16:], w.Group/size
	for c := 0; c < n; c += 2 { // the sums beside a last one alone are 0
		pairI4AVX2(&t.gscale[c*32], &t.offset[c*16], &groups[c/each*16], &groups[min(c+1, n-1)/each*16])
	}
	return dst
}
