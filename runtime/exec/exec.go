// Package exec runs a graph with packed weights: planned memory, fused steps,
// quantized kernels and a KV cache. It is the fast one of the two executors;
// runtime/ref is the yardstick.
//
// Compile turns a graph into a Program, an immutable list of steps that any
// number of States may run. A State owns the buffers and the KV cache of one
// sequence; Run feeds it tokens. Once a State exists, Run allocates nothing.
// Results do not depend on the number of workers or on how a sequence is cut
// into calls (numerics N7).
//
// It runs decoder-only models: graphs of rows with the inputs ids [T], pos [T] and
// rows [R] and one output [R, V].
//
// Fusions, all of which keep every bit: linears that read one value share its
// quantized rows and one parallel region (QKV, gate and up); norms and
// activations quantize each row while it is in cache and never store it; the
// residual addition is the linear's epilogue; rotations happen in place.
package exec

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
	"qpt/kernels/attn"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
)

// Layer is one linear layer: packed weights and how its input rows are stored.
type Layer struct {
	Weight *linear.Weight
	Form   linear.ActForm
	Static bool // A8 by Weights.Static instead of row by row
}

// Weights finds the constants of a graph by parameter name.
type Weights interface {
	// Linear returns a matrix [N, K]; bias names its [N] vector or is "".
	Linear(name, bias string) (Layer, error)
	// Vector returns a one-dimensional parameter.
	Vector(name string) ([]float32, error)
	// Static returns the scale and zero point of a value that layers with
	// Static set read.
	Static(value string) (scale float32, zero int32, err error)
}

// Options of Compile; the zero value fuses.
type Options struct {
	// NoFuse makes one step a node and keeps each result until its last use,
	// so that every node can be looked at. The results are the same bits.
	NoFuse bool
}

// Program is a compiled graph, safe for concurrent use by several States.
type Program struct {
	g      *graph.Graph
	steps  []step
	values []value
	index  map[string]int // value name -> values index
	slots  []slot
	acts   []actSpec
	caches []graph.Attention
	ropes  []graph.RoPE
	out    int  // value index of the output
	vocab  int  // token ids must be below
	maxPos int  // positions must be below
	whole  bool // some attention keeps no cache: a sequence must be one pass
	// byNode lists the steps that compute a node, in order (NoFuse only).
	byNode [][]int
}

// value is a graph value and the slot that holds it.
type value struct {
	graph.Value
	rowSym int // symbol of the first dimension
	width  int // product of the other dimensions
	alias  int // value whose memory this one shares; itself for most
	slot   int // -1 while it never lies in memory
	last   int // last step that reads it
}

// slot is a buffer that several values use in turn.
type slot struct{ width int }

// actSpec is a buffer of quantized rows. Static rows have their own: the same
// value may be read in both ways.
type actSpec struct {
	form   linear.ActForm
	k      int
	static bool
}

// quant is what a rowStep quantizes to: a buffer and, if it is static, the
// value's scale and zero point.
type quant struct {
	acts  int
	scale float32 // 0: row by row
	zero  int32
}

// step is one unit of execution. items is the number of independent parts for
// the sizes of this call; do runs one of them.
type step interface {
	node() string // the last graph node that it completes
	reads() []int
	writes() []int
	items(s *State) int
	do(s *State, worker, item int)
}

// compiler state.
type compiler struct {
	*Program
	w     Weights
	fuse  bool
	uses  [][]int        // value -> nodes that read it
	lazy  map[int]*rowOp // values not computed yet: their first reader will
	made  []bool         // values in memory when the next step begins
	done  []bool         // nodes already covered by a step
	nodes []graph.Node
}

// Compile plans g with the weights w. The graph must have passed Verify.
func Compile(g *graph.Graph, w Weights, opt Options) (*Program, error) {
	c := &compiler{
		Program: &Program{g: g, index: map[string]int{}, vocab: math.MaxInt32, maxPos: math.MaxInt32},
		w:       w, fuse: !opt.NoFuse, lazy: map[int]*rowOp{},
		nodes: g.Nodes, done: make([]bool, len(g.Nodes)),
	}
	if opt.NoFuse {
		c.byNode = make([][]int, len(g.Nodes))
	}
	for _, in := range g.Inputs {
		if want := map[string]string{"ids": "i32 [T]", "pos": "i32 [T]", "rows": "i32 [R]"}[in.Name]; want != string(in.DType)+" "+g.ShapeString(in.Shape) {
			return nil, fmt.Errorf("graph input %q is %s %s; this executor knows ids i32 [T], pos i32 [T] and rows i32 [R]", in.Name, in.DType, g.ShapeString(in.Shape))
		}
	}
	for _, list := range [][]graph.Value{g.Inputs, g.Values} {
		for _, v := range list {
			width := 1
			for _, d := range v.Shape[1:] {
				if d < 0 {
					return nil, fmt.Errorf("value %q: only the first dimension may be symbolic", v.Name)
				}
				width *= int(d)
			}
			if d := v.Shape[0]; d >= 0 || g.Symbols[-1-d] != "T" && g.Symbols[-1-d] != "R" {
				return nil, fmt.Errorf("value %q: the first dimension must be the symbol T or R", v.Name)
			}
			i := len(c.values)
			c.index[v.Name] = i
			c.values = append(c.values, value{Value: v, rowSym: int(-1 - v.Shape[0]), width: width, alias: i, slot: -1})
		}
	}
	c.uses, c.made = make([][]int, len(c.values)), make([]bool, len(c.values))
	for i, n := range g.Nodes {
		for _, in := range n.In {
			v := c.index[in]
			c.uses[v] = append(c.uses[v], i)
		}
	}
	if len(g.Outputs) != 1 {
		return nil, fmt.Errorf("graph has %d outputs, want 1", len(g.Outputs))
	}
	c.out = c.index[g.Outputs[0]]
	if out := c.values[c.out]; out.DType != graph.Float || g.Symbols[out.rowSym] != "R" {
		return nil, fmt.Errorf("output %q must be f32 [R, V]", out.Name)
	}
	for i := range g.Nodes {
		if c.done[i] {
			continue
		}
		if err := c.compile(i); err != nil {
			return nil, fmt.Errorf("node %q: %w", g.Nodes[i].Name, err)
		}
	}
	if _, ok := c.lazy[c.out]; ok {
		c.materialize(c.out)
	}
	c.plan()
	if n := c.leastMemory(); n > maxWorking {
		return nil, fmt.Errorf("one token needs %.1f GiB of working memory, at most %d GiB are given", n/(1<<30), maxWorking>>30)
	}
	return c.Program, nil
}

func (c *compiler) compile(i int) error {
	n := &c.nodes[i]
	c.done[i] = true
	in := make([]int, len(n.In))
	for j, name := range n.In {
		in[j] = c.index[name]
	}
	out := c.index[n.Out[0]]
	op := &rowOp{name: n.Name, src: in, sym: c.values[out].rowSym, width: c.values[out].width}
	switch o := n.Op.(type) {
	case graph.Embedding:
		table, err := c.w.Linear(n.Params[0], "")
		if err != nil {
			return err
		}
		if table.Weight.K != op.width {
			return fmt.Errorf("parameter %q has rows of %d values, the graph wants %d", n.Params[0], table.Weight.K, op.width)
		}
		op.kind, op.table = rowEmbed, table.Weight
		if n.In[0] == "pos" {
			c.maxPos = min(c.maxPos, table.Weight.N)
		} else if err := wants(n, 0, "ids"); err != nil {
			return err
		} else {
			c.vocab = min(c.vocab, table.Weight.N)
		}
	case graph.Gather:
		if err := wants(n, 1, "rows"); err != nil {
			return err
		}
		if c.g.Symbols[c.values[in[0]].rowSym] != "T" {
			return fmt.Errorf("gathers from %q; only rows of T tokens can be gathered", n.In[0])
		}
		op.kind = rowGather
	case graph.RMSNorm:
		w, err := c.w.Vector(n.Params[0])
		if err != nil {
			return err
		}
		if len(w) != c.values[in[0]].width {
			return fmt.Errorf("parameter %q has %d values, the rows have %d", n.Params[0], len(w), c.values[in[0]].width)
		}
		op.kind, op.vec, op.eps, op.offset = rowNorm, w, o.Eps, float32(o.Offset)
	case graph.RoPE:
		if err := wants(n, 1, "pos"); err != nil {
			return err
		}
		op.kind, op.rope = rowRope, len(c.ropes)
		for j, r := range c.ropes {
			if sameRope(r, o) {
				op.rope = j
			}
		}
		if op.rope == len(c.ropes) {
			c.ropes = append(c.ropes, o)
		}
		// In place when nobody else reads the source.
		c.need(in[0])
		if c.fuse && len(c.uses[in[0]]) == 1 {
			c.values[out].alias = c.root(in[0])
		}
		c.emitRow(op, out)
		c.record(i, len(c.steps)-1)
		return nil
	case graph.Unary:
		f, ok := elem.Unary(o.Func)
		if !ok {
			return fmt.Errorf("function %q has no kernel", o.Func)
		}
		op.kind, op.unary, op.isSiLU = rowUnary, f, o.Func == "silu"
	case graph.Binary:
		switch o.Func {
		case "add":
			op.kind = rowAdd
		case "mul":
			op.kind = rowMul
			// silu(a) * b in one pass.
			if a := c.lazy[in[0]]; a != nil && a.isSiLU && len(c.uses[in[0]]) == 1 {
				delete(c.lazy, in[0])
				op.kind, op.src = rowSiLUMul, []int{a.src[0], in[1]}
			}
		default:
			return fmt.Errorf("binary function %q has no kernel", o.Func)
		}
	case graph.Linear:
		if err := c.linears(in[0]); err != nil {
			return err
		}
		return nil
	case graph.Attention:
		if err := wants(n, 3, "pos"); err != nil {
			return err
		}
		for _, v := range in {
			c.need(v)
		}
		c.made[out] = true
		c.whole = c.whole || o.Cache == ""
		cache := len(c.caches)
		c.caches = append(c.caches, o)
		kv := &kvStep{name: n.Name, cache: cache, k: in[1], v: in[2]}
		at := &attnStep{name: n.Name, cache: cache, q: in[0], out: out, op: o, spec: attn.Spec{
			Heads: o.Heads, Scale: float32(o.Scale), Mask: attn.Mask{Causal: o.Mask.Kind == "causal", Window: o.Mask.Window},
		}}
		c.steps = append(c.steps, kv, at)
		c.record(i, len(c.steps)-2, len(c.steps)-1)
		return nil
	default:
		return fmt.Errorf("op %q has no kernel in this executor", n.Op.Kind())
	}
	c.lazy[out] = op
	if !c.fuse {
		c.materialize(out)
		c.record(i, len(c.steps)-1)
	}
	return nil
}

// wants says whether operand j of n is this graph input: State knows the range
// of the numbers in it, whatever the file says.
func wants(n *graph.Node, j int, input string) error {
	if n.In[j] != input {
		return fmt.Errorf("operand %q: this executor takes only the graph's %q there", n.In[j], input)
	}
	return nil
}

// record notes the steps that compute node i.
func (c *compiler) record(i int, steps ...int) {
	if c.byNode != nil {
		c.byNode[i] = steps
	}
}

// root follows aliases to the value that owns the memory.
func (c *compiler) root(v int) int {
	for c.values[v].alias != v {
		v = c.values[v].alias
	}
	return v
}

// need makes sure that v lies in memory.
func (c *compiler) need(v int) {
	if _, ok := c.lazy[v]; ok {
		c.materialize(v)
	}
}

func (c *compiler) materialize(v int) {
	op := c.lazy[v]
	delete(c.lazy, v)
	c.emitRow(op, v)
}

func (c *compiler) emitRow(op *rowOp, dst int) *rowStep {
	for _, v := range op.src {
		c.need(v)
	}
	st := &rowStep{rowOp: *op, dst: dst}
	c.steps = append(c.steps, st)
	if dst >= 0 {
		c.made[dst] = true
	}
	return st
}

// maxK is the longest sum that an int32 holds (numerics N3.5).
const maxK = 65536

// linears emits every linear layer that reads x: one preparation of its rows,
// then one step for each form of the rows.
func (c *compiler) linears(x int) error {
	var prep *rowStep
	others := x == c.out
	for _, i := range c.uses[x] {
		if _, ok := c.nodes[i].Op.(graph.Linear); !ok {
			others = true
		}
	}
	if op := c.lazy[x]; op != nil {
		delete(c.lazy, x)
		dst := -1
		if others {
			dst = x
		}
		prep = c.emitRow(op, dst)
	} else {
		prep = c.emitRow(&rowOp{kind: rowCopy, name: c.values[x].Name, src: []int{x}, sym: c.values[x].rowSym, width: c.values[x].width}, -1)
	}
	prepAt := len(c.steps) - 1
	var made []int
	bySpec := map[actSpec]*linearStep{}
	for _, i := range c.uses[x] {
		n := &c.nodes[i]
		if _, ok := n.Op.(graph.Linear); !ok {
			continue
		}
		c.done[i] = true
		l, err := c.w.Linear(n.Params[0], n.Params[1])
		if err != nil {
			return err
		}
		out := c.index[n.Out[0]]
		if l.Weight.K != c.values[x].width || l.Weight.N != c.values[out].width {
			return fmt.Errorf("parameter %q is [%d, %d], the graph wants [%d, %d]", n.Params[0], l.Weight.N, l.Weight.K, c.values[out].width, c.values[x].width)
		}
		if (l.Form == linear.A8 || l.Form == linear.A16) && l.Weight.K > maxK {
			return fmt.Errorf("parameter %q has rows of %d values, integer sums hold %d", n.Params[0], l.Weight.K, maxK)
		}
		spec := actSpec{l.Form, l.Weight.K, l.Static}
		st := bySpec[spec]
		if st == nil || !c.fuse {
			q := quant{acts: c.actIndex(spec)}
			if l.Static {
				if q.scale, q.zero, err = c.w.Static(c.values[x].Name); err != nil {
					return err
				}
			}
			st = &linearStep{acts: q.acts, sym: c.values[x].rowSym}
			bySpec[spec] = st
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
// r that is in memory and dies there. Then the linear adds to it in place, the
// addition is done, and its result is returned; otherwise out is.
func (c *compiler) residual(i, out int) (sum int) {
	if !c.fuse || len(c.uses[out]) != 1 || out == c.out {
		return out
	}
	a := c.uses[out][0]
	n := &c.nodes[a]
	if o, ok := n.Op.(graph.Binary); !ok || o.Func != "add" {
		return out
	}
	r := c.index[n.In[0]]
	if r == out {
		r = c.index[n.In[1]]
	}
	if !c.made[r] || r == out || r == c.out {
		return out
	}
	for _, u := range c.uses[r] {
		if u != a && !c.done[u] {
			return out
		}
	}
	for _, op := range c.lazy { // done, but still to read r
		for _, v := range op.src {
			if v == r {
				return out
			}
		}
	}
	c.done[a] = true
	sum = c.index[n.Out[0]]
	c.values[sum].alias = c.root(r)
	c.values[out].alias = c.root(r)
	return sum
}

func (c *compiler) actIndex(spec actSpec) int {
	if i := slices.Index(c.acts, spec); i >= 0 {
		return i
	}
	c.acts = append(c.acts, spec)
	return len(c.acts) - 1
}

// plan gives every value in memory a slot: the narrowest free one that is wide
// enough, or the widest free one made wider.
func (c *compiler) plan() {
	for i, st := range c.steps {
		for _, list := range [][]int{st.reads(), st.writes()} {
			for _, v := range list {
				c.values[c.root(v)].last = i
			}
		}
	}
	c.values[c.root(c.out)].last = len(c.steps)
	var free []int
	for i, st := range c.steps {
		for _, v := range st.writes() {
			r := &c.values[c.root(v)]
			if r.slot >= 0 {
				continue
			}
			best := -1
			for j, s := range free {
				if best < 0 || better(c.slots[s].width, c.slots[free[best]].width, r.width) {
					best = j
				}
			}
			if best < 0 {
				c.slots = append(c.slots, slot{})
				free = append(free, len(c.slots)-1)
				best = len(free) - 1
			}
			r.slot = free[best]
			free = append(free[:best], free[best+1:]...)
			c.slots[r.slot].width = max(c.slots[r.slot].width, r.width)
		}
		for v := range c.values {
			if r := &c.values[v]; r.alias == v && r.slot >= 0 && r.last == i {
				free = append(free, r.slot)
			}
		}
	}
	for v := range c.values {
		c.values[v].slot = c.values[c.root(v)].slot
	}
}

// better says whether a slot of width a suits w more than one of width b.
func better(a, b, w int) bool {
	if (a >= w) != (b >= w) {
		return a >= w
	}
	if a >= w {
		return a < b
	}
	return a > b
}

func sameRope(a, b graph.RoPE) bool {
	if a.HeadDim != b.HeadDim || a.Rotary != b.Rotary || a.Pairing != b.Pairing || a.Scale != b.Scale ||
		(a.Dynamic == nil) != (b.Dynamic == nil) || a.Dynamic != nil && *a.Dynamic != *b.Dynamic || len(a.Freqs) != len(b.Freqs) {
		return false
	}
	for i := range a.Freqs {
		if a.Freqs[i] != b.Freqs[i] {
			return false
		}
	}
	return true
}

// OutputWidth is the number of values in a row of the output: the vocabulary of a language model.
func (p *Program) OutputWidth() int { return p.values[p.out].width }
