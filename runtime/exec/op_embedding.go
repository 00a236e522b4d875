package exec

import (
	"fmt"

	"qpt/kernels/linear"
)

func init() {
	register("embedding", func(c *Compiler, i int) error {
		n := &c.nodes[i]
		table, err := c.w.Linear(n.Params[0], "")
		if err != nil {
			return err
		}
		w, width := table.Weight, c.values[c.out(i)].width
		if w.K != width {
			return fmt.Errorf("parameter %q has rows of %d values, the graph wants %d", n.Params[0], w.K, width)
		}
		if err := c.inRange(i, 0, w.N, fmt.Sprintf("table %q", n.Params[0])); err != nil {
			return err
		}
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			linear.EmbedRow(dst, w, int(f.ints[op.src[0]][r]))
		}})
		return nil
	})
}
