package ref

import (
	"fmt"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.Take) error {
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			k, e := out.Shape[len(out.Shape)-1], x.Shape[len(x.Shape)-1]
			for i, id := range c.Operand(1, s).I {
				if id < 0 || int(id) >= e {
					return fmt.Errorf("index %d of row %d: must be below %d", id, i/k, e)
				}
				out.F[i] = x.Row(i / k)[id]
			}
		}
		return nil
	})
}
