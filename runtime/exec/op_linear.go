package exec

import (
	"fmt"
	"slices"

	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/linear"
)

func init() {
	register("linear", func(c *Compiler, i int) error {
		if _, ok := c.stored[c.in(i, 0)]; ok {
			return c.pointwise(i)
		}
		return c.linears(c.in(i, 0))
	})
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
	if (l.Form == linear.A8 || l.Form == linear.A16) && k > linear.MaxK {
		return l, fmt.Errorf("parameter %q has rows of %d values, integer sums hold %d", weight, k, linear.MaxK)
	}
	return l, nil
}

// quantTo is where the rows of x go for a layer.
func (c *Compiler) quantTo(x int, l Layer) (q quant, err error) {
	q.acts = c.actIndex(specOf(l), x)
	if l.Static {
		q.scale, q.zero, err = c.w.Static(c.values[x].Name)
	}
	return q, err
}

func specOf(l Layer) actSpec {
	return actSpec{form: l.Form, k: l.Weight.K, static: l.Static, want: l.Weight.Rows()}
}

// actIndex finds the buffer of a spec and notes that it holds rows of x.
func (c *Compiler) actIndex(spec actSpec, x int) int {
	i := slices.Index(c.acts, spec)
	if i < 0 {
		i = len(c.acts)
		c.acts, c.actUses = append(c.acts, spec), append(c.actUses, nil)
	}
	if !slices.Contains(c.actUses[i], x) {
		c.actUses[i] = append(c.actUses[i], x)
	}
	return i
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
	var nodes []int
	for _, i := range c.uses[x] {
		if c.nodes[i].Op.Kind() == "linear" && !slices.Contains(nodes, i) {
			nodes = append(nodes, i)
		}
	}
	var prep *rowStep
	prepAt := -1
	sunk, isSunk := c.sunk[x]
	if !isSunk || !c.allWant(nodes, c.acts[sunk.acts]) {
		prep, prepAt = c.prepare(x), len(c.steps)-1
	}
	var made []int
	byActs := map[int]*linearStep{}
	gates := c.gates(x, nodes)
	for _, i := range nodes {
		c.done[i] = true
		n := &c.nodes[i]
		l, err := c.layerOf(i)
		if err != nil {
			return err
		}
		q := sunk
		if !isSunk || c.acts[q.acts].own(0) != specOf(l) {
			if q, err = c.quantTo(x, l); err != nil {
				return err
			}
		}
		if gates[i].is { // the other layer's step does it
			continue
		}
		st := byActs[q.acts]
		if st == nil || !c.fuse {
			st = &linearStep{acts: q.acts}
			byActs[q.acts] = st
			c.steps = append(c.steps, st)
			if c.acts[q.acts].owner == 0 && !slices.Contains(prep.quant, q) {
				prep.quant = append(prep.quant, q)
			}
		}
		if prep == nil {
			c.record(i, len(c.steps)-1)
		} else {
			c.record(i, prepAt, len(c.steps)-1)
		}
		st.name = n.Name
		to, err := c.sink(i, l, gates[i])
		if err != nil {
			return err
		}
		st.layers = append(st.layers, to)
		made = append(made, to.made...)
	}
	for _, v := range made { // not before: the layers of a step run at the same time
		c.made[v] = true
		c.settle(v)
	}
	if isSunk { // free for the results of later steps
		c.held[sunk.acts] = false
	}
	return nil
}

// layerOf is the layer of linear node i.
func (c *Compiler) layerOf(i int) (Layer, error) {
	n := &c.nodes[i]
	return c.layer(n.Params[0], n.Params[1], c.values[c.out(i)].width, c.values[c.in(i, 0)].width)
}

// residual finds whether the result of linear node i is only added to a value
// r of its shape that is in memory and dies there. Then the linear adds to it in place, the
// addition is done, and its result is returned; otherwise out is.
func (c *Compiler) residual(i, out int) (sum int) {
	if _, ok := c.only(out); !ok {
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
// in one parallel region; an item is a run of 16-column blocks for a pass of rows.
type linearStep struct {
	name   string
	acts   int
	layers []target
}

func (st *linearStep) node() string { return st.name }

func (st *linearStep) reads() (list []int) {
	for _, t := range st.layers {
		if t.add >= 0 {
			list = append(list, t.add)
		}
	}
	return list
}

func (st *linearStep) writes() (list []int) {
	for _, t := range st.layers {
		if t.dst >= 0 {
			list = append(list, t.dst)
		}
	}
	return list
}

// chunk is the number of blocks in an item: four or more, so that a kernel
// call has 64 columns to work on, and about four items a worker, so that a
// worker that lost its core costs little. A block of a gated layer counts as two.
func (st *linearStep) chunk(f *frame) int {
	blocks := 0
	for _, t := range st.layers {
		blocks += t.Weight.Blocks() * t.parts()
	}
	return max(num.Pad(blocks/(4*f.ws.Threads()), 4), 4)
}

// cut is the blocks of an item of t, and its items.
func (t *target) cut(chunk int) (blocks, items int) {
	blocks = max(num.Pad(chunk/t.parts(), 4), 4)
	return blocks, (t.Weight.Blocks() + blocks - 1) / blocks
}

func (st *linearStep) items(f *frame) (items int) {
	rows := f.acts[st.acts].M
	if rows == 0 {
		return 0
	}
	chunk := st.chunk(f)
	for i := range st.layers {
		t := &st.layers[i]
		t.begin(f, rows)
		_, n := t.cut(chunk)
		_, passes := st.passes(f, t)
		items += n * passes
	}
	return items
}

// passes is how many rows an item of t takes, and the passes that makes.
func (st *linearStep) passes(f *frame, t *target) (rows, passes int) {
	x := f.acts[st.acts]
	rows = linear.PassRows(x, t.Weight)
	return rows, (x.M + rows - 1) / rows
}

func (st *linearStep) do(f *frame, worker, item int) {
	chunk := st.chunk(f)
	for i := range st.layers {
		t := &st.layers[i]
		blocks, n := t.cut(chunk)
		rows, passes := st.passes(f, t)
		if item >= n*passes {
			item -= n * passes
			continue
		}
		x := f.acts[st.acts]
		m, b := item/n*rows, item%n*blocks
		linear.LinearRows(t.sink(f), x, m, min(m+rows, x.M), t.Weight, b, min(b+blocks, t.Weight.Blocks()), &f.ws.gemm[worker])
		return
	}
}
