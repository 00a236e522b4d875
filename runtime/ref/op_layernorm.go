package ref

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.LayerNorm) error {
		w, err := c.Param(0)
		if err != nil {
			return err
		}
		b, err := c.Param(1)
		if err != nil {
			return err
		}
		c.EachRow(func(s, i int) { layernorm(op, c.In[0][s].Row(i), w, b, c.Out[0][s].Row(i)) })
		return nil
	})
}

// layernorm: y = (x - mean) / sqrt(var + eps) * w + b, one row; w and b may be nil. All in float64.
func layernorm(op graph.LayerNorm, x, w, b, y []float32) {
	n := float64(len(x))
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += float64(v)
	}
	mean /= n
	for _, v := range x {
		d := float64(v) - mean
		variance += float64(d * d)
	}
	inv := 1 / math.Sqrt(variance/n+op.Eps)
	for i, v := range x {
		z := (float64(v) - mean) * inv
		if w != nil {
			z *= float64(w[i])
		}
		if b != nil {
			z += float64(b[i])
		}
		y[i] = float32(z)
	}
}
