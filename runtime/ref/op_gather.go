package ref

import (
	"fmt"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.Gather) error {
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			for i, row := range c.Operand(1, s).I {
				if row < 0 || int(row) >= x.Rows() {
					return fmt.Errorf("row %d of %d is wanted", row, x.Rows())
				}
				copy(out.Row(i), x.Row(int(row)))
			}
		}
		return nil
	})
}
