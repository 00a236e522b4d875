package ref

import (
	"cmp"
	"slices"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.TopK) error {
		c.EachRow(func(s, i int) {
			x := c.In[0][s].Row(i)
			order := make([]int32, len(x))
			for j := range order {
				order[j] = int32(j)
			}
			slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(x[b], x[a]) }) // NaN is least
			y, idx := c.Out[0][s].Row(i), c.Out[1][s].I[i*op.K:]
			for j := range y {
				y[j], idx[j] = x[order[j]], order[j]
			}
		})
		return nil
	})
}
