package ref

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.L2Norm) error {
		c.EachRow(func(s, i int) {
			x, y := c.In[0][s].Row(i), c.Out[0][s].Row(i)
			sum := 0.0
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			length := max(math.Sqrt(sum), op.Eps)
			for j, v := range x {
				y[j] = float32(float64(v) / length)
			}
		})
		return nil
	})
}
