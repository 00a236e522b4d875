package ref

import (
	"fmt"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.Embedding) error { // out [T, D] = table[ids]
		table := c.Node.Params[0]
		v := c.params[table].Shape[0]
		for s, out := range c.Out[0] {
			for i, id := range c.Operand(0, s).I {
				if id < 0 || int(id) >= v {
					return fmt.Errorf("part %d: token id %d at position %d: must be below %d", s, id, i, v)
				}
				if err := c.src.ReadRows(table, int(id), int(id)+1, out.Row(i)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
