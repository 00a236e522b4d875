package exec

import (
	"slices"

	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/linear"
)

// Mixture of experts: choices (topk), the linears they name (expert_linear), and
// what joins the results (weighted_sum), with take and one_hot for routers.

func init() {
	register("topk", func(c *Compiler, i int) error {
		st := &topkStep{name: c.nodes[i].Name, x: c.in(i, 0), values: c.out(i), index: c.index[c.nodes[i].Out[1]], k: c.nodes[i].Op.(graph.TopK).K}
		c.step(i, st)
		c.bounded[st.index] = c.values[st.x].width
		return nil
	})
	register("take", func(c *Compiler, i int) error {
		if err := c.inRange(i, 1, c.values[c.in(i, 0)].width, "its row"); err != nil {
			return err
		}
		c.need(c.in(i, 1))
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			x, k := f.rowOf(op.src[0], r), len(dst)
			for j, at := range f.ints[op.src[1]][r*k : (r+1)*k] {
				dst[j] = x[at]
			}
		}})
		return nil
	})
	register("one_hot", func(c *Compiler, i int) error {
		if err := c.inRange(i, 0, c.nodes[i].Op.(graph.OneHot).N, "the row"); err != nil {
			return err
		}
		k := c.values[c.in(i, 0)].width
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			clear(dst)
			for _, at := range f.ints[op.src[0]][r*k : (r+1)*k] {
				dst[at] = 1
			}
		}})
		return nil
	})
	register("weighted_sum", func(c *Compiler, i int) error {
		n := c.values[c.in(i, 1)].width
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			clear(dst)
			for j, w := range f.rowOf(op.src[1], r) {
				for k, y := range f.rowOf(op.src[0], r*n+j) {
					dst[k] += float32(w * y)
				}
			}
		}})
		return nil
	})
	register("expert_linear", func(c *Compiler, i int) error { return c.experts(i) })
}

// topkStep finds the greatest values of each row, the first of equals first.
type topkStep struct {
	name             string
	x, values, index int
	k                int
}

func (st *topkStep) node() string  { return st.name }
func (st *topkStep) reads() []int  { return []int{st.x} }
func (st *topkStep) writes() []int { return []int{st.values, st.index} }

func (st *topkStep) items(f *frame) int { return (f.rows[st.x] + rowChunk - 1) / rowChunk }

func (st *topkStep) do(f *frame, worker, item int) {
	for r := item * rowChunk; r < min((item+1)*rowChunk, f.rows[st.x]); r++ {
		x, top, at := f.rowOf(st.x, r), f.rowOf(st.values, r), f.ints[st.index][r*st.k:(r+1)*st.k]
		n := 0
		for j, v := range x {
			p := n
			for p > 0 && (v > top[p-1] || v == v && top[p-1] != top[p-1]) { // NaN is below every number
				p--
			}
			if p == st.k {
				continue
			}
			n = min(n+1, st.k)
			copy(top[p+1:n], top[p:])
			copy(at[p+1:n], at[p:])
			top[p], at[p] = v, int32(j)
		}
	}
}

// experts compiles an expert_linear: the rows are quantized once for each form that
// the experts take, sorted by expert, multiplied, and brought back in order.
func (c *Compiler) experts(i int) error {
	n := &c.nodes[i]
	op := n.Op.(graph.ExpertLinear)
	x, out := c.in(i, 0), c.out(i)
	st := &expertStep{name: n.Name, op: op, x: x, idx: -1, out: out}
	if len(n.In) > 1 {
		if err := c.inRange(i, 1, op.Experts, "the experts"); err != nil {
			return err
		}
		st.idx = c.in(i, 1)
		c.need(st.idx)
	}
	c.need(x)
	prep := c.emit(&rowOp{name: n.Name, what: "rows", src: []int{x}, out: x}, -1)
	prepAt := len(c.steps) - 1
	for e := range op.Experts {
		bias := ""
		if op.Bias {
			bias = n.Params[op.Experts+e]
		}
		l, err := c.layer(n.Params[e], bias, c.values[out].width, c.values[x].width)
		if err != nil {
			return err
		}
		q, err := c.quantTo(x, l)
		if err != nil {
			return err
		}
		if !slices.Contains(prep.quant, q) {
			prep.quant = append(prep.quant, q)
		}
		st.layers, st.acts = append(st.layers, l), append(st.acts, q.acts)
	}
	sort := &sortStep{st}
	c.steps = append(c.steps, sort, st)
	c.made[out] = true
	c.record(i, prepAt, prepAt+1, prepAt+2)
	return nil
}

// expertStep multiplies the rows of each expert; an item is an expert and a run of its columns.
type expertStep struct {
	name        string
	op          graph.ExpertLinear
	x, idx, out int // idx is -1 where each row has the expert of its place
	layers      []Layer
	acts        []int // of each expert
}

// routed is the order of a pass's choices by expert. It lives in the frame.
type routed struct {
	rows   []int32 // of the result, sorted by expert
	starts []int   // of each expert in rows, and the end
	next   []int
	used   []int          // experts that have rows
	sorted []*linear.Acts // by acts of the program: rows in that order
	y      []float32      // results in that order
	sub    []linear.Acts  // of each worker
}

// sortStep brings the quantized rows into the order of the experts; an item is an expert.
type sortStep struct{ *expertStep }

func (st *sortStep) writes() []int { return nil }

func (st *sortStep) items(f *frame) int {
	rt := &f.routed
	n := f.rows[st.out]
	var idx []int32
	if st.idx >= 0 {
		idx = f.ints[st.idx]
	}
	if len(rt.starts) < len(st.layers)+1 {
		rt.starts, rt.next = make([]int, len(st.layers)+1), make([]int, len(st.layers)+1)
	}
	clear(rt.starts)
	for r := range n {
		rt.starts[st.op.Of(idx, r)+1]++
	}
	rt.used = rt.used[:0]
	for e := range st.layers {
		if rt.starts[e+1] > 0 {
			rt.used = append(rt.used, e)
		}
		rt.starts[e+1] += rt.starts[e]
	}
	rt.rows = slices.Grow(rt.rows[:0], n)[:n]
	copy(rt.next, rt.starts)
	for r := range n {
		e := st.op.Of(idx, r)
		rt.rows[rt.next[e]] = int32(r)
		rt.next[e]++
	}
	if size := n * f.p.values[st.out].width; len(rt.y) < size {
		rt.y = make([]float32, grown(size, len(rt.y)))
	}
	for len(rt.sorted) < len(f.acts) {
		rt.sorted = append(rt.sorted, nil)
	}
	for _, a := range st.acts {
		if rt.sorted[a] == nil || rt.sorted[a].Room() < n {
			rt.sorted[a] = f.p.acts[a].rows(grown(n, 0))
		}
		rt.sorted[a].Reset(n)
	}
	if len(rt.sub) < f.ws.Threads() {
		rt.sub = make([]linear.Acts, f.ws.Threads())
	}
	return len(rt.used)
}

func (st *sortStep) do(f *frame, worker, item int) {
	rt := &f.routed
	e := rt.used[item]
	each := f.rows[st.out] / max(f.rows[st.x], 1) // results of a row of x
	for p := rt.starts[e]; p < rt.starts[e+1]; p++ {
		rt.sorted[st.acts[e]].CopyRow(p, f.acts[st.acts[e]], int(rt.rows[p])/each)
	}
}

func (st *expertStep) node() string { return st.name }
func (st *expertStep) reads() []int {
	if st.idx < 0 {
		return []int{st.x}
	}
	return []int{st.x, st.idx}
}
func (st *expertStep) writes() []int { return []int{st.out} }

// chunk is the number of blocks of 16 columns in an item, and how many items an expert has.
func (st *expertStep) chunk(f *frame) (chunk, items int) {
	blocks := (st.layers[0].Weight.N + 15) / 16
	want := max(1, 4*f.ws.Threads()/max(len(f.routed.used), 1))
	chunk = max(num.Pad(blocks/want, 4), 4)
	return chunk, (blocks + chunk - 1) / chunk
}

func (st *expertStep) items(f *frame) int {
	_, n := st.chunk(f)
	return n * len(f.routed.used)
}

func (st *expertStep) do(f *frame, worker, item int) {
	rt := &f.routed
	chunk, n := st.chunk(f)
	e := rt.used[item/n]
	w := st.layers[e].Weight
	b0 := item % n * chunk
	b1 := min(b0+chunk, (w.N+15)/16)
	p0, p1 := rt.starts[e], rt.starts[e+1]
	sub := &rt.sub[worker]
	*sub = rt.sorted[st.acts[e]].Sub(p0, p1)
	y := rt.y[p0*w.N : p1*w.N]
	linear.Linear(linear.Sink{Y: y, Ld: w.N}, sub, w, b0, b1, &f.ws.gemm[worker])
	c0, c1 := b0*16, min(b1*16, w.N)
	for p := p0; p < p1; p++ {
		copy(f.rowOf(st.out, int(rt.rows[p]))[c0:c1], y[(p-p0)*w.N+c0:(p-p0)*w.N+c1])
	}
}
