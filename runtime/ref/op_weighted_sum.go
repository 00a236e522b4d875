package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.WeightedSum) error {
		c.EachRow(func(s, i int) {
			y, w := c.In[0][s], c.In[1][s].Row(i)
			for n := range c.Out[0][s].Row(i) {
				sum := 0.0
				for j, v := range w {
					sum += float64(v) * float64(y.Row(i*len(w) + j)[n])
				}
				c.Out[0][s].Row(i)[n] = float32(sum)
			}
		})
		return nil
	})
}
