package ref

import (
	"fmt"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.ExpertLinear) error {
		xs, ys := make([][][]float32, op.Experts), make([][][]float32, op.Experts) // [expert][rows that chose it]
		for s, out := range c.Out[0] {
			x, idx := c.Operand(0, s), c.Operand(1, s)
			choices := idx.Shape[len(idx.Shape)-1]
			for i, e := range idx.I {
				if e < 0 || int(e) >= op.Experts {
					return fmt.Errorf("expert %d of row %d: must be below %d", e, i/choices, op.Experts)
				}
				row := i
				if len(x.Shape) == len(idx.Shape) { // all choices of a row read the same
					row /= choices
				}
				xs[e], ys[e] = append(xs[e], x.Row(row)), append(ys[e], out.Row(i))
			}
		}
		for e, m := range c.Node.Linears() {
			if xs[e] == nil {
				continue
			}
			if err := c.linear(m.Weight, m.Bias, xs[e], ys[e]); err != nil {
				return err
			}
		}
		return nil
	})
}
