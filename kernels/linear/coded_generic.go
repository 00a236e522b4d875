package linear

import (
	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/dot"
	"qpt/kernels/internal/mem"
)

// Layers of format Codes: a panel of float32 weights W (numerics N10.1) is made of some blocks, and multiplied as
// weights of format F32 are (N6.1), with one fused multiply-add a step on every ISA (N10.2).

// expander writes the weights of places [j0, j1) of block b as rows [16] of panel; j0 is a multiple of 8 and of the group.
type expander func(panel []float32, w *Weight, b, j0, j1 int, s *codedScratch)

// codedScratch is the working memory of expanders.
type codedScratch struct {
	panel, places        []float32
	scale, offset, zeros []float32 // [groups][16]
	table                [16]float32
	constant             [2][16]float32 // zero of all groups, and no offset
}

// numbers decodes what the groups of places [j0, j1) of block b have.
func (s *codedScratch) numbers(w *Weight, b, j0, j1 int) (groups int) {
	g0, g1 := j0/w.Group, (j1-1)/w.Group+1
	n := (g1 - g0) * 16
	c := w.Coded
	s.scale = mem.Sized(s.scale, n)
	c.Scale.read(s.scale, w, b, g0, g1)
	if s.offset = mem.Sized(s.offset, n); c.Offset.Form != 0 {
		c.Offset.read(s.offset, w, b, g0, g1)
	}
	if s.zeros = mem.Sized(s.zeros, n); c.Zeros != nil {
		for i, z := range c.Zeros[(b*w.GroupCount()+g0)*16:][:n] {
			s.zeros[i] = float32(z)
		}
	} else {
		for i := range s.zeros {
			s.zeros[i] = float32(c.Zero)
		}
	}
	return g1 - g0
}

// expandGeneric is the twin.
func expandGeneric(panel []float32, w *Weight, b, j0, j1 int, s *codedScratch) {
	c := w.Coded
	s.numbers(w, b, j0, j1)
	var codes [128]uint8
	tiles := w.Data[b*w.codedBytes():]
	for j := j0; j < j1; j++ {
		if j == j0 || j%8 == 0 {
			c.codes(tiles[j/8*c.Bits*16:], &codes)
		}
		g := (j/w.Group - j0/w.Group) * 16
		out := panel[(j-j0)*16:][:16]
		for n, q := range codes[j%8*16:][:16] {
			v := float32(c.value(q, s.zeros[g+n]) * s.scale[g+n])
			if c.Offset.Form != 0 {
				v += s.offset[g+n]
			}
			out[n] = v
		}
	}
}

// panelOf writes columns [k0, k1) of block b to panel [k1-k0][16]. With an order they must be all.
func (e expander) panelOf(panel []float32, w *Weight, b, k0, k1 int, s *codedScratch) {
	if w.Coded.Order == nil {
		e(panel, w, b, k0, k1, s)
		return
	}
	s.places = aligned(s.places, num.Pad(w.K, 8)*16)
	e(s.places, w, b, 0, w.K, s)
	for j, k := range w.Coded.Order {
		copy(panel[int(k)*16:][:16], s.places[j*16:])
	}
}

// codedRows are the rows of inputs that take a panel, and codedPlaces about how many columns one has.
const (
	codedRows   = 128
	codedPlaces = 256
)

// linear carries out Linear.
func (e expander) linear(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	step := w.K
	if w.Coded.Order == nil && w.Group <= 2*codedPlaces && w.Group%8 == 0 {
		step = max(codedPlaces/w.Group, 1) * w.Group
	} else if w.Coded.Order == nil && w.Group == w.K {
		step = codedPlaces
	}
	cs := &s.coded
	cs.panel = aligned(cs.panel, 2*num.Pad(min(step, w.K), 8)*16)
	s.float = mem.Sized(s.float, codedRows*32)
	for m := 0; m < x.M; m += codedRows {
		rows := min(codedRows, x.M-m)
		for b := b0; b < b1; b += 2 {
			nb := min(2, b1-b)
			c := s.float[:rows*32]
			clear(c)
			for k := 0; k < w.K; k += step {
				n := min(step, w.K-k)
				k8 := num.Pad(n, 8)
				for i := range nb {
					panel := cs.panel[i*k8*16:][:k8*16]
					e.panelOf(panel, w, b+i, k, k+n, cs)
					clear(panel[n*16:]) // inputs there are zero, and count for nothing
				}
				dotPanel(c, x.F32[m*x.Stride+k:], x.Stride, cs.panel[:nb*k8*16], k8*16, rows, nb, k8)
			}
			finishFloat(y[m*ldy+16*(b-b0):], ldy, c, 32, rows, w, b, b+nb, add)
		}
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
	column, groups := w.Data[b*w.codedBytes()+n:], w.GroupCount()
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
