package gguf

import (
	_ "embed"
	"encoding/binary"
	"math/bits"
	"sync"

	"qpt/internal/num"
)

// Types of codebooks, IQ1 to IQ3: a group of 8 or 4 values is a point of a fixed list, its signs, and a scale. All values of a type are
// few, so that they are codes of a table: 8, 25, 43 and the negatives of IQ2; eight odd or nearly even numbers and the negatives of IQ3; -1, 0, 1,
// an eighth more or less, of IQ1, in eighths. The lists are part of the format, which grids.bin holds as its makers made them: data of ggml and gguf-py,
// copyright (c) 2023-2026 The ggml authors, who permit any use under the MIT licence (testdata/gen/gguf_grids.py).
//
//go:embed grids.bin
var gridData []byte

// Tables: the values of codes; of IQ2 and IQ3 those from the middle on are the negatives of those before.
var (
	iq1  = []float32{-9, -7, -1, 1, 7, 9, 0, 0}
	iq2  = []float32{8, 25, 43, 0, -8, -25, -43, 0}
	iq3x = []float32{4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62}
	iq3s = []float32{1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15}
)

// grid is a list of points, each of width values as places of the first half of a table.
type grid struct {
	width int
	at    []uint8
}

func (g *grid) point(i int) []uint8 { return g.at[i*g.width:][:g.width] }

// grids are those of IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ1.
var grids = sync.OnceValue(func() (list [6]*grid) {
	data := gridData
	for i, g := range [6]struct{ points, width, bits int }{{256, 8, 2}, {512, 8, 2}, {1024, 8, 2}, {256, 4, 4}, {512, 4, 4}, {2048, 8, 2}} {
		list[i] = &grid{g.width, make([]uint8, g.points*g.width)}
		per := 8 / g.bits
		for j := range list[i].at {
			list[i].at[j] = data[j/per] >> (j % per * g.bits) & (1<<g.bits - 1)
		}
		data = data[len(list[i].at)/per:]
	}
	return list
})

// put writes a point with signs, bit i that of value i.
func (g *grid) put(to []uint8, i int, signs uint8, minus uint8) {
	for j, c := range g.point(i) {
		to[j] = c | signs>>j&1*minus
	}
}

// even is the eight signs of seven bits: they are negative an even number of times.
func even(s uint32) uint8 {
	s &= 127
	return uint8(s) | uint8(bits.OnesCount32(s)&1)<<7
}

// iq2xxs: for each 32 values four points of a byte, four times seven bits of signs, four of scale.
func iq2xxs(b []byte, to *part) {
	d, g := half(b), grids()[0]
	for i := range 8 {
		p := b[2+8*i:]
		high := binary.LittleEndian.Uint32(p[4:])
		to.scale[i] = d * (0.5 + float32(high>>28)) * 0.25
		for j := range 4 {
			g.put(to.codes[32*i+8*j:], int(p[j]), even(high>>(7*j)), 4)
		}
	}
}

// iq2xs: for each 8 values nine bits of a point and seven of signs; nibbles of scales for each 16.
func iq2xs(b []byte, to *part) {
	d, g := half(b), grids()[1]
	nibbleScales(d, b[66:74], to)
	for i := range 32 {
		v := binary.LittleEndian.Uint16(b[2+2*i:])
		g.put(to.codes[8*i:], int(v&511), even(uint32(v>>9)), 4)
	}
}

// nibbleScales are d*(0.5 + nibble)/4.
func nibbleScales(d float32, nibbles []byte, to *part) {
	for i := range to.scale {
		to.scale[i] = d * (0.5 + float32(nibbles[i/2]>>(i%2*4)&15)) * 0.25
	}
}

// iq2s: for each 8 values the low byte of a point, a byte of signs, and two high bits.
func iq2s(b []byte, to *part) {
	d, g := half(b), grids()[2]
	nibbleScales(d, b[74:82], to)
	for i := range 32 {
		g.put(to.codes[8*i:], int(b[2+i])|int(b[66+i/4]>>(i%4*2)&3)<<8, b[34+i], 4)
	}
}

// iq3xxs: for each 4 values a point; for each 32 four times seven bits of signs, of 8 values, and four of scale.
func iq3xxs(b []byte, to *part) {
	d, g := half(b), grids()[3]
	for i := range 8 {
		high := binary.LittleEndian.Uint32(b[66+4*i:])
		to.scale[i] = d * (0.5 + float32(high>>28)) * 0.5
		for j := range 8 {
			g.put(to.codes[32*i+4*j:], int(b[2+8*i+j]), even(high>>(7*(j/2)))>>(j%2*4), 8)
		}
	}
}

// iq3sBlock: the low bytes of points, their high bits, signs, nibbles of scales for each 32.
func iq3sBlock(b []byte, to *part) {
	d, g := half(b), grids()[4]
	for i := range 8 {
		to.scale[i] = d * float32(1+2*int(b[106+i/2]>>(i%2*4)&15))
	}
	for i := range 64 {
		g.put(to.codes[4*i:], int(b[2+i])|int(b[66+i/8]>>(i%8)&1)<<8, b[74+i/2]>>(i%2*4), 8)
	}
}

// eighths writes the eight values of a point of IQ1, an eighth less or more, as places of iq1.
func eighths(to []uint8, point int, minus bool) {
	for j, c := range grids()[5].point(point) {
		if to[j] = 2*c + 1; minus {
			to[j]--
		}
	}
}

// iq1s: the low bytes of points; for each 32 values 16 bits: three high ones of each point, three of scale, the sign of the eighth.
func iq1s(b []byte, to *part) {
	d := half(b)
	for i := range 8 {
		high := binary.LittleEndian.Uint16(b[34+2*i:])
		to.scale[i] = d * float32(2*(high>>12&7)+1) * 0.125
		for j := range 4 {
			eighths(to.codes[32*i+8*j:], int(b[2+4*i+j])|int(high>>(3*j)&7)<<8, high>>15 != 0)
		}
	}
}

// iq1m: the low bytes of points; for each a nibble, three high bits and the sign of its eighth; four words of four scales of three
// bits, for each 16 values, whose highest nibbles make up d.
func iq1m(b []byte, to *part) {
	var words [4]uint16
	var h uint16
	for i := range words {
		words[i] = binary.LittleEndian.Uint16(b[48+2*i:])
		h |= words[i] >> 12 << (4 * i)
	}
	d := num.FromF16(h)
	for i := range to.scale {
		to.scale[i] = d * float32(2*(words[i/4]>>(i%4*3)&7)+1) * 0.125
	}
	for i := range 32 {
		q := b[32+i/2] >> (i % 2 * 4)
		eighths(to.codes[8*i:], int(b[i])|int(q&7)<<8, q&8 != 0)
	}
}
