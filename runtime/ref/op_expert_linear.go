package ref

import (
	"fmt"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.ExpertLinear) error {
		xs, ys := make([][][]float32, op.Experts), make([][][]float32, op.Experts) // [expert][rows that chose it]
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			var idx []int32
			if len(c.In) > 1 {
				idx = c.Operand(1, s).I
			}
			each := out.Rows() / max(x.Rows(), 1) // choices that read the same row
			for i := range out.Rows() {
				e, row := op.Of(idx, i), i/each
				if e < 0 || e >= op.Experts {
					return fmt.Errorf("expert %d of row %d: must be below %d", e, i/out.Shape[len(out.Shape)-2], op.Experts)
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
