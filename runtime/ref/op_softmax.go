package ref

import (
	"slices"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.Softmax) error {
		exp := c.function("exp")
		c.EachRow(func(s, i int) {
			x, y := c.In[0][s].Row(i), c.Out[0][s].Row(i)
			top := slices.Max(x)
			for j, v := range x {
				y[j] = v - top
			}
			exp(y, y)
			sum := 0.0
			for _, v := range y {
				sum += float64(v)
			}
			for j, v := range y {
				y[j] = float32(float64(v) / sum)
			}
		})
		return nil
	})
}
