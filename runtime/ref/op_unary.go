package ref

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.Unary) error {
		if op.Alpha == nil {
			f := c.function(op.Func)
			c.EachRow(func(s, i int) { f(c.Out[0][s].Row(i), c.In[0][s].Row(i)) })
			return nil
		}
		a := *op.Alpha
		f := map[string]func(x float64) float64{
			"leaky_relu": func(x float64) float64 { return max(x, 0) + a*min(x, 0) },
			"elu":        func(x float64) float64 { return max(x, 0) + a*math.Expm1(min(x, 0)) },
		}[op.Func]
		c.EachRow(func(s, i int) { each(f, c.Out[0][s].Row(i), c.In[0][s].Row(i)) })
		return nil
	})
}

// function is a function of one value, Fast's if it has it; dst may be x.
func (r *run) function(name string) func(dst, x []float32) {
	if r.fast.Unary != nil {
		if f, ok := r.fast.Unary(name); ok {
			return f
		}
	}
	f := unary[name]
	return func(dst, x []float32) { each(f, dst, x) }
}

// each is f of every value.
func each(f func(x float64) float64, dst, x []float32) {
	for i, v := range x {
		dst[i] = float32(f(float64(v)))
	}
}

var unary = map[string]func(x float64) float64{
	"silu":       func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	"gelu":       func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
	"gelu_tanh":  func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
	"quick_gelu": func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) },
	"relu":       func(x float64) float64 { return max(x, 0) },
	"relu2":      func(x float64) float64 { return max(x, 0) * max(x, 0) },
	"sigmoid":    func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"tanh":       math.Tanh,
	"exp":        math.Exp,
	"neg":        func(x float64) float64 { return -x },

	"relu6":       func(x float64) float64 { return min(max(x, 0), 6) },
	"hardswish":   func(x float64) float64 { return x * min(max(x+3, 0), 6) / 6 },
	"hardsigmoid": func(x float64) float64 { return min(max(x+3, 0), 6) / 6 },
	"abs":         math.Abs,
	"sqrt":        math.Sqrt,
	"rsqrt":       func(x float64) float64 { return 1 / math.Sqrt(x) },

	"floor": math.Floor, "ceil": math.Ceil, "round": math.RoundToEven, "trunc": math.Trunc, "sign": sign,
	"log": math.Log, "sin": math.Sin, "cos": math.Cos, "erf": math.Erf,
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
