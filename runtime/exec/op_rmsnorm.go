package exec

import (
	"fmt"

	"qpt/format/graph"
	"qpt/kernels/elem"
)

func init() {
	register("rmsnorm", func(c *Compiler, i int) error {
		n := &c.nodes[i]
		op := n.Op.(graph.RMSNorm)
		w, err := c.vector(n.Params[0], c.values[c.in(i, 0)].width)
		if err != nil {
			return err
		}
		eps, offset := op.Eps, float32(op.Offset)
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			elem.RMSNorm(dst, f.rowOf(op.src[0], r), w, eps, offset)
		}})
		return nil
	})
}

// vector finds a parameter of n values; nil for the name "".
func (c *Compiler) vector(name string, n int) ([]float32, error) {
	if name == "" {
		return nil, nil
	}
	w, err := c.w.Vector(name)
	if err == nil && len(w) != n {
		err = fmt.Errorf("parameter %q has %d values, the rows have %d", name, len(w), n)
	}
	return w, err
}
