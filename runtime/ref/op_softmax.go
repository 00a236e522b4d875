package ref

import (
	"math"
	"slices"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.Softmax) error {
		c.EachRow(func(s, i int) {
			x, y := c.In[0][s].Row(i), c.Out[0][s].Row(i)
			top := slices.Max(x)
			sum := 0.0
			for j, v := range x {
				y[j] = float32(math.Exp(float64(v - top)))
				sum += float64(y[j])
			}
			for j, v := range y {
				y[j] = float32(float64(v) / sum)
			}
		})
		return nil
	})
}
