package linear

import (
	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

// How the codes of a block lie in panels of bytes, lines of [16][4], and digits of inputs beside them.

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
