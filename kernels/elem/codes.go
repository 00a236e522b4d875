package elem

import (
	"math"
	"qpt/internal/num"
)

// tiny is the least absmax that is quantized; rows below it become zeros (numerics N3.3).
const tiny = 1e-30

// RowScale returns absmax/top and top/absmax. When no codes can be computed the
// second is 0: scale 0 for a row of zeros, NaN for one with NaN or Inf.
func RowScale(x []float32, top float32) (scale, inv float32) {
	abs := math.Float32frombits(AbsMax(x))
	switch {
	case !(abs <= math.MaxFloat32):
		return float32(math.NaN()), 0
	case abs < tiny:
		return 0, 0
	}
	return abs / top, top / abs
}

// absMaxGeneric returns the bits of the largest |x|; as integers, so that Inf
// and then NaN are above every number.
func absMaxGeneric(x []float32) uint32 {
	var top uint32
	for _, v := range x {
		top = max(top, math.Float32bits(v)&0x7fffffff)
	}
	return top
}

// codes8Generic: dst = round(clamp(x*inv, lo, hi)) + zero; NaN counts as lo.
func codes8Generic(dst []byte, x []float32, inv float32, zero int32, lo, hi float32) {
	for i, v := range x {
		v *= inv
		if !(v > lo) {
			v = lo
		}
		if v > hi {
			v = hi
		}
		dst[i] = byte(num.RoundEven(v) + zero)
	}
}

// codes16Generic: round(x*inv) + 32768 into its high and low byte; |x*inv| < 32767.5.
func codes16Generic(hi, lo []byte, x []float32, inv float32) {
	for i, v := range x {
		q := num.RoundEven(v*inv) + 32768
		hi[i], lo[i] = byte(q>>8), byte(q)
	}
}

// roundBF16Generic: dst = wide = bf16(x * scale).
func roundBF16Generic(dst []uint16, wide, x []float32, scale float32) {
	for i, v := range x {
		dst[i] = num.BF16(v * scale)
		wide[i] = num.FromBF16(dst[i])
	}
}
