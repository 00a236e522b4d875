package exec

import (
	"fmt"

	"qpt/format/graph"
)

func init() {
	register("gather", func(c *Compiler, i int) error {
		if err := c.wants(i, 1, "rows"); err != nil {
			return err
		}
		x := &c.values[c.in(i, 0)]
		if len(x.lead) != 1 || x.lead[0] >= 0 || int(-1-x.lead[0]) != c.symT {
			return fmt.Errorf("gathers from %q; only rows of T tokens can be gathered", x.Name)
		}
		if x.DType != graph.Float {
			return fmt.Errorf("gathers integers")
		}
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			copy(dst, f.rowOf(op.src[0], int(f.ints[op.src[1]][r])))
		}})
		return nil
	})
}
