package exec

import (
	"fmt"
	"slices"

	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/linear"
)

// maxK is the longest sum that an int32 holds (numerics N3.5).
const maxK = 65536

func init() {
	register("linear", func(c *Compiler, i int) error { return c.linears(c.in(i, 0)) })
}

// layer finds the weights of a linear and checks that they are [n, k].
func (c *Compiler) layer(weight, bias string, n, k int) (Layer, error) {
	l, err := c.w.Linear(weight, bias)
	if err != nil {
		return l, err
	}
	if l.Weight.K != k || l.Weight.N != n {
		return l, fmt.Errorf("parameter %q is [%d, %d], the graph wants [%d, %d]", weight, l.Weight.N, l.Weight.K, n, k)
	}
	if (l.Form == linear.A8 || l.Form == linear.A16) && k > maxK {
		return l, fmt.Errorf("parameter %q has rows of %d values, integer sums hold %d", weight, k, maxK)
	}
	return l, nil
}

// quantTo is where the rows of x go for a layer.
func (c *Compiler) quantTo(x int, l Layer) (q quant, err error) {
	spec := actSpec{l.Form, l.Weight.K, l.Static}
	if q.acts = slices.Index(c.acts, spec); q.acts < 0 {
		q.acts = len(c.acts)
		c.acts, c.actUses = append(c.acts, spec), append(c.actUses, nil)
	}
	if !slices.Contains(c.actUses[q.acts], x) {
		c.actUses[q.acts] = append(c.actUses[q.acts], x)
	}
	if l.Static {
		q.scale, q.zero, err = c.w.Static(c.values[x].Name)
	}
	return q, err
}

// prepare appends the step that quantizes the rows of x, which computes them too if it can.
// What is to be quantized is added to the step that it returns.
func (c *Compiler) prepare(x int) *rowStep {
	others := c.isOut(x)
	for _, i := range c.uses[x] {
		if c.nodes[i].Op.Kind() != "linear" {
			others = true
		}
	}
	op := c.lazy[x]
	if op == nil {
		return c.emit(&rowOp{name: c.values[x].Name, what: "rows", src: []int{x}, out: x}, -1)
	}
	delete(c.lazy, x)
	dst := -1
	if others {
		dst = x
	}
	return c.emit(op, dst)
}

// linears emits every linear layer that reads x: one preparation of its rows,
// then one step for each form of the rows.
func (c *Compiler) linears(x int) error {
	prep := c.prepare(x)
	prepAt := len(c.steps) - 1
	var made []int
	byActs := map[int]*linearStep{}
	for _, i := range c.uses[x] {
		n := &c.nodes[i]
		if n.Op.Kind() != "linear" {
			continue
		}
		c.done[i] = true
		out := c.index[n.Out[0]]
		l, err := c.layer(n.Params[0], n.Params[1], c.values[out].width, c.values[x].width)
		if err != nil {
			return err
		}
		q, err := c.quantTo(x, l)
		if err != nil {
			return err
		}
		st := byActs[q.acts]
		if st == nil || !c.fuse {
			st = &linearStep{acts: q.acts}
			byActs[q.acts] = st
			c.steps = append(c.steps, st)
			if !slices.Contains(prep.quant, q) {
				prep.quant = append(prep.quant, q)
			}
		}
		c.record(i, prepAt, len(c.steps)-1)
		st.name = n.Name
		st.layers = append(st.layers, l)
		sum := c.residual(i, out)
		st.dst = append(st.dst, out)
		st.add = append(st.add, sum != out)
		made = append(made, out, sum)
	}
	for _, v := range made { // not before: the layers of a step run at the same time
		c.made[v] = true
	}
	return nil
}

// residual finds whether the result of linear node i is only added to a value
// r of its shape that is in memory and dies there. Then the linear adds to it in place, the
// addition is done, and its result is returned; otherwise out is.
func (c *Compiler) residual(i, out int) (sum int) {
	if !c.fuse || len(c.uses[out]) != 1 || c.isOut(out) {
		return out
	}
	a := c.uses[out][0]
	n := &c.nodes[a]
	if o, ok := n.Op.(graph.Binary); !ok || o.Func != "add" || len(n.In) != 2 {
		return out
	}
	r := c.index[n.In[0]]
	if r == out {
		r = c.index[n.In[1]]
	}
	if !c.made[r] || r == out || c.isOut(r) || c.fixed(r) || !slices.Equal(c.values[r].Shape, c.values[out].Shape) {
		return out
	}
	for _, u := range c.uses[r] {
		if u != a && !c.done[u] {
			return out
		}
	}
	if c.waits(r) {
		return out
	}
	c.done[a] = true
	sum = c.index[n.Out[0]]
	c.values[sum].alias = c.root(r)
	c.values[out].alias = c.root(r)
	return sum
}

// waits tells whether an operation that is done, but not emitted, is still to read v.
func (c *Compiler) waits(v int) bool {
	for _, op := range c.lazy {
		if slices.Contains(op.src, v) {
			return true
		}
	}
	return false
}

// linearStep multiplies the prepared rows by the weights of one or more layers
// in one parallel region; an item is a run of 16-column blocks.
type linearStep struct {
	name   string
	acts   int
	layers []Layer
	dst    []int
	add    []bool
}

func (st *linearStep) node() string  { return st.name }
func (st *linearStep) reads() []int  { return nil }
func (st *linearStep) writes() []int { return st.dst }

// chunk is the number of blocks in an item: four or more, so that a kernel
// call has 64 columns to work on, and about four items a worker, so that a
// worker that lost its core costs little.
func (st *linearStep) chunk(f *frame) (chunk, items int) {
	blocks := 0
	for _, l := range st.layers {
		blocks += (l.Weight.N + 15) / 16
	}
	chunk = max(num.Pad(blocks/(4*f.ws.Threads()), 4), 4)
	for _, l := range st.layers {
		items += ((l.Weight.N+15)/16 + chunk - 1) / chunk
	}
	return chunk, items
}

func (st *linearStep) items(f *frame) int {
	if f.acts[st.acts].M == 0 {
		return 0
	}
	_, items := st.chunk(f)
	return items
}

func (st *linearStep) do(f *frame, worker, item int) {
	chunk, _ := st.chunk(f)
	for i, l := range st.layers {
		blocks := (l.Weight.N + 15) / 16
		n := (blocks + chunk - 1) / chunk
		if item >= n {
			item -= n
			continue
		}
		y := f.val[st.dst[i]]
		to := linear.Sink{Y: y, Ld: l.Weight.N}
		if st.add[i] {
			to.Add = y
		}
		linear.Linear(to, f.acts[st.acts], l.Weight, item*chunk, min((item+1)*chunk, blocks), &f.ws.gemm[worker])
		return
	}
}
