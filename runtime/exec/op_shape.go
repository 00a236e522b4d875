package exec

import (
	"qpt/format/graph"
	"qpt/kernels/elem"
)

// The ops that move values: each row of the result is read from anywhere in memory.

func init() {
	register("reshape", func(c *Compiler, i int) error {
		x, out := c.in(i, 0), c.out(i)
		if from, to, ok := c.bothStored(x, out); ok && c.fuse && len(c.uses[x]) == 1 && to.recode(from, nil) == nil {
			c.needCodes(x)
			c.values[to.value].alias, c.made[to.value] = c.root(from.value), true
			c.record(i)
			return nil
		}
		if c.move(i, func(f *frame, st *codeStep, maps []*[256]byte, dst []byte, r int) {
			copy(dst, f.codes[st.src[0]][r*len(dst):])
			through(maps[0], dst)
		}) {
			return nil
		}
		if c.values[x].DType == graph.Int {
			c.step(i, &copyStep{c.nodes[i].Name, x, out})
			if n, ok := c.bounded[x]; ok {
				c.bounded[out] = n
			}
			return nil
		}
		c.need(x)
		if c.fuse && c.own(x) && len(c.uses[x]) == 1 { // the same memory under another shape
			c.values[out].alias, c.made[out] = c.root(x), true
			c.record(i)
			return nil
		}
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			copy(dst, f.val[op.src[0]][r*len(dst):])
		}})
		return nil
	})
	register("transpose", func(c *Compiler, i int) error {
		x := c.values[c.in(i, 0)].Shape
		at := strides(x)
		var by []int // in x, of each dimension of the result
		for _, p := range c.nodes[i].Op.(graph.Transpose).Perm {
			by = append(by, at[p])
		}
		w := c.walk(c.out(i), by, size(x))
		if c.move(i, func(f *frame, st *codeStep, maps []*[256]byte, dst []byte, r int) {
			copyWalk(&w, dst, f.codes[st.src[0]], r)
			through(maps[0], dst)
		}) {
			return nil
		}
		c.row(i, &rowOp{turn: &w, fn: func(f *frame, op *rowOp, dst []float32, r int) {
			copyWalk(&w, dst, f.val[op.src[0]], r)
		}})
		return nil
	})
	register("slice", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Slice)
		x := c.values[c.in(i, 0)].Shape
		by := strides(x)
		from := op.From * by[op.Axis]
		by[op.Axis] *= max(op.Step, 1)
		w := c.walk(c.out(i), by, size(x))
		if c.move(i, func(f *frame, st *codeStep, maps []*[256]byte, dst []byte, r int) {
			copyWalk(&w, dst, f.codes[st.src[0]][from:], r)
			through(maps[0], dst)
		}) {
			return nil
		}
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			copyWalk(&w, dst, f.val[op.src[0]][from:], r)
		}})
		return nil
	})
	register("concat", func(c *Compiler, i int) error {
		axis := c.nodes[i].Op.(graph.Concat).Axis
		out := c.values[c.out(i)].Shape
		if c.besides(i) { // pieces side by side in each row
			if c.join(i) || c.move(i, func(f *frame, st *codeStep, maps []*[256]byte, dst []byte, r int) {
				for j, v := range st.src {
					n := copy(dst, f.codesOf(v, r%f.rows[v]))
					through(maps[j], dst[:n])
					dst = dst[n:]
				}
			}) {
				return nil
			}
			c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
				for _, v := range op.src {
					dst = dst[copy(dst, f.rowOf(v, r%f.rows[v])):]
				}
			}})
			return nil
		}
		// Rows of one operand or another: index along the axis, and rows below it.
		below := 1
		for _, d := range out[axis+1 : len(out)-1] {
			below *= int(d)
		}
		total := int(out[axis])
		var ends []int // along the axis
		end := 0
		for _, name := range c.nodes[i].In {
			s := c.values[c.index[name]].Shape
			end += int(s[len(s)-(len(out)-axis)])
			ends = append(ends, end)
		}
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			outer, a, rest := r/below/total, r/below%total, r%below
			j, from := 0, 0
			for a >= ends[j] {
				from = ends[j]
				j++
			}
			n := ends[j] - from
			row := (outer*n+a-from)*below + rest
			copy(dst, f.rowOf(op.src[j], row%f.rows[op.src[j]]))
		}})
		return nil
	})
	register("reduce", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Reduce)
		x := c.values[c.in(i, 0)].Shape
		n := int(x[op.Axis])
		if op.Axis == len(x)-1 {
			c.row(i, &rowOp{fn: func(f *frame, o *rowOp, dst []float32, r int) {
				dst[0] = reduceRow(op.Func, f.rowOf(o.src[0], r))
			}})
			return nil
		}
		below := 1
		for _, d := range x[op.Axis+1 : len(x)-1] {
			below *= int(d)
		}
		join := elem.Add
		if op.Func == "max" || op.Func == "min" {
			join, _ = elem.Binary(op.Func)
		}
		c.row(i, &rowOp{fn: func(f *frame, o *rowOp, dst []float32, r int) {
			first := r/below*n*below + r%below
			copy(dst, f.rowOf(o.src[0], first))
			for j := 1; j < n; j++ {
				y := f.rowOf(o.src[0], first+j*below)
				join(dst, dst, y)
			}
			if op.Func == "mean" {
				for k := range dst {
					dst[k] /= float32(n)
				}
			}
		}})
		return nil
	})
}

// besides tells whether node i is a concat of pieces side by side in each row.
func (c *Compiler) besides(i int) bool {
	op, ok := c.nodes[i].Op.(graph.Concat)
	return ok && op.Axis == len(c.values[c.out(i)].Shape)-1
}

// join computes concat i if some of its pieces are where they belong already: it copies the others.
func (c *Compiler) join(i int) bool {
	out := c.out(i)
	to, codes := c.stored[out]
	type piece struct {
		value, at int
		table     *[256]byte
	}
	var rest []piece
	at, some := 0, false
	for j := range c.nodes[i].In {
		v := c.in(i, j)
		if c.joined[v] {
			some = true
		} else {
			rest = append(rest, piece{v, at, nil})
		}
		at += c.values[v].width
	}
	if !some {
		return false
	}
	if !codes {
		to.value = out
	}
	st := &codeStep{name: c.nodes[i].Name, what: "concat", out: to.value}
	for k := range rest {
		p := &rest[k]
		if from, ok := c.stored[p.value]; ok && codes {
			c.needCodes(p.value)
			p.table, p.value = to.recode(from, nil), from.value
		} else {
			c.need(p.value)
		}
		st.src = append(st.src, p.value)
	}
	if len(rest) == 0 {
		c.made[to.value] = true
		c.record(i)
		return true
	}
	if !codes {
		op := rowOp{name: st.name, what: st.what, src: st.src, out: out, fn: func(f *frame, op *rowOp, dst []float32, r int) {
			for _, p := range rest {
				copy(dst[p.at:], f.rowOf(p.value, r%f.rows[p.value]))
			}
		}}
		c.emit(&op, out)
		c.finish(i)
		return true
	}
	st.fn = byRow(func(f *frame, st *codeStep, dst []byte, r int) {
		for _, p := range rest {
			if f.p.values[p.value].bytes {
				x := f.codesOf(p.value, r%f.rows[p.value])
				copy(dst[p.at:], x)
				through(p.table, dst[p.at:][:len(x)])
			} else {
				x := f.rowOf(p.value, r%f.rows[p.value])
				to.encode(dst[p.at:][:len(x)], x)
			}
		}
	})
	c.codeStep(i, st)
	return true
}

// own tells whether the memory of v may go over to another value: it is no
// input, constant or result of the graph, and nothing waits to read it.
func (c *Compiler) own(v int) bool {
	return !c.isOut(v) && !c.fixed(v) && !c.waits(v)
}

// fixed tells whether v lies in memory that is not the pass's.
func (c *Compiler) fixed(v int) bool {
	r := c.root(v)
	if r < len(c.g.Inputs) {
		return true
	}
	for _, k := range c.consts {
		if k.value == r {
			return true
		}
	}
	return false
}

// strides returns how far apart the elements of a shape are in each dimension; 0 for symbols.
func strides(shape []graph.Dim) []int {
	s, n := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0 && shape[i] >= 0; i-- {
		s[i] = n
		n *= int(shape[i])
	}
	return s
}

// size is the number of elements for one index of the leading symbols.
func size(shape []graph.Dim) int {
	n := 1
	for _, d := range shape {
		if d >= 0 {
			n *= int(d)
		}
	}
	return n
}

// walk finds the elements of a row of a result in an operand.
type walk struct {
	dims, by []int // of the rows within one index of the leading symbols: extents, and distances in the operand
	rows     int   // product of dims
	even     bool  // rows are as far apart everywhere: by the last of by, or 0
	sym      int   // distance between two indices of the leading symbols, 0: the operand repeats
	last     int   // distance between two elements of a row
}

// walk for the rows of value out; by are the operand's distances for each of its
// dimensions, sym that of the leading symbols.
func (c *Compiler) walk(out int, by []int, sym int) walk {
	v := &c.values[out]
	w := walk{rows: 1, sym: sym, last: by[len(by)-1]}
	for i, d := range v.lead {
		if d >= 0 {
			w.dims, w.by, w.rows = append(w.dims, int(d)), append(w.by, by[i]), w.rows*int(d)
		}
	}
	w.even = len(w.by) > 0
	for i := range len(w.by) - 1 {
		w.even = w.even && w.by[i] == w.by[i+1]*w.dims[i+1]
	}
	return w
}

// at is where row r begins.
func (w *walk) at(r int) int {
	pos := r / w.rows * w.sym
	r %= w.rows
	if w.even {
		return pos + r*w.by[len(w.by)-1]
	}
	for i := len(w.dims) - 1; i >= 0; i-- {
		pos += r % w.dims[i] * w.by[i]
		r /= w.dims[i]
	}
	return pos
}

// same is how many rows from r on begin where r does, or fewer.
func (w *walk) same(r int) int {
	if w.even && w.by[len(w.by)-1] == 0 {
		return w.rows - r%w.rows
	}
	return 1
}

// copyWalk fills dst with row r.
func copyWalk[T byte | float32](w *walk, dst, x []T, r int) {
	pos := w.at(r)
	if w.last == 1 {
		copy(dst, x[pos:])
		return
	}
	for i := range dst {
		dst[i] = x[pos+i*w.last]
	}
}

// reduceRow folds x in the order of its elements, in float64.
func reduceRow(fn string, x []float32) float32 {
	top, low, sum := x[0], x[0], 0.0
	for _, v := range x {
		top, low, sum = max(top, v), min(low, v), sum+float64(v)
	}
	switch fn {
	case "min":
		return low
	case "max":
		return top
	case "mean":
		sum /= float64(len(x))
	}
	return float32(sum)
}
