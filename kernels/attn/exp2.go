package attn

import "qpt/internal/num"

// exp2 returns 2^x for x <= 0 or NaN, one float32 rounding a step (numerics N6.3):
//
//	2^x = 0 for x < -126
//	n = round(x), ties to even; r = x - n, exact
//	2^x = (((((c5*r + c4)*r + c3)*r + c2)*r + c1)*r + 1) * 2^n, fused multiply-adds
//
// c1..c5 interpolate (2^r-1)/r at the Chebyshev nodes of [-1/2, 1/2]: relative
// error 2^-22.2.
func exp2(x float32) float32 {
	if x < -126 {
		return 0
	}
	if x != x {
		return x
	}
	const magic = 3 << 22 // adding it rounds to an integer
	n := float32(x+magic) - magic
	r := x - n
	p := num.FMA32(exp2C5, r, exp2C4)
	p = num.FMA32(p, r, exp2C3)
	p = num.FMA32(p, r, exp2C2)
	p = num.FMA32(p, r, exp2C1)
	return num.FMA32(p, r, 1) * num.Pow2(int32(n))
}

const (
	exp2C1 = 0.6931471824645996
	exp2C2 = 0.2402234971523285
	exp2C3 = 0.055503811687231064
	exp2C4 = 0.00966636836528778
	exp2C5 = 0.0013381302123889327
)
