package exec

import (
	"slices"

	"qpt/format/graph"
	"qpt/kernels/linear"
)

// target is a layer of a linearStep and where its results go: what becomes of
// them on the way are nodes that need no step of their own.
type target struct {
	Layer
	name string
	dst  int // value that gets float32, -1: none
	add  int // value that is added, -1: none
	// gate is a layer on the same rows; func is applied to its results, which are multiplied by this one's; without
	// a gate to this one's.
	gate     *linear.Weight
	gateName string
	fn       func(dst, x []float32)
	fnName   string
	rows     quant // of the next layers, if next is set
	next     bool
	made     []int // values in memory after the step
}

// parts is how many layers it is.
func (t *target) parts() int {
	if t.gate != nil {
		return 2
	}
	return 1
}

// begin makes the rows of the next layers ready.
func (t *target) begin(f *frame, rows int) {
	if t.next {
		if a := f.acts[t.rows.acts].Reset(rows); t.rows.scale > 0 {
			a.SetStatic(t.rows.scale, t.rows.zero)
		}
	}
}

func (t *target) sink(f *frame) linear.Sink {
	to := linear.Sink{Ld: t.Weight.N, Func: t.fn, Gate: t.gate}
	if t.dst >= 0 {
		to.Y = f.val[t.dst]
	}
	if t.add >= 0 {
		to.Add = f.val[t.add]
	}
	if t.next {
		to.Acts, to.Scale, to.Zero = f.acts[t.rows.acts], t.rows.scale, t.rows.zero
	}
	return to
}

// gating is what a linear node is to func(gate) * up.
type gating struct {
	is      bool // the gate
	of      int  // with fn: the gate's node, of this one, which is up
	fn, mul int  // nodes; mul 0: none
}

// gates finds pairs among the linear nodes of x whose results are only used as func(one) * other.
func (c *Compiler) gates(x int, nodes []int) map[int]gating {
	found := map[int]gating{}
	for _, i := range nodes {
		fn, ok := c.only(c.out(i))
		if !ok || c.nodes[fn].Op.Kind() != "unary" {
			continue
		}
		mul, ok := c.only(c.out(fn))
		if !ok {
			continue
		}
		if o, ok := c.nodes[mul].Op.(graph.Binary); !ok || o.Func != "mul" || o.Scalar != nil {
			continue
		}
		up := c.in(mul, 0)
		if up == c.out(fn) {
			up = c.in(mul, 1)
		}
		if u, ok := c.only(up); !ok || u != mul || !slices.Equal(c.values[up].Shape, c.values[c.out(i)].Shape) {
			continue
		}
		for _, j := range nodes {
			if j == i || c.out(j) != up || found[j].mul != 0 {
				continue
			}
			a, err := c.layerOf(i)
			if err != nil {
				continue // told when the node's turn comes
			}
			if b, err := c.layerOf(j); err == nil && specOf(a) == specOf(b) {
				found[i], found[j] = gating{is: true}, gating{of: i, fn: fn, mul: mul}
			}
		}
	}
	return found
}

// only returns the one node that reads v, if it may take it in: nobody else does, and it is no result of the graph.
func (c *Compiler) only(v int) (node int, ok bool) {
	if _, stored := c.stored[v]; stored || !c.fuse || len(c.uses[v]) != 1 || c.isOut(v) {
		return 0, false
	}
	return c.uses[v][0], true
}

// sink finds where the results of linear node i go, and marks the nodes done that they pass through.
func (c *Compiler) sink(i int, l Layer, g gating) (target, error) {
	t := target{Layer: l, name: c.nodes[i].Name, dst: c.out(i), add: -1}
	v := t.dst
	var err error
	switch {
	case g.mul != 0:
		gate, err := c.layerOf(g.of)
		if err != nil {
			return t, err
		}
		t.gate, t.gateName = gate.Weight, c.nodes[g.of].Name
		o := c.nodes[g.fn].Op.(graph.Unary)
		if t.fn, err = unaryOf(o); err != nil {
			return t, err
		}
		t.fnName = o.Func
		c.done[g.fn], c.done[g.mul] = true, true
		v = c.out(g.mul)
	default:
		if sum := c.residual(i, v); sum != v {
			t.add, v = sum, sum
		}
		if a, ok := c.only(v); ok {
			if o, ok := c.nodes[a].Op.(graph.Unary); ok {
				if t.fn, err = unaryOf(o); err != nil {
					return t, err
				}
				c.done[a] = true
				t.fnName = o.Func
				if t.add >= 0 { // in place too
					c.values[c.out(a)].alias = c.root(v)
				}
				v = c.out(a)
			}
		}
	}
	t.dst = v
	if err := c.nextRows(&t); err != nil {
		return t, err
	}
	if t.next && c.allRead(v, c.acts[t.rows.acts]) {
		t.dst = -1
	} else {
		t.made = []int{v}
	}
	return t, nil
}

// nextRows lets t write the rows of a next layer that reads its result, if these can be made value by value.
func (c *Compiler) nextRows(t *target) error {
	if _, stored := c.stored[t.dst]; stored || !c.fuse { // layers read the codes of a stored value
		return nil
	}
	for _, i := range c.uses[t.dst] {
		if c.nodes[i].Op.Kind() != "linear" {
			continue
		}
		l, err := c.layerOf(i)
		if err != nil {
			return nil // told when the node's turn comes
		}
		if l.Form != linear.AF32 && l.Form != linear.ABF16 && !l.Static || l.Weight.Coded != nil && specOf(l) != (actSpec{form: linear.AF32, k: l.Weight.K}) {
			continue // a row's integers depend on all of it
		}
		if l.Static {
			if t.rows.scale, t.rows.zero, err = c.w.Static(c.values[t.dst].Name); err != nil {
				return err
			}
		}
		t.next, t.rows.acts = true, c.hold(specOf(l), t.dst)
		c.sunk[t.dst] = t.rows
		return nil
	}
	return nil
}

// hold takes a buffer for rows of v that stay until its readers have run: not the one that rows are prepared in.
func (c *Compiler) hold(spec actSpec, v int) int {
	for spec.owner = 1; ; spec.owner++ {
		if i := slices.Index(c.acts, spec); i >= 0 && c.held[i] {
			continue
		}
		i := c.actIndex(spec, v)
		c.held[i] = true
		return i
	}
}

// allRead tells whether rows of that spec are all that the readers of v want of it.
func (c *Compiler) allRead(v int, spec actSpec) bool {
	for _, i := range c.uses[v] {
		if c.nodes[i].Op.Kind() != "linear" {
			return false
		}
	}
	return !c.isOut(v) && c.allWant(c.uses[v], spec)
}

// allWant tells whether linear nodes take rows of that spec, whoever owns them.
func (c *Compiler) allWant(nodes []int, spec actSpec) bool {
	for _, i := range nodes {
		if l, err := c.layerOf(i); err != nil || specOf(l) != spec.own(0) {
			return false
		}
	}
	return true
}
