package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.Unfold) error {
		c.EachRow(func(s, row int) {
			x, out := c.Operand(0, s), c.Out[0][s].Row(row)
			d := len(out) / op.Size
			for i := range op.Size {
				if at := row + i - op.Size/2; at >= 0 && at < x.Rows() {
					copy(out[i*d:], x.Row(at))
				} else {
					clear(out[i*d : (i+1)*d])
				}
			}
		})
		return nil
	})
}
