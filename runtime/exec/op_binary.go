package exec

import (
	"fmt"
	"slices"

	"qpt/format/graph"
	"qpt/kernels/elem"
)

func init() {
	register("binary", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Binary)
		fn, ok := elem.Binary(op.Func)
		if !ok {
			return fmt.Errorf("binary function %q has no kernel", op.Func)
		}
		a := c.in(i, 0)
		if op.Scalar != nil {
			row := []float32{float32(*op.Scalar)}
			c.row(i, &rowOp{what: op.Func, fn: func(f *frame, op *rowOp, dst []float32, r int) {
				fn(dst, f.rowOf(op.src[0], r), row)
			}})
			return nil
		}
		b, what := c.in(i, 1), op.Func
		if !slices.Equal(c.values[a].Shape, c.values[b].Shape) {
			return c.broadcast(i, op.Func, fn)
		}
		if l := c.lazy[a]; op.Func == "mul" && l != nil && l.silu && len(c.uses[a]) == 1 && !c.isOut(a) && !c.isStored(a) { // silu(a) * b in one pass
			delete(c.lazy, a)
			a, fn, what = l.src[0], elem.SiLUMul, "silu-mul"
		}
		c.row(i, &rowOp{what: what, src: []int{a, b}, fn: func(f *frame, op *rowOp, dst []float32, r int) {
			fn(dst, f.rowOf(op.src[0], r), f.rowOf(op.src[1], r))
		}})
		return nil
	})
}

// broadcast is a binary whose operands repeat in some dimensions.
func (c *Compiler) broadcast(i int, name string, fn func(dst, x, y []float32)) error {
	out := c.values[c.out(i)].Shape
	var walks [2]walk
	for j := range walks {
		x := c.values[c.in(i, j)].Shape
		by, absent := make([]int, len(out)), len(out)-len(x)
		for k, s := range strides(x) {
			if x[k] != 1 || out[absent+k] == 1 {
				by[absent+k] = s
			}
		}
		sym := size(x)
		for k, d := range out { // all leading symbols, or none of them
			if d < 0 && (k < absent || x[k-absent] != d) {
				sym = 0
			}
		}
		for k, d := range x {
			if d < 0 && sym == 0 || d < 0 && out[absent+k] != d {
				return fmt.Errorf("operand %q has some of the symbols of the result: this executor repeats all or none", c.nodes[i].In[j])
			}
		}
		walks[j] = c.walk(c.out(i), by, sym)
	}
	if name == "mul" && c.gate(i, &walks) {
		return nil
	}
	c.row(i, &rowOp{what: name, fn: func(f *frame, op *rowOp, dst []float32, r int) {
		var rows [2][]float32
		for j := range walks {
			n := len(dst)
			if walks[j].last == 0 {
				n = 1
			}
			rows[j] = f.val[op.src[j]][walks[j].at(r):][:n]
		}
		fn(dst, rows[0], rows[1])
	}})
	return nil
}

// gate computes node i, a product of codes with float32 that repeat, if one operand and the result are stored and of one shape.
func (c *Compiler) gate(i int, walks *[2]walk) bool {
	out := c.out(i)
	to, ok := c.stored[out]
	for j := range 2 {
		x, g := c.in(i, j), c.in(i, 1-j)
		from, stored := c.stored[x]
		if !ok || !stored || c.isStored(g) || walks[1-j].last != 1 || !slices.Equal(c.values[x].Shape, c.values[out].Shape) {
			continue
		}
		c.needCodes(x)
		c.need(g)
		w := &walks[1-j]
		r := &elem.Recoding{Scale: from.scale, Zero: from.zero, Inv: 1 / to.scale, Lo: float32(-to.zero), Hi: float32(255 - to.zero), ToZero: to.zero}
		c.codeStep(i, &codeStep{name: c.nodes[i].Name, what: "gate", src: []int{from.value, g}, out: to.value, fn: func(f *frame, st *codeStep, dst []byte, r0, r1 int) {
			width := len(dst) / (r1 - r0)
			x := f.codes[st.src[0]][r0*width:]
			for n := 0; r0 < r1; r0, dst, x = r0+n, dst[n*width:], x[n*width:] {
				n = min(w.same(r0), r1-r0)
				elem.Gate8(dst, x[:n*width], f.val[st.src[1]][w.at(r0):][:width], r)
			}
		}})
		return true
	}
	return false
}
