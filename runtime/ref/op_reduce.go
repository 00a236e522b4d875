package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.Reduce) error {
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			lead, run := around(x.Shape, op.Axis)
			_, one := around(x.Shape, op.Axis+1)
			c.each(lead, func(i int) {
				for j := range one {
					out.F[i*one+j] = reduce(op.Func, x.F[i*run+j:(i+1)*run], one)
				}
			})
		}
		return nil
	})
}

// reduce folds every step-th value of x.
func reduce(what string, x []float32, step int) float32 {
	sum, n, top, low := 0.0, 0.0, x[0], x[0]
	for i := 0; i < len(x); i += step {
		sum += float64(x[i])
		top, low = max(top, x[i]), min(low, x[i])
		n++
	}
	switch what {
	case "mean":
		return float32(sum / n)
	case "sum":
		return float32(sum)
	case "min":
		return low
	}
	return top
}
