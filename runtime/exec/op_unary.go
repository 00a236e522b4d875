package exec

import (
	"fmt"

	"qpt/format/graph"
	"qpt/kernels/elem"
)

func init() {
	register("unary", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Unary)
		fn, err := unaryOf(op)
		if err != nil {
			return err
		}
		if from, to, ok := c.bothStored(c.in(i, 0), c.out(i)); ok {
			c.needCodes(c.in(i, 0))
			t := to.recode(from, fn)
			c.codeStep(i, &codeStep{name: c.nodes[i].Name, what: op.Func, src: []int{from.value}, out: to.value, fn: func(f *frame, st *codeStep, dst []byte, r0, r1 int) {
				for j, u := range f.codes[st.src[0]][r0*len(dst)/(r1-r0):][:len(dst)] {
					dst[j] = t[u]
				}
			}})
			return nil
		}
		if op.Func != "silu" { // which a product may take in
			if l := c.takes(c.in(i, 0)); l != nil {
				c.row(i, &rowOp{what: op.Func + " of " + l.what, src: l.src, fn: func(f *frame, _ *rowOp, dst []float32, r int) {
					l.fn(f, l, dst, r)
					fn(dst, dst)
				}})
				return nil
			}
		}
		c.row(i, &rowOp{what: op.Func, silu: op.Func == "silu", fn: func(f *frame, op *rowOp, dst []float32, r int) {
			fn(dst, f.rowOf(op.src[0], r))
		}})
		return nil
	})
}

// unaryOf finds the function of an op.
func unaryOf(op graph.Unary) (func(dst, x []float32), error) {
	fn, ok := elem.Unary(op.Func)
	if op.Alpha != nil {
		fn, ok = elem.UnaryAlpha(op.Func, float32(*op.Alpha))
	}
	if !ok {
		return nil, fmt.Errorf("function %q has no kernel", op.Func)
	}
	return fn, nil
}
