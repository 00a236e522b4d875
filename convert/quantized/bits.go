package quantized

import (
	"encoding/binary"
	"math"
	"slices"

	"qpt/convert/safetensors"
	"qpt/internal/num"
)

// fields unpacks a stream of b-bit numbers, the first in the lowest bits, from bit on; b is at most 8.
// Little-endian words of any width are such a stream.
func fields(dst []uint8, src []byte, bit, b int) {
	if bit == 0 && b == 4 { // the common case
		for ; len(dst) >= 2; dst, src = dst[2:], src[1:] {
			dst[0], dst[1] = src[0]&15, src[0]>>4
		}
	}
	mask := uint16(1)<<b - 1
	for i := range dst {
		at := bit + i*b
		w := uint16(src[at/8])
		if at%8+b > 8 {
			w |= uint16(src[at/8+1]) << 8
		}
		dst[i] = uint8(w >> (at % 8) & mask)
	}
}

// word is 32-bit word i of p.
func word(p []byte, i int) uint32 { return binary.LittleEndian.Uint32(p[4*i:]) }

// number is number i of p, of a dtype of floats.
func number(p []byte, i int, d safetensors.DType) float32 {
	switch d {
	case safetensors.F32:
		return math.Float32frombits(word(p, i))
	case safetensors.BF16:
		return num.FromBF16(binary.LittleEndian.Uint16(p[2*i:]))
	}
	return num.FromF16(binary.LittleEndian.Uint16(p[2*i:]))
}

var (
	nan     = float32(math.NaN())
	negZero = float32(math.Copysign(0, -1))
)

// power is 2^n, exact for -149 <= n <= 127.
func power(n int) float32 { return float32(math.Ldexp(1, n)) }

// e4m3 are the values of FP8 E4M3 (fn: no infinities, 0x7f and 0xff are NaN).
var e4m3 = func() (table []float32) {
	for c := range 256 {
		e, m := c>>3&15, float32(c&7)
		v := (1 + m/8) * power(e-7)
		switch {
		case e == 15 && m == 7:
			v = nan
		case e == 0:
			v = m / 8 * power(-6)
		}
		if c&128 != 0 {
			v = -v
		}
		table = append(table, v)
	}
	return table
}()

// e4m3Table is e4m3 with 0 in the place of NaN, which no matrix may hold.
var e4m3Table = func() []float32 {
	table := slices.Clone(e4m3)
	table[0x7f], table[0xff] = 0, 0
	return table
}()

// fp4 are the values of FP4 E2M1.
var fp4 = []float32{0, .5, 1, 1.5, 2, 3, 4, 6, negZero, -.5, -1, -1.5, -2, -3, -4, -6}

// fp6 are the values of FP6 E2M3, the sign in the highest bit.
var fp6 = func() []float32 {
	table := make([]float32, 64)
	for q := range 32 {
		v := float32(q%8) / 8
		if e := q / 8; e > 0 {
			v = (1 + v) * float32(int(1)<<(e-1))
		}
		table[q], table[q+32] = v, v*-1
	}
	return table
}()

// e8m0 is 2^(x-127); 255 is NaN.
func e8m0(x uint8) float32 {
	if x == 255 {
		return nan
	}
	return power(int(x) - 127)
}
