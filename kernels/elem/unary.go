package elem

import "math"

// Unary finds the function of one value of a graph op by name: dst = f(x). dst
// may be x. Every value is computed alone, in float32 with one rounding a step and no
// fused products, so that all instruction sets give the bits of the twins below (numerics N6.4).
func Unary(name string) (f func(dst, x []float32), ok bool) {
	i, ok := unary[name]
	return func(dst, x []float32) {
		checkSame(len(dst), len(x), len(x))
		active().unary[i](dst, x)
	}, ok
}

// Functions of one value, places in level.unary.
const (
	fnExp = iota
	fnSigmoid
	fnSiLU
	fnGELU
	fnGELUTanh
	fnQuickGELU
	fnTanh
	fnReLU
	fnReLU2
	fnNeg
	fnReLU6
	fnHardswish
	fnHardsigmoid
	fnAbs
	fnSqrt
	fnRsqrt
	// without kernels of their own
	fnFloor
	fnCeil
	fnRound
	fnTrunc
	fnSign
	fnLog
	fnSin
	fnCos
	fnErf
	fnCount
)

var unary = map[string]int{
	"exp": fnExp, "sigmoid": fnSigmoid, "silu": fnSiLU, "gelu": fnGELU, "gelu_tanh": fnGELUTanh,
	"quick_gelu": fnQuickGELU, "tanh": fnTanh, "relu": fnReLU, "relu2": fnReLU2, "neg": fnNeg,
	"relu6": fnReLU6, "hardswish": fnHardswish, "hardsigmoid": fnHardsigmoid, "abs": fnAbs, "sqrt": fnSqrt, "rsqrt": fnRsqrt,
	"floor": fnFloor, "ceil": fnCeil, "round": fnRound, "trunc": fnTrunc, "sign": fnSign, "log": fnLog, "sin": fnSin, "cos": fnCos, "erf": fnErf,
}

// unaryTwins are the functions as numerics N6.4 tells them.
var unaryTwins = [fnCount]func(x float32) float32{exp32, sigmoid, silu, gelu, geluTanh, quickGELU, tanh, relu, relu2, neg,
	relu6, hardswish, hardsigmoid, abs, sqrt, rsqrt,
	wide(math.Floor), wide(math.Ceil), wide(math.RoundToEven), wide(math.Trunc), wide(sign), wide(math.Log), wide(math.Sin), wide(math.Cos), wide(math.Erf)}

// wide is a function of binary64, rounded once.
func wide(f func(x float64) float64) func(x float32) float32 {
	return func(x float32) float32 { return float32(f(float64(x))) }
}

// sign is -1, 0 or 1; NaN gives 0, as PyTorch does.
func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// eachTwin is unaryTwins over slices.
func eachTwin() (fs [fnCount]func(dst, x []float32)) {
	for i, f := range unaryTwins {
		fs[i] = func(dst, x []float32) {
			for i, v := range x {
				dst[i] = f(v)
			}
		}
	}
	return fs
}

func sigmoid(x float32) float32   { return 1 / (1 + exp32(-x)) }
func silu(x float32) float32      { return x / (1 + exp32(-x)) }
func quickGELU(x float32) float32 { return x / (1 + exp32(-float32(1.702*x))) }
func neg(x float32) float32       { return -x }

func relu6(x float32) float32 {
	x = relu(x)
	if x > 6 {
		return 6
	}
	return x
}

func hardswish(x float32) float32   { return float32(x*relu6(x+3)) / 6 }
func hardsigmoid(x float32) float32 { return relu6(x+3) / 6 }
func abs(x float32) float32         { return float32(math.Abs(float64(x))) }
func sqrt(x float32) float32        { return float32(math.Sqrt(float64(x))) }
func rsqrt(x float32) float32       { return 1 / sqrt(x) }

// UnaryAlpha is Unary for functions with a number: leaky_relu is alpha*x for x < 0, elu alpha*(exp(x) - 1), else x.
func UnaryAlpha(name string, alpha float32) (f func(dst, x []float32), ok bool) {
	low := map[string]func(x float32) float32{
		"leaky_relu": func(x float32) float32 { return alpha * x },
		"elu":        func(x float32) float32 { return alpha * (exp32(x) - 1) },
	}[name]
	return func(dst, x []float32) {
		checkSame(len(dst), len(x), len(x))
		for i, v := range x {
			if v < 0 {
				v = low(v)
			}
			dst[i] = v
		}
	}, low != nil
}

func relu(x float32) float32 {
	if x < 0 {
		return 0
	}
	return x // NaN too
}

func relu2(x float32) float32 {
	x = relu(x)
	return x * x
}

// geluTanh is x/2 * (1 + tanh(t)) = x / (1 + exp(-2t)),
// 2t = 2*sqrt(2/pi) * (x + 0.044715*x^3) = x * (c1 + c2*x^2).
func geluTanh(x float32) float32 {
	t := x * (geluC1 + float32(geluC2*float32(x*x)))
	return x / (1 + exp32(-t))
}

const (
	geluC1 = 1.5957691216057308
	geluC2 = geluC1 * 0.044715
)

// The tail of the normal distribution, P(X > a) = exp(-a^2/2) * R(a), a >= 0: with t = 1/(1 + geluP*a),
// R = t * (((r7*t + r6)*t + ..)*t + r0), which interpolates at the Chebyshev nodes of 0 <= a <= 13.5 (absolute error of R/t 5e-8).
const (
	geluP  = 0.3
	geluR7 = 0.037547770887613297
	geluR6 = -0.16490502655506134
	geluR5 = 0.21942146122455597
	geluR4 = -0.0654936358332634
	geluR3 = 0.1346747875213623
	geluR2 = 0.09810864925384521
	geluR1 = 0.1210343986749649
	geluR0 = 0.11961164325475693
	geluA  = 14 // beyond it the tail is 0
)

// gelu is x * P(X < x) of the normal distribution: max(x, 0) - |x| * P(X > |x|).
func gelu(x float32) float32 {
	a := float32(math.Abs(float64(x)))
	if a > geluA {
		a = geluA
	}
	t := 1 / (1 + float32(geluP*a))
	r := float32(geluR7*t) + geluR6
	r = float32(r*t) + geluR5
	r = float32(r*t) + geluR4
	r = float32(r*t) + geluR3
	r = float32(r*t) + geluR2
	r = float32(r*t) + geluR1
	r = float32(r*t) + geluR0
	tail := float32(float32(r*t) * exp32(float32(-0.5*float32(a*a))))
	return relu(x) - float32(a*tail)
}

// tanh has the sign of x and the magnitude, with a = |x|, 1 - 2/(exp(2a) + 1), or for a < 0.625, with z = a^2,
// a + (h*z)*a, h = ((h4*z + h3)*z + ..)*z + h0, which interpolates at the Chebyshev nodes (absolute error of h*z 2e-8).
const (
	tanhEnd = 0.625
	tanhH4  = -0.006096714176237583
	tanhH3  = 0.020997179672122
	tanhH2  = -0.05385090783238411
	tanhH1  = 0.1333276927471161
	tanhH0  = -0.333333283662796
)

func tanh(x float32) float32 {
	a := float32(math.Abs(float64(x)))
	y := 1 - 2/(exp32(a+a)+1)
	if a < tanhEnd {
		z := a * a
		h := float32(tanhH4*z) + tanhH3
		h = float32(h*z) + tanhH2
		h = float32(h*z) + tanhH1
		h = float32(h*z) + tanhH0
		y = a + float32(float32(h*z)*a)
	}
	return float32(math.Copysign(float64(y), float64(x)))
}
