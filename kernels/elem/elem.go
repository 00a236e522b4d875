// Package elem computes what is done value by value or row by row: activations, sums and products,
// norms, rotary embedding, and the rounding of rows to bfloat16 and integer codes.
//
// Every instruction set gives the bits of the Go twin, named ...Generic (numerics N6.4).
package elem

import (
	"fmt"

	"qpt/internal/num"
)

// The exponential that every kernel here uses (numerics N6.4), in float32 with one rounding a
// step and no FMA, so that all instruction sets agree to the bit:
//
//	exp(x) = 0 for x < -87; x > 89 counts as 89; NaN stays NaN
//	n = round(x * log2(e)), ties to even
//	r = (x - n*expHi) - n*expLo           |r| <= ln(2)/2
//	p = ((((e6*r + e5)*r + e4)*r + e3)*r + e2)
//	exp(x) = (((p*r)*r + r) + 1) * 2^n
//
// expHi holds 14 bits of ln(2), so n*expHi is exact. e2..e6 interpolate
// (exp(r)-1-r)/r^2 at the Chebyshev nodes of the interval: relative error
// 1.1e-8; with the roundings the result is within 2^-23 of exp(x) (see TestExp).
const (
	expLog2e = 1.44269504
	expHi    = 0.693115234375
	expLo    = 3.194618494529e-05
	expE2    = 0.5
	expE3    = 0.16666576989699006
	expE4    = 0.04166655461720603
	expE5    = 0.00836317905270155
	expE6    = 0.0013926183587568192
)

func exp32(x float32) float32 {
	if x < -87 {
		return 0
	}
	if x != x {
		return x
	}
	if x > 89 {
		x = 89
	}
	const magic = 3 << 22 // adding it rounds to an integer
	n := float32(float32(x*expLog2e)+magic) - magic
	r := float32(x-float32(n*expHi)) - float32(n*expLo)
	p := float32(expE6*r) + expE5
	p = float32(p*r) + expE4
	p = float32(p*r) + expE3
	p = float32(p*r) + expE2
	p = float32(float32(p*r)*r) + r
	p++
	// 2^n in two factors: n = 128 has no float32 of its own.
	h := int32(n) >> 1
	return p * num.Pow2(h) * num.Pow2(int32(n)-h)
}

// SiLUMul is dst = g / (1 + exp(-g)) * u, the gate of Llama's feed-forward
// layer. dst may be g or u.
func SiLUMul(dst, g, u []float32) {
	checkSame(len(dst), len(g), len(u))
	active().siluMul(dst, g, u)
}

func siluMulGeneric(dst, g, u []float32) {
	for i, v := range g {
		dst[i] = v / (1 + exp32(-v)) * u[i]
	}
}

// Add is dst = a + b.
func Add(dst, a, b []float32) {
	checkSame(len(dst), len(a), len(b))
	active().add(dst, a, b)
}

func addGeneric(dst, a, b []float32) {
	for i, v := range a {
		dst[i] = v + b[i]
	}
}

// Sub is dst = a - b.
func Sub(dst, a, b []float32) {
	checkSame(len(dst), len(a), len(b))
	active().sub(dst, a, b)
}

func subGeneric(dst, a, b []float32) {
	for i, v := range a {
		dst[i] = v - b[i]
	}
}

// Mul is dst = a * b.
func Mul(dst, a, b []float32) {
	checkSame(len(dst), len(a), len(b))
	active().mul(dst, a, b)
}

func mulGeneric(dst, a, b []float32) {
	for i, v := range a {
		dst[i] = v * b[i]
	}
}

func checkSame(dst, a, b int) {
	if a != dst || b != dst {
		panic(fmt.Sprintf("elem: lengths %d, %d, %d must be equal", dst, a, b))
	}
}
