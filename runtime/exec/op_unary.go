package exec

import (
	"fmt"

	"qpt/format/graph"
	"qpt/kernels/elem"
)

func init() {
	register("unary", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Unary)
		fn, ok := elem.Unary(op.Func)
		if !ok {
			return fmt.Errorf("function %q has no kernel", op.Func)
		}
		c.row(i, &rowOp{what: op.Func, silu: op.Func == "silu", fn: func(f *frame, op *rowOp, dst []float32, r int) {
			fn(dst, f.rowOf(op.src[0], r))
		}})
		return nil
	})
}
