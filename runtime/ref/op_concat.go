package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.Concat) error {
		for s, out := range c.Out[0] {
			lead, run := around(out.Shape, op.Axis)
			at := 0 // in a run of out
			for j := range c.In {
				x := c.Operand(j, s)
				_, n := around(x.Shape, op.Axis-len(out.Shape)+len(x.Shape))
				for i := range lead {
					copy(out.F[i*run+at:][:n], x.F[i*n%max(len(x.F), 1):])
				}
				at += n
			}
		}
		return nil
	})
}

// around cuts a shape at an axis: how many runs there are, and the values of a run, from the axis on.
func around(shape []int, axis int) (lead, run int) {
	lead, run = 1, 1
	for i, d := range shape {
		if i < axis {
			lead *= d
		} else {
			run *= d
		}
	}
	return lead, run
}
