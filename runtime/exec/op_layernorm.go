package exec

import (
	"qpt/format/graph"
	"qpt/kernels/elem"
)

func init() {
	register("layernorm", func(c *Compiler, i int) error {
		n := &c.nodes[i]
		width := c.values[c.in(i, 0)].width
		w, err := c.vector(n.Params[0], width)
		if err != nil {
			return err
		}
		b, err := c.vector(n.Params[1], width)
		if err != nil {
			return err
		}
		eps := n.Op.(graph.LayerNorm).Eps
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			elem.LayerNorm(dst, f.rowOf(op.src[0], r), w, b, eps)
		}})
		return nil
	})
	register("softmax", func(c *Compiler, i int) error {
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			elem.Softmax(dst, f.rowOf(op.src[0], r))
		}})
		return nil
	})
}
