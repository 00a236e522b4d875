package exec

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

// Compiler is what an op's file sees of a compilation.
type Compiler struct {
	*Program
	w     Weights
	fuse  bool
	uses  [][]int        // value -> nodes that read it
	lazy  map[int]*rowOp // values not computed yet: their first reader will
	made  []bool         // values in memory when the next step begins
	done  []bool         // nodes already covered by a step
	nodes []graph.Node
	// bounded are the integers that ops make: all are below that number.
	bounded map[int]int
	sunk    map[int]quant // rows of values that sinks have made
	held    map[int]bool  // buffers of rows whose readers are still to come
	stored  map[int]codes // values that are kept as codes
	side    map[int]codes // codes of values that are float32 too
	joined  map[int]bool  // values whose codes lie in those of a concat
}

// compileOp adds the steps of node i.
type compileOp func(c *Compiler, i int) error

var ops = map[string]compileOp{}

// register tells how an op kind is compiled; its file calls it when the package starts.
func register(kind string, f compileOp) {
	if ops[kind] != nil {
		panic("exec: op " + kind + " is registered twice")
	}
	ops[kind] = f
}

// Row is what a function of one row sees: the rows of the node's operands.
type Row struct {
	f   *frame
	op  *rowOp
	r   int
	Dst []float32 // the result [width]
}

// In is the row of operand j that belongs to this one.
func (r *Row) In(j int) []float32 { return r.f.rowOf(r.op.src[j], r.r) }

// Register tells how an op is computed whose results are float32 rows that depend
// only on the same rows of its operands, all as many: compile looks at the node
// once and returns the function of a row. It is how an op comes in from outside;
// those of this package know more of the machine.
func Register(kind string, compile func(n *graph.Node, w Weights) (func(r *Row), error)) {
	register(kind, func(c *Compiler, i int) error {
		fn, err := compile(&c.nodes[i], c.w)
		if err != nil {
			return err
		}
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) { fn(&Row{f, op, r, dst}) }})
		return nil
	})
}

// Compile plans g with the weights w. The graph must have passed Verify.
func Compile(g *graph.Graph, w Weights, opt Options) (*Program, error) {
	return build(g, w, opt, true)
}

func build(g *graph.Graph, w Weights, opt Options, fold bool) (*Program, error) {
	c := &Compiler{
		Program: &Program{g: g, index: map[string]int{}},
		w:       w, fuse: !opt.NoFuse, lazy: map[int]*rowOp{}, bounded: map[int]int{}, sunk: map[int]quant{}, held: map[int]bool{}, stored: map[int]codes{}, side: map[int]codes{}, joined: map[int]bool{},
		nodes: g.Nodes, done: make([]bool, len(g.Nodes)),
	}
	if opt.NoFuse {
		c.byNode = make([][]int, len(g.Nodes))
	}
	for _, list := range [][]graph.Value{g.Inputs, g.Values} {
		for _, v := range list {
			i := len(c.values)
			c.index[v.Name] = i
			n := len(v.Shape) - 1
			x := value{Value: v, lead: v.Shape[:n], width: int(v.Shape[n]), alias: i, slot: -1}
			if x.width < 0 {
				if n > 0 {
					return nil, fmt.Errorf("value %q %s: the last dimension of more than one must be a number", v.Name, g.ShapeString(v.Shape))
				}
				x.lead, x.width = v.Shape, 1
			}
			c.values = append(c.values, x)
		}
	}
	if err := c.findInputs(); err != nil {
		return nil, err
	}
	if err := c.findStored(); err != nil {
		return nil, err
	}
	c.uses, c.made = make([][]int, len(c.values)), make([]bool, len(c.values))
	for i := range g.Inputs {
		c.made[i] = true
	}
	if fold {
		if err := c.fold(); err != nil {
			return nil, err
		}
	}
	for i, n := range g.Nodes {
		if c.done[i] {
			continue
		}
		for _, in := range n.In {
			v := c.index[in]
			c.uses[v] = append(c.uses[v], i)
		}
	}
	for _, name := range g.Outputs {
		c.outs = append(c.outs, c.index[name])
	}
	for i := range g.Nodes {
		if c.done[i] {
			continue
		}
		c.done[i] = true
		compile := ops[g.Nodes[i].Op.Kind()]
		if compile == nil {
			return nil, fmt.Errorf("node %q: op %q has no kernel in this executor", g.Nodes[i].Name, g.Nodes[i].Op.Kind())
		}
		if err := compile(c, i); err != nil {
			return nil, fmt.Errorf("node %q: %w", g.Nodes[i].Name, err)
		}
	}
	for _, v := range c.outs {
		c.need(v)
	}
	if c.fuse {
		c.chains()
	}
	c.plan()
	if n := c.leastMemory(); n > maxWorking {
		return nil, fmt.Errorf("one row needs %.1f GiB of working memory, at most %d GiB are given", n/(1<<30), maxWorking>>30)
	}
	return c.Program, nil
}

// in returns the value of operand j of node i.
func (c *Compiler) in(i, j int) int { return c.index[c.nodes[i].In[j]] }

// out returns the value of node i's first result.
func (c *Compiler) out(i int) int { return c.index[c.nodes[i].Out[0]] }

// isOut tells whether v is a result of the graph.
func (c *Compiler) isOut(v int) bool { return slices.Contains(c.outs, v) }

// row makes the result of node i that of a row operation, computed when its
// first reader needs it. What op lacks is filled in: name, operands, result.
func (c *Compiler) row(i int, op *rowOp) {
	op.name = c.nodes[i].Name
	if op.what == "" {
		op.what = c.nodes[i].Op.Kind()
	}
	if op.src == nil {
		for j := range c.nodes[i].In {
			op.src = append(op.src, c.in(i, j))
		}
	}
	op.out = c.out(i)
	c.lazy[op.out] = op
	if !c.fuse {
		if k, ok := c.stored[op.out]; ok {
			c.needCodes(op.out)
			c.made[k.value] = true
			c.finish(i)
			return
		}
		c.need(op.out)
		c.record(i, len(c.steps)-1)
	}
}

// takes is the op that computes the rows of v, where its only reader, which computes row by row, can begin with it and v never lies in memory; nil: none.
func (c *Compiler) takes(v int) *rowOp {
	op := c.lazy[v]
	if _, alone := c.only(v); !alone || op == nil || op.fn == nil || op.turn != nil {
		return nil
	}
	delete(c.lazy, v)
	return op
}

// step appends steps that compute node i from operands in memory.
func (c *Compiler) step(i int, steps ...step) {
	for j := range c.nodes[i].In {
		c.need(c.in(i, j))
	}
	first := len(c.steps)
	var list []int
	for k, st := range steps {
		c.steps = append(c.steps, st)
		list = append(list, first+k)
		for _, v := range st.writes() {
			c.made[v] = true
			if _, ok := c.stored[v]; ok {
				c.settle(v)
				list = append(list, len(c.steps)-1)
			}
		}
	}
	c.record(i, list...)
}

// record notes the steps that compute node i.
func (c *Compiler) record(i int, steps ...int) {
	if c.byNode != nil {
		c.byNode[i] = steps
	}
}

// root follows aliases to the value that owns the memory.
func (c *Compiler) root(v int) int {
	for c.values[v].alias != v {
		v = c.values[v].alias
	}
	return v
}

// need makes sure that v lies in memory.
func (c *Compiler) need(v int) {
	if k, ok := c.stored[v]; ok {
		if c.needCodes(v); !c.made[v] {
			c.steps = append(c.steps, &decodeStep{c.values[v].Name, k.value, v, k})
			c.made[v] = true
		}
		return
	}
	if op, ok := c.lazy[v]; ok {
		delete(c.lazy, v)
		c.emit(op, v)
	}
}

// emit appends op's step; its rows go to dst, or nowhere with -1.
func (c *Compiler) emit(op *rowOp, dst int) *rowStep {
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

// wants says whether operand j of node i is this input of the graph, whose
// numbers the executor knows the range of, whatever the file says.
func (c *Compiler) wants(i, j int, input string) error {
	if c.nodes[i].In[j] != input {
		return fmt.Errorf("operand %q: this executor takes only the graph's %q there", c.nodes[i].In[j], input)
	}
	return nil
}

// inRange makes sure that the integers of operand j of node i are below n when a pass
// begins: they must be an input of the graph, or made by an op that bounds them.
func (c *Compiler) inRange(i, j, n int, what string) error {
	v := c.in(i, j)
	if below, ok := c.bounded[v]; ok && below <= n {
		return nil
	}
	for v >= len(c.g.Inputs) { // an input under another shape
		k := slices.IndexFunc(c.nodes[:i], func(n graph.Node) bool { return n.Op.Kind() == "reshape" && c.index[n.Out[0]] == v })
		if k < 0 {
			break
		}
		v = c.in(k, 0)
	}
	if v == c.rows || v >= len(c.g.Inputs) {
		return fmt.Errorf("operand %q: this executor takes only inputs of the graph, but rows, there", c.nodes[i].In[j])
	}
	c.checks = append(c.checks, check{v, n, what})
	return nil
}

// plan gives every value in memory a slot: one whose values are as wide, or
// the most like it, of those that are free.
func (c *Compiler) plan() {
	for i, st := range c.steps {
		for _, list := range [][]int{st.reads(), st.writes()} {
			for _, v := range list {
				c.values[c.root(v)].last = i
			}
		}
	}
	for _, v := range c.outs {
		c.values[c.root(v)].last = len(c.steps)
	}
	var free []int // slots
	var sizes []float64
	for i, st := range c.steps {
		for _, v := range st.writes() {
			r := &c.values[c.root(v)]
			if r.slot >= 0 || c.root(v) < len(c.g.Inputs) {
				continue
			}
			want, best := c.typical(r), -1
			for j, s := range free {
				if best < 0 || better(sizes[s], sizes[free[best]], want) {
					best = j
				}
			}
			if best < 0 {
				sizes = append(sizes, 0)
				free = append(free, len(sizes)-1)
				best = len(free) - 1
			}
			r.slot = free[best]
			free = append(free[:best], free[best+1:]...)
			sizes[r.slot] = max(sizes[r.slot], want)
		}
		for v := range c.values {
			if r := &c.values[v]; r.alias == v && r.slot >= 0 && r.last == i {
				free = append(free, r.slot)
			}
		}
	}
	c.slots = len(sizes)
	for v := range c.values {
		c.values[v].slot = c.values[c.root(v)].slot
	}
}

// typical is the size of a value in a large pass, with few rows wanted of many.
func (p *Program) typical(v *value) float64 {
	n := float64(v.width)
	if v.bytes {
		n /= 4
	}
	for _, d := range v.lead {
		switch {
		case d >= 0:
			n *= float64(d)
		case int(-1-d) != p.symR && int(-1-d) != p.symS:
			n *= 256
		}
	}
	return n
}

// better says whether a slot of size a suits w more than one of size b: the least
// that is large enough, or the largest.
func better(a, b, w float64) bool {
	if (a >= w) != (b >= w) {
		return a >= w
	}
	if a >= w {
		return a < b
	}
	return a > b
}
