package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.OneHot) error {
		for s, out := range c.Out[0] {
			idx := c.Operand(0, s)
			clear(out.F)
			k := idx.Shape[len(idx.Shape)-1]
			for i, id := range idx.I {
				if id >= 0 && int(id) < op.N {
					out.Row(i / k)[id] = 1
				}
			}
		}
		return nil
	})
}
