package linear

import (
	"math"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/dot"
	"qpt/kernels/internal/mem"
)

// Layers of codes whose values are no integers (numerics N10.2): tables of any float32, e4m3.

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

type tableWay int

const (
	table16  tableWay = iota // up to 16 values
	table256                 // more
	tableE4M3
)

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
