// Package num holds the number formats and rounding rules shared by every other package (spec/numerics.md N1).
package num

import "math"

// BF16 rounds x to bfloat16, ties to even; NaN stays NaN (numerics N1.1).
func BF16(x float32) uint16 {
	b := math.Float32bits(x)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// FromBF16 widens a bfloat16 exactly.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F16 rounds x to IEEE half precision, ties to even; overflow gives infinity (numerics N1.1).
func F16(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x477ff000: // 65520 and above round to infinity
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(b))*(1<<24)))
	}
	b += 0xfff + b>>13&1
	return sign | uint16(b>>13-112<<10)
}

// FromF16 widens an IEEE half exactly.
func FromF16(h uint16) float32 {
	e, m := h>>10&31, h&1023
	var f float32
	switch e {
	case 0:
		f = float32(m) / (1 << 24)
	case 31:
		f = math.Float32frombits(0x7f800000 | uint32(m)<<13)
	default:
		f = math.Float32frombits((uint32(e)+112)<<23 | uint32(m)<<13)
	}
	return math.Float32frombits(math.Float32bits(f) | uint32(h>>15)<<31)
}

// RoundEven rounds to the nearest integer, ties to even (numerics N1.2). It is
// exact for |x| < 2^22; larger values must be clamped first.
func RoundEven(x float32) int32 {
	const magic = 3 << 22
	// The conversion keeps a product that the caller passes from being fused with this sum.
	return int32(math.Float32bits(float32(x)+magic)) - 0x4b400000
}
