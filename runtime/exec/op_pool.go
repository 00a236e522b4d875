package exec

import (
	"qpt/format/graph"
	"qpt/kernels/conv"
)

func init() {
	register("pool", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Pool)
		p := conv.Pool{Shape: c.windows(c.in(i, 0), c.out(i), op.Window, op.Kernel), Max: op.Func == "max", Divisor: op.Divisor, Padded: op.Padded}
		for j, a := range op.Axes(op.Kernel) {
			p.After[3-len(op.Kernel)+j] = a.After
		}
		return c.pool(i, &p)
	})
	register("adaptive_pool", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.AdaptivePool)
		return c.pool(i, &conv.Pool{Shape: c.windows(c.in(i, 0), c.out(i), graph.Window{}, op.Size), Max: op.Func == "max", Adaptive: true})
	})
}

// pool computes node i: on codes where its operand is stored.
func (c *Compiler) pool(i int, p *conv.Pool) error {
	x := c.in(i, 0)
	from, stored := c.stored[x]
	if to, ok := c.stored[c.out(i)]; ok && stored && p.Max {
		c.needCodes(x)
		t := to.recode(from, nil)
		c.codeStep(i, &codeStep{name: c.nodes[i].Name, what: "pool", src: []int{from.value}, out: to.value, fn: func(f *frame, st *codeStep, dst []byte, r int) {
			p.MaxCodes(dst, f.codes[st.src[0]], r)
			through(t, dst)
		}})
		return nil
	}
	op := &rowOp{}
	if stored && !p.Max {
		c.needCodes(x)
		op.src = []int{from.value}
		op.fn = func(f *frame, op *rowOp, dst []float32, r int) {
			p.MeanCodes(dst, f.codes[op.src[0]], r, from.scale, from.zero, make([]int32, p.C))
		}
	} else {
		op.fn = func(f *frame, op *rowOp, dst []float32, r int) {
			p.Floats(dst, f.val[op.src[0]], r, make([]float64, p.C))
		}
	}
	c.row(i, op)
	return nil
}
