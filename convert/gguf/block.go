package gguf

import (
	"encoding/binary"
	"math"

	"qpt/convert/stored"
	"qpt/internal/num"
)

// kind is a ggml type: blocks of so many values in so many bytes.
type kind struct {
	name          string
	values, bytes int

	// Plain types: the numbers of a run of bytes.
	numbers func(dst []float32, src []byte)

	// Types of codes: what matrices of them are, and how a block is taken apart. Neither: the type is refused.
	codes stored.Codes
	block func(b []byte, to *part)
}

// part is where the codes, scales and offsets of one block go.
type part struct {
	codes  []uint8
	scale  []float32
	offset []float32
}

// kinds has the types by their number in a file. The layouts are those of ggml's
// ggml-common.h and dequantize functions; FORMULAS and exactness: numerics N10.2.
var kinds = map[uint32]*kind{
	0:  {name: "F32", values: 1, bytes: 4, numbers: fromF32},
	1:  {name: "F16", values: 1, bytes: 2, numbers: fromF16},
	30: {name: "BF16", values: 1, bytes: 2, numbers: fromBF16},
	28: {name: "F64", values: 1, bytes: 8},
	24: {name: "I8", values: 1, bytes: 1}, 25: {name: "I16", values: 1, bytes: 2}, 26: {name: "I32", values: 1, bytes: 4}, 27: {name: "I64", values: 1, bytes: 8},

	2:  {name: "Q4_0", values: 32, bytes: 18, codes: stored.Codes{Bits: 4, Group: 32, Zero: 8}, block: q4x0},
	3:  {name: "Q4_1", values: 32, bytes: 20, codes: stored.Codes{Bits: 4, Group: 32, Offsets: true}, block: q4x1},
	6:  {name: "Q5_0", values: 32, bytes: 22, codes: stored.Codes{Bits: 5, Group: 32, Zero: 16}, block: q5x0},
	7:  {name: "Q5_1", values: 32, bytes: 24, codes: stored.Codes{Bits: 5, Group: 32, Offsets: true}, block: q5x1},
	8:  {name: "Q8_0", values: 32, bytes: 34, codes: stored.Codes{Bits: 8, Group: 32, Zero: 128}, block: q8x0},
	10: {name: "Q2_K", values: 256, bytes: 84, codes: stored.Codes{Bits: 2, Group: 16, Offsets: true}, block: q2k},
	11: {name: "Q3_K", values: 256, bytes: 110, codes: stored.Codes{Bits: 3, Group: 16, Zero: 4}, block: q3k},
	12: {name: "Q4_K", values: 256, bytes: 144, codes: stored.Codes{Bits: 4, Group: 32, Offsets: true}, block: q4k},
	13: {name: "Q5_K", values: 256, bytes: 176, codes: stored.Codes{Bits: 5, Group: 32, Offsets: true}, block: q5k},
	14: {name: "Q6_K", values: 256, bytes: 210, codes: stored.Codes{Bits: 6, Group: 16, Zero: 32}, block: q6k},
	20: {name: "IQ4_NL", values: 32, bytes: 18, codes: stored.Codes{Bits: 4, Group: 32, Table: iq4}, block: iq4nl},
	23: {name: "IQ4_XS", values: 256, bytes: 136, codes: stored.Codes{Bits: 4, Group: 32, Table: iq4}, block: iq4xs},
	34: {name: "TQ1_0", values: 256, bytes: 54, codes: stored.Codes{Bits: 2, Group: 256, Zero: 1}, block: tq1},
	35: {name: "TQ2_0", values: 256, bytes: 66, codes: stored.Codes{Bits: 2, Group: 256, Zero: 1}, block: tq2},
	39: {name: "MXFP4", values: 32, bytes: 17, codes: stored.Codes{Bits: 4, Group: 32, Table: fp4}, block: mxfp4},
	40: {name: "NVFP4", values: 64, bytes: 36, codes: stored.Codes{Bits: 4, Group: 16, Table: fp4}, block: nvfp4},

	16: {name: "IQ2_XXS", values: 256, bytes: 66, codes: stored.Codes{Bits: 3, Group: 32, Table: iq2}, block: iq2xxs},
	17: {name: "IQ2_XS", values: 256, bytes: 74, codes: stored.Codes{Bits: 3, Group: 16, Table: iq2}, block: iq2xs},
	22: {name: "IQ2_S", values: 256, bytes: 82, codes: stored.Codes{Bits: 3, Group: 16, Table: iq2}, block: iq2s},
	18: {name: "IQ3_XXS", values: 256, bytes: 98, codes: stored.Codes{Bits: 4, Group: 32, Table: iq3x}, block: iq3xxs},
	21: {name: "IQ3_S", values: 256, bytes: 110, codes: stored.Codes{Bits: 4, Group: 32, Table: iq3s}, block: iq3sBlock},
	19: {name: "IQ1_S", values: 256, bytes: 50, codes: stored.Codes{Bits: 3, Group: 32, Table: iq1}, block: iq1s},
	29: {name: "IQ1_M", values: 256, bytes: 56, codes: stored.Codes{Bits: 3, Group: 16, Table: iq1}, block: iq1m},
	41: {name: "Q1_0", values: 128, bytes: 18, codes: stored.Codes{Bits: 2, Group: 128, Table: []float32{-1, 1, 0, 0}}, block: q1x0},
	42: {name: "Q2_0", values: 64, bytes: 18, codes: stored.Codes{Bits: 2, Group: 64, Zero: 1}, block: q2x0},

	// Refused by name: intermediate forms, and what no tool writes any more.
	4: {name: "Q4_2", values: 16, bytes: 10}, 5: {name: "Q4_3", values: 16, bytes: 12},
	9: {name: "Q8_1", values: 32, bytes: 36}, 15: {name: "Q8_K", values: 256, bytes: 292},
	// Q4_0 and IQ4_NL with rows in the order of one processor's kernels: llama.cpp reads them no more either.
	31: {name: "Q4_0_4_4", values: 32, bytes: 18}, 32: {name: "Q4_0_4_8", values: 32, bytes: 18}, 33: {name: "Q4_0_8_8", values: 32, bytes: 18},
	36: {name: "IQ4_NL_4_4", values: 32, bytes: 18}, 37: {name: "IQ4_NL_4_8", values: 32, bytes: 18}, 38: {name: "IQ4_NL_8_8", values: 32, bytes: 18},
}

// iq4 are the values of IQ4_NL and IQ4_XS, fp4 twice those of E2M1.
var (
	iq4 = []float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	fp4 = []float32{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

func fromF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func fromF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = half(src[2*i:])
	}
}

func fromBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = num.FromBF16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func half(b []byte) float32 { return num.FromF16(binary.LittleEndian.Uint16(b)) }

// nibbles writes the low nibbles of b, then the high ones.
func nibbles(to []uint8, b []byte) {
	for i, v := range b {
		to[i], to[len(b)+i] = v&15, v>>4
	}
}

func q4x0(b []byte, to *part) {
	to.scale[0] = half(b)
	nibbles(to.codes, b[2:18])
}

func q4x1(b []byte, to *part) {
	to.scale[0], to.offset[0] = half(b), half(b[2:])
	nibbles(to.codes, b[4:20])
}

// fifth adds the fifth bits of 32 codes.
func fifth(to []uint8, high uint32) {
	for i := range to {
		to[i] |= uint8(high>>i&1) << 4
	}
}

func q5x0(b []byte, to *part) {
	to.scale[0] = half(b)
	nibbles(to.codes, b[6:22])
	fifth(to.codes, binary.LittleEndian.Uint32(b[2:]))
}

func q5x1(b []byte, to *part) {
	to.scale[0], to.offset[0] = half(b), half(b[2:])
	nibbles(to.codes, b[8:24])
	fifth(to.codes, binary.LittleEndian.Uint32(b[4:]))
}

func q8x0(b []byte, to *part) {
	to.scale[0] = half(b)
	for i, v := range b[2:34] {
		to.codes[i] = v ^ 128
	}
}

// q2k: 16 bytes of scale and offset nibbles, 64 of codes, d, dmin.
func q2k(b []byte, to *part) {
	d, least := half(b[80:]), half(b[82:])
	for g := range 16 {
		to.scale[g] = float32(d * float32(b[g]&15))
		to.offset[g] = -float32(least * float32(b[g]>>4))
	}
	for i := range to.codes {
		to.codes[i] = b[16+i/128*32+i%32] >> (i % 128 / 32 * 2) & 3
	}
}

// q3k: 32 bytes of high bits, 64 of low ones, 12 of 6-bit scales, d.
func q3k(b []byte, to *part) {
	d, s := half(b[108:]), b[96:108]
	for g := range 16 {
		low := s[g%8] >> (g / 8 * 4) & 15
		to.scale[g] = float32(d * float32(int(low|s[8+g%4]>>(g/4*2)&3<<4)-32))
	}
	for i := range to.codes {
		low := b[32+i/128*32+i%32] >> (i % 128 / 32 * 2) & 3
		to.codes[i] = low | b[i%32]>>(i/32)&1<<2
	}
}

// sixes are the eight 6-bit scales and offsets of Q4_K and Q5_K in 12 bytes.
func sixes(s []byte, j int) (scale, least uint8) {
	if j < 4 {
		return s[j] & 63, s[j+4] & 63
	}
	return s[j+4]&15 | s[j-4]>>6<<4, s[j+4]>>4 | s[j]>>6<<4
}

func scalesK(b []byte, to *part) {
	d, least := half(b), half(b[2:])
	for g := range 8 {
		s, m := sixes(b[4:16], g)
		to.scale[g], to.offset[g] = float32(d*float32(s)), -float32(least*float32(m))
	}
}

func q4k(b []byte, to *part) {
	scalesK(b, to)
	for j := range 4 {
		nibbles(to.codes[64*j:64*j+64], b[16+32*j:48+32*j])
	}
}

func q5k(b []byte, to *part) {
	scalesK(b, to)
	for j := range 4 {
		nibbles(to.codes[64*j:64*j+64], b[48+32*j:80+32*j])
	}
	for i := range to.codes {
		to.codes[i] |= b[16+i%32] >> (i / 32) & 1 << 4
	}
}

// q6k: 128 bytes of low bits, 64 of high ones, 16 scales, d.
func q6k(b []byte, to *part) {
	d := half(b[208:])
	for g := range 16 {
		to.scale[g] = float32(d * float32(int8(b[192+g])))
	}
	for i := range to.codes {
		h, q := i/128, i%128/32
		to.codes[i] = b[64*h+i%64]>>(q/2*4)&15 | b[128+32*h+i%32]>>(2*q)&3<<4
	}
}

// q1x0: a bit a value, 0 for -d.
func q1x0(b []byte, to *part) {
	to.scale[0] = half(b)
	for i := range to.codes {
		to.codes[i] = b[2+i/8] >> (i % 8) & 1
	}
}

func q2x0(b []byte, to *part) {
	to.scale[0] = half(b)
	for i := range to.codes {
		to.codes[i] = b[2+i/4] >> (i % 4 * 2) & 3
	}
}

func iq4nl(b []byte, to *part) {
	to.scale[0] = half(b)
	nibbles(to.codes, b[2:18])
}

func iq4xs(b []byte, to *part) {
	d, high := half(b), binary.LittleEndian.Uint16(b[2:])
	for g := range 8 {
		s := int(b[4+g/2]>>(g%2*4)&15) | int(high>>(2*g)&3)<<4
		to.scale[g] = float32(d * float32(s-32))
		nibbles(to.codes[32*g:32*g+32], b[8+16*g:24+16*g])
	}
}

// Digits of base 3: five a byte, as fractions of 256.
func tq1(b []byte, to *part) {
	to.scale[0] = half(b[52:])
	at := 0
	digits := func(b []byte, n int) {
		power := uint8(1)
		for range n {
			for _, v := range b {
				to.codes[at] = uint8(uint16(v*power) * 3 >> 8)
				at++
			}
			power *= 3
		}
	}
	digits(b[:32], 5)
	digits(b[32:48], 5)
	digits(b[48:52], 4)
}

func tq2(b []byte, to *part) {
	to.scale[0] = half(b[64:])
	for i := range to.codes {
		to.codes[i] = b[i/128*32+i%32] >> (i % 128 / 32 * 2) & 3
	}
}

// mxfp4: half of 2^(e-127), since the table is twice the values.
func mxfp4(b []byte, to *part) {
	to.scale[0] = float32(math.Ldexp(1, int(b[0])-128))
	nibbles(to.codes, b[1:17])
}

// nvfp4: four unsigned E4M3 scales; 0x7f counts as 0.
func nvfp4(b []byte, to *part) {
	for g := range 4 {
		e, m := int(b[g]>>3&15), float64(b[g]&7)
		switch {
		case b[g] == 0x7f:
			to.scale[g] = 0
		case e == 0:
			to.scale[g] = float32(math.Ldexp(m, -10))
		default:
			to.scale[g] = float32(math.Ldexp(8+m, e-11))
		}
		nibbles(to.codes[16*g:16*g+16], b[4+8*g:12+8*g])
	}
}
