package ref

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.SequencePool) error {
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			for j := range out.F {
				out.F[j] = poolSequence(op.Func, x, j)
			}
		}
		return nil
	})
}

// poolSequence folds column j of the rows of a sequence.
func poolSequence(what string, x graph.Tensor, j int) float32 {
	n := x.Rows()
	switch what {
	case "first":
		return x.Row(0)[j]
	case "last":
		return x.Row(n - 1)[j]
	}
	top, sum, weighted, weights := x.Row(0)[j], 0.0, 0.0, 0.0
	for i := range n {
		v := x.Row(i)[j]
		top = max(top, v)
		sum += float64(v)
		weighted += float64(i+1) * float64(v)
		weights += float64(i + 1)
	}
	switch what {
	case "max":
		return top
	case "mean_sqrt":
		return float32(sum / math.Sqrt(float64(n)))
	case "weighted_mean":
		return float32(weighted / weights)
	}
	return float32(sum / float64(n))
}
