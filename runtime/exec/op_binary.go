package exec

import (
	"fmt"

	"qpt/format/graph"
	"qpt/kernels/elem"
)

func init() {
	register("binary", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Binary)
		a, b := c.in(i, 0), c.in(i, 1)
		what := op.Func
		var fn func(dst, x, y []float32)
		switch op.Func {
		case "add":
			fn = elem.Add
		case "mul":
			fn = elem.Mul
			if l := c.lazy[a]; l != nil && l.silu && len(c.uses[a]) == 1 && !c.isOut(a) { // silu(a) * b in one pass
				delete(c.lazy, a)
				a, fn, what = l.src[0], elem.SiLUMul, "silu-mul"
			}
		default:
			return fmt.Errorf("binary function %q has no kernel", op.Func)
		}
		c.row(i, &rowOp{what: what, src: []int{a, b}, fn: func(f *frame, op *rowOp, dst []float32, r int) {
			fn(dst, f.rowOf(op.src[0], r), f.rowOf(op.src[1], r))
		}})
		return nil
	})
}
