package elem

import (
	"fmt"
	"math"

	"qpt/internal/num"
)

// tiny is the least absmax that is quantized; rows below it become zeros (numerics N3.3).
const tiny = 1e-30

// AbsMax returns the bits of the largest |x|; as integers, so that Inf and then NaN are above every number.
func AbsMax(x []float32) uint32 { return active().absMax(x) }

// Codes8 is dst = round(clamp(x*inv, lo, hi)) + zero, each step rounded; NaN counts as lo.
func Codes8(dst []byte, x []float32, inv float32, zero int32, lo, hi float32) {
	active().codes8(dst[:len(x)], x, inv, zero, lo, hi)
}

// Codes8Rows is Codes8 of each n of x, which begin ld codes apart in dst.
func Codes8Rows(dst []byte, ld int, x []float32, n int, inv float32, zero int32, lo, hi float32) {
	if n <= 0 || ld < n || len(x)%n != 0 || len(x) > 0 && len(dst) < (len(x)/n-1)*ld+n {
		panic(fmt.Sprintf("elem: %d numbers in rows of %d for %d codes, %d from row to row", len(x), n, len(dst), ld))
	}
	if f := active().codes8Rows; f != nil && n%8 == 0 && len(x) > 0 {
		f(dst, ld, x, n, inv, zero, lo, hi)
		return
	}
	for ; len(x) > 0; x = x[n:] {
		Codes8(dst, x[:n], inv, zero, lo, hi)
		dst = dst[min(ld, len(dst)):]
	}
}

// Decode8 is dst = (x - zero) * scale, rounded once.
func Decode8(dst []float32, x []byte, zero int32, scale float32) {
	active().decode8(dst[:len(x)], x, zero, scale)
}

// Interleave3 puts codes of three features side by side: dst = a[0], b[0], c[0], a[1] and so on.
func Interleave3(dst, a, b, c []byte) {
	active().interleave3(dst[:3*len(a)], a, b[:len(a)], c[:len(a)])
}

func interleave3Generic(dst, a, b, c []byte) {
	for i, v := range a {
		to := dst[3*i:][:3]
		to[0], to[1], to[2] = v, b[i], c[i]
	}
}

// Recoding is what codes mean, and what those made of them are to mean: see Decode8 and Codes8.
type Recoding struct {
	Scale       float32
	Inv, Lo, Hi float32
	Zero        int32
	ToZero      int32
}

// Gate8 is Codes8 of Decode8 of x times gate, for as many rows as x has of the gate's length.
func Gate8(dst, x []byte, gate []float32, r *Recoding) {
	if len(gate) == 0 || len(x)%len(gate) != 0 {
		panic(fmt.Sprintf("elem: %d codes for a gate of %d", len(x), len(gate)))
	}
	active().gate8(dst[:len(x)], x, gate, r)
}

// Codes16 is round(x*inv) + 32768 in its high and low byte, for |x*inv| < 32767.5.
func Codes16(hi, lo []byte, x []float32, inv float32) {
	active().codes16(hi[:len(x)], lo[:len(x)], x, inv)
}

// RoundBF16 is dst = wide = bf16(x * scale).
func RoundBF16(dst []uint16, wide, x []float32, scale float32) {
	active().roundBF16(dst[:len(x)], wide[:len(x)], x, scale)
}

// ToBF16 is dst = bf16(x).
func ToBF16(dst []uint16, x []float32) { active().toBF16(dst[:len(x)], x) }

// FromBF16 is dst = x, which is bfloat16.
func FromBF16(dst []float32, x []uint16) { active().fromBF16(dst[:len(x)], x) }

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

// RowRange returns scale, inverse and zero point of numerics N3.7 for the values of a row whose bits are all ones, the others' being all zeros:
// round(x*inv) + zero is within 0 to 255. The inverse is 0 where RowScale's is, and where the row's ends are too far apart for float32.
func RowRange(x []float32, bits []uint32) (scale, inv float32, zero int32) {
	signed, unsigned := active().extremes(x, bits[:len(x)])
	hi, lo := math.Float32frombits(uint32(signed)), float32(0)
	if unsigned>>31 != 0 {
		lo = math.Float32frombits(unsigned &^ (1 << 31))
	}
	switch span := hi + lo; {
	case !(span <= math.MaxFloat32):
		return float32(math.NaN()), 0, 0
	case span < tiny:
		return 0, 0, 0
	default:
		inv = 255 / span
		return span / 255, inv, num.RoundEven(lo * inv)
	}
}

// extremesGeneric returns the greatest of the bits of x, of those that are given, as signed integers from 0 on, which are of the greatest number, and as unsigned ones,
// which are of the least number if that is negative; NaN is beyond infinity.
func extremesGeneric(x []float32, bits []uint32) (signed int32, unsigned uint32) {
	for i, v := range x {
		b := math.Float32bits(v) & bits[i]
		signed, unsigned = max(signed, int32(b)), max(unsigned, b)
	}
	return signed, unsigned
}

func absMaxGeneric(x []float32) uint32 {
	var top uint32
	for _, v := range x {
		top = max(top, math.Float32bits(v)&0x7fffffff)
	}
	return top
}

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

func decode8Generic(dst []float32, x []byte, zero int32, scale float32) {
	for i, u := range x {
		dst[i] = float32(int32(u)-zero) * scale
	}
}

func gate8Generic(dst, x []byte, gate []float32, r *Recoding) {
	for i, u := range x {
		v := float32(int32(u)-r.Zero) * r.Scale
		v = float32(v * gate[i%len(gate)])
		var one [1]float32
		one[0] = v
		codes8Generic(dst[i:], one[:], r.Inv, r.ToZero, r.Lo, r.Hi)
	}
}

func codes16Generic(hi, lo []byte, x []float32, inv float32) {
	for i, v := range x {
		q := num.RoundEven(v*inv) + 32768
		hi[i], lo[i] = byte(q>>8), byte(q)
	}
}

func toBF16Generic(dst []uint16, x []float32) {
	for i, v := range x {
		dst[i] = num.BF16(v)
	}
}

func fromBF16Generic(dst []float32, x []uint16) {
	for i, v := range x {
		dst[i] = num.FromBF16(v)
	}
}

func roundBF16Generic(dst []uint16, wide, x []float32, scale float32) {
	for i, v := range x {
		dst[i] = num.BF16(v * scale)
		wide[i] = num.FromBF16(dst[i])
	}
}
