package ref

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.Binary) error {
		f := binary[op.Func]
		var fast func(dst, a, b []float32)
		if c.fast.Binary != nil {
			fast, _ = c.fast.Binary(op.Func)
		}
		c.EachRow(func(s, i int) {
			y := c.Out[0][s].Row(i)
			a, da := repeat(c.Operand(0, s), c.Out[0][s].Shape, i)
			b, db := a, da
			if op.Scalar != nil {
				b, db = []float32{float32(*op.Scalar)}, 0
			} else {
				b, db = repeat(c.Operand(1, s), c.Out[0][s].Shape, i)
			}
			switch {
			case fast != nil && da*db == 1:
				fast(y, a[:len(y)], b[:len(y)])
			case op.Func == "add" && da*db == 1: // without a call for each value
				for j, v := range a[:len(y)] {
					y[j] = v + b[j]
				}
			case op.Func == "mul" && da*db == 1:
				for j, v := range a[:len(y)] {
					y[j] = v * b[j]
				}
			default:
				for j := range y {
					y[j] = f(a[j*da], b[j*db])
				}
			}
		})
		return nil
	})
}

// repeat is the row of x that meets row i of a result of this shape, and the step
// from value to value in it: 0 if its one value repeats.
func repeat(x graph.Tensor, shape []int, i int) (row []float32, step int) {
	at, stride := 0, 1
	for j := len(shape) - 2; j >= 0; j-- {
		k := i % shape[j]
		i /= shape[j]
		if q := j - len(shape) + len(x.Shape); q >= 0 && x.Shape[q] > 1 {
			at += k * stride
			stride *= x.Shape[q]
		}
	}
	if n := len(x.Shape); x.Shape[n-1] > 1 {
		step = 1
	}
	return x.Row(at), step
}

var binary = map[string]func(x, y float32) float32{
	"add": func(x, y float32) float32 { return x + y },
	"sub": func(x, y float32) float32 { return x - y },
	"mul": func(x, y float32) float32 { return x * y },
	"div": func(x, y float32) float32 { return x / y },
	"max": func(x, y float32) float32 { return max(x, y) },
	"min": func(x, y float32) float32 { return min(x, y) },
	"pow": func(x, y float32) float32 { return float32(math.Pow(float64(x), float64(y))) },

	"gt": func(x, y float32) float32 { return truth(x > y) },
	"ge": func(x, y float32) float32 { return truth(x >= y) },
	"lt": func(x, y float32) float32 { return truth(x < y) },
	"le": func(x, y float32) float32 { return truth(x <= y) },
	"eq": func(x, y float32) float32 { return truth(x == y) },
	"ne": func(x, y float32) float32 { return truth(x != y) },
	"keep": func(x, y float32) float32 {
		if y == 0 {
			return 0
		}
		return x
	},
}

func truth(b bool) float32 {
	if b {
		return 1
	}
	return 0
}
