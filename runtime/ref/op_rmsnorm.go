package ref

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.RMSNorm) error {
		w, err := c.Param(0)
		if err == nil {
			c.EachRow(func(s, i int) { rmsnorm(op, c.In[0][s].Row(i), w, c.Out[0][s].Row(i)) })
		}
		return err
	})
}

// rmsnorm: y = (x / sqrt(mean(x^2) + eps)) * (w + offset), one row.
func rmsnorm(op graph.RMSNorm, x, w, y []float32) {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	inv := float32(1 / math.Sqrt(sum/float64(len(x))+op.Eps))
	for i, v := range x {
		y[i] = v * inv * (w[i] + float32(op.Offset))
	}
}
