package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.Slice) error {
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			lead, run := around(x.Shape, op.Axis)
			_, one := around(x.Shape, op.Axis+1)
			n := out.Shape[op.Axis]
			for i := range lead {
				for j := range n {
					copy(out.F[(i*n+j)*one:][:one], x.F[i*run+(op.From+j*max(1, op.Step))*one:])
				}
			}
		}
		return nil
	})
}
