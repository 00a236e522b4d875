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
		return c.pool(i, &p, op.Single)
	})
	register("adaptive_pool", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.AdaptivePool)
		return c.pool(i, &conv.Pool{Shape: c.windows(c.in(i, 0), c.out(i), graph.Window{}, op.Size), Max: op.Func == "max", Adaptive: true}, op.Single)
	})
}

// pool computes node i: on codes where its operand is stored, but means of single precision.
func (c *Compiler) pool(i int, p *conv.Pool, single bool) error {
	x := c.in(i, 0)
	from, stored := c.stored[x]
	if to, ok := c.stored[c.out(i)]; p.Max && ok == stored {
		st := &poolStep{Pool: p, name: c.nodes[i].Name, x: x, out: c.out(i)}
		if stored {
			c.needCodes(x)
			st.x, st.out, st.codes, st.table = from.value, to.value, true, to.recode(from, nil)
		} else {
			c.need(x)
		}
		c.steps = append(c.steps, st)
		c.made[st.out] = true
		c.finish(i)
		return nil
	}
	op := &rowOp{}
	switch {
	case p.Max:
		op.fn = func(f *frame, op *rowOp, dst []float32, r int) {
			p.Floats(dst, f.val[op.src[0]], r, r+1, &conv.Taps{})
		}
	case single:
		op.part = func(f *frame, op *rowOp, work *conv.Taps, dst []float32, r, c0 int) {
			p.MeanSingle(dst, f.val[op.src[0]], r, c0, work)
		}
	case stored:
		c.needCodes(x)
		op.src = []int{from.value}
		op.part = func(f *frame, op *rowOp, work *conv.Taps, dst []float32, r, c0 int) {
			p.MeanCodes(dst, f.codes[op.src[0]], r, c0, from.scale, from.zero, work)
		}
	default:
		op.part = func(f *frame, op *rowOp, work *conv.Taps, dst []float32, r, c0 int) {
			p.Mean(dst, f.val[op.src[0]], r, c0, work)
		}
	}
	c.row(i, op)
	return nil
}

// poolStep is the greatest of windows, of codes or of float32.
type poolStep struct {
	*conv.Pool
	name   string
	x, out int
	codes  bool
	table  *[256]byte // what becomes of the codes
}

func (st *poolStep) node() string  { return st.name }
func (st *poolStep) reads() []int  { return []int{st.x} }
func (st *poolStep) writes() []int { return []int{st.out} }
func (st *poolStep) items(f *frame) int {
	n := f.codeRows(st.out)
	return (f.rows[st.out] + n - 1) / n
}

func (st *poolStep) do(f *frame, worker, item int) {
	n := f.codeRows(st.out)
	r0, r1 := item*n, min((item+1)*n, f.rows[st.out])
	work := &f.ws.conv[worker].taps
	if !st.codes {
		st.Floats(f.val[st.out][r0*st.C:r1*st.C], f.val[st.x], r0, r1, work)
		return
	}
	dst := f.codes[st.out][r0*st.C : r1*st.C]
	st.MaxCodes(dst, f.codes[st.x], r0, r1, work)
	through(st.table, dst)
}
