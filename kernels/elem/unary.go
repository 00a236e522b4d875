package elem

import (
	"math"

	"qpt/internal/num"
)

// Unary finds the function of one value of a graph op by name: dst = f(x). dst
// may be x. Every value is computed alone, in float32 with one rounding a step and no
// fused products but in gelu, so that all instruction sets give the bits of the twins below (numerics N6.4).
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

// geluTable[i][k] is the coefficient of r^(6-i) of what gelu takes from max(x, 0), for |x| = geluStep*k + r, |r| <= geluStep/2: least greatest
// error, relative to 0.02 or more, with one coefficient after the other rounded to float32 and the rest fitted anew. Beyond the last piece it is 0. The assembly reads it here.
var geluTable = [7][8]float32{
	{-0.009026173502206802, 0.0022416182328015566, 0.004658848512917757, -0.0017101627308875322, -0.0007890550186857581, 0.00014514017675537616, 6.24693202553317e-5, 6.253152605495416e-6},
	{-0.0005378311034291983, -0.022150395438075066, 0.0023782330099493265, 0.007080385461449623, 8.829802391119301e-5, -0.0006677399505861104, -0.0001282775920117274, -9.358638635603711e-6},
	{0.06660918146371841, 0.0047734202817082405, -0.03605247661471367, -0.007682615891098976, 0.00406381580978632, 0.0015188492834568024, 0.0001812308473745361, 9.77516083366936e-6},
	{-1.1127620382467285e-5, 0.12934733927249908, 0.0566881038248539, -0.012639923021197319, -0.011085780337452888, -0.002217863919213414, -0.0001944358373293653, -8.455921488348395e-6},
	{-0.39894193410873413, -0.21644309163093567, 0.01618790626525879, 0.0486011728644371, 0.01551143079996109, 0.002126559615135193, 0.00014585591270588338, 5.278156550048152e-6},
	{0.5, 0.0007751124212518334, -0.12746959924697876, -0.05918984115123749, -0.011945540085434914, -0.001233810093253851, -6.85355844325386e-5, -2.092382146656746e-6},
	{0.0, 0.16997051239013672, 0.10021081566810608, 0.027505066245794296, 0.004049694165587425, 0.0003315650101285428, 1.5289504517568275e-5, 3.9925222949932504e-7},
}

const (
	geluStep = 0.75
	geluEnd  = 7.5 * geluStep
)

// gelu is x * P(X < x) of the normal distribution: max(x, 0) - |x| * P(X > |x|).
func gelu(x float32) float32 {
	a, p := abs(x), float32(0)
	if a < geluEnd {
		const magic = 3 << 22 // adding it rounds to an integer
		k := num.FMA32(a, 1/float32(geluStep), magic) - magic
		r := num.FMA32(-k, geluStep, a)
		for i := range geluTable {
			p = num.FMA32(p, r, geluTable[i][int(k)])
		}
	}
	return relu(x) - p
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
