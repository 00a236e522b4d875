package num

import (
	"math"
	"unsafe"
)

// FMA32 is x*y + z, rounded once. The product is exact in binary64; the sum,
// rounded there, rounds to the right binary32 unless it lies on a tie of
// binary32 (bit 28 alone below the mantissa) or is subnormal there.
func FMA32(x, y, z float32) float32 {
	s := float64(x)*float64(y) + float64(z)
	if b := math.Float64bits(s); b<<35 == 1<<63 || b<<1 < 897<<53 {
		return fmaToOdd(x, y, z)
	}
	return float32(s)
}

// fmaToOdd rounds the binary64 sum to odd, so that the rounding to binary32
// sees on which side of a tie the exact sum lies.
func fmaToOdd(x, y, z float32) float32 {
	p, z64 := float64(x)*float64(y), float64(z)
	s := p + z64
	zp := s - p
	if e := (p - (s - zp)) + (z64 - zp); e != 0 { // s + e is exact
		if b := math.Float64bits(s); b&1 == 0 {
			if e > 0 == (s > 0) {
				b++
			} else {
				b--
			}
			s = math.Float64frombits(b)
		}
	}
	return float32(s)
}

// Pow2 returns 2^n for -127 < n < 128.
func Pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// Pad returns n rounded up to a multiple of m.
func Pad(n, m int) int { return (n + m - 1) / m * m }

// Finite tells whether x is neither NaN nor an infinity.
func Finite[T float32 | float64](x T) bool { return x-x == 0 }

// BytesOf is the memory of v, as files hold it: every machine that this runs on is little-endian.
func BytesOf[T float32 | int32](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*4)
}
