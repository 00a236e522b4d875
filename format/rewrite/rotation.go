// Package rewrite turns the inside of a model by Hadamard rotations that its
// weights take in, so that it computes the same (SpinQuant, arXiv 2405.16406, R1 and R2;
// numerics N8.8): the residual stream, and the values of each attention head. Outliers of single channels
// are spread over a block of them, which coarse integers like better.
//
// Rotate returns the graph and the weights of the turned model. Find alone says which
// values are turned, and how: enough to compare them with the original's.
package rewrite

import (
	"fmt"
	"slices"

	"qpt/format/graph"
	"qpt/internal/num"
)

// Turn is what a value of the turned model is: the original's, its channels divided by Gain, rotated.
type Turn struct {
	*num.Rotation
	// Gain is the parameter of a norm that the layers behind it take in, "" for 1, and what is added to it.
	Gain   string
	Offset float32
}

// Map says what is turned.
type Map struct {
	Values map[string]Turn // by value; others are as they were
	Notes  []string        // what stays as it is, and why

	nodes map[string]*change // linear layers and embeddings, by node
	norms map[string]float32 // parameters of norms that become 1, with what the norm adds
}

// change is what happens to a matrix W: it becomes Out^T W G In; a table has no Out.
type change struct {
	in, out *num.Rotation
	gain    string // G
	offset  float32
}

// Find looks for what can be turned in a graph with signs by seed: the original's or the turned
// one's. Without a residual stream, or if something reads it that rotation cannot follow, there is an error.
func Find(g *graph.Graph, seed uint64) (*Map, error) {
	f := finder{g: g, maker: map[string]*graph.Node{}, readers: map[string][]*graph.Node{}, stream: map[string]bool{},
		m: &Map{Values: map[string]Turn{}, nodes: map[string]*change{}, norms: map[string]float32{}}}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		f.maker[n.Out[0]] = n
		for _, v := range n.In {
			f.readers[v] = append(f.readers[v], n)
		}
	}
	if err := f.residual(seed); err != nil {
		return nil, fmt.Errorf("rotate: %w", err)
	}
	for i := range g.Nodes {
		if op, ok := g.Nodes[i].Op.(graph.Attention); ok {
			if why := f.heads(&g.Nodes[i], op, seed); why != "" {
				f.m.Notes = append(f.m.Notes, fmt.Sprintf("rotate: the values of %s stay as they are: %s", g.Nodes[i].Name, why))
			}
		}
	}
	return f.m, nil
}

// finder is the state of Find.
type finder struct {
	g       *graph.Graph
	maker   map[string]*graph.Node
	readers map[string][]*graph.Node
	stream  map[string]bool // values of the residual stream
	m       *Map
}

// residual follows the residual stream from the embeddings through additions to the
// norms and layers that read it, and back to the layers that write it.
func (f *finder) residual(seed uint64) error {
	width := 0
	values := f.g.ValueMap()
	var todo []string
	add := func(v string) error {
		if f.stream[v] {
			return nil
		}
		shape := values[v].Shape
		if w := int(shape[len(shape)-1]); width == 0 {
			width = w
		} else if w != width {
			return fmt.Errorf("value %q of the residual stream has %d channels, others %d", v, w, width)
		}
		f.stream[v] = true
		todo = append(todo, v)
		return nil
	}
	for _, n := range f.g.Nodes {
		if _, ok := n.Op.(graph.Embedding); ok {
			if err := add(n.Out[0]); err != nil {
				return err
			}
		}
	}
	if todo == nil {
		return fmt.Errorf("the graph has no embedding, so no residual stream starts")
	}
	var norms []*graph.Node
	for len(todo) > 0 {
		v := todo[0]
		todo = todo[1:]
		if slices.Contains(f.g.Outputs, v) {
			return fmt.Errorf("value %q of the residual stream is a result of the model", v)
		}
		next := []string{}
		switch n := f.maker[v]; op := n.Op.(type) {
		case graph.Embedding, graph.Linear:
			f.of(n)
		case graph.Gather:
			next = append(next, n.In[0])
		case graph.Binary:
			if op.Func != "add" {
				return fmt.Errorf("node %s (%s) writes to the residual stream: only sums can be rotated", n.Name, op.Func)
			}
			next = append(next, n.In...)
		default:
			return fmt.Errorf("node %s (%s) writes to the residual stream, which rotation cannot follow", n.Name, op.Kind())
		}
		for _, n := range f.readers[v] {
			switch op := n.Op.(type) {
			case graph.Linear:
				f.of(n)
			case graph.Gather:
				next = append(next, n.Out[0])
			case graph.Binary:
				if op.Func != "add" {
					return fmt.Errorf("node %s (%s) reads the residual stream: only sums can be rotated", n.Name, op.Func)
				}
				next = append(next, n.Out[0])
			case graph.RMSNorm:
				norms = append(norms, n)
			default:
				return fmt.Errorf("node %s (%s) reads the residual stream, which rotation cannot follow", n.Name, op.Kind())
			}
		}
		for _, v := range next {
			if err := add(v); err != nil {
				return err
			}
		}
	}
	r := num.NewRotation(width, 1, seed)
	for v := range f.stream {
		f.m.Values[v] = Turn{Rotation: r}
		switch n := f.maker[v]; n.Op.(type) {
		case graph.Embedding:
			f.of(n).in = r
		case graph.Linear:
			f.of(n).out = r
		}
		for _, n := range f.readers[v] {
			if _, ok := n.Op.(graph.Linear); ok {
				f.of(n).in = r
			}
		}
	}
	for _, n := range norms {
		op := n.Op.(graph.RMSNorm)
		if slices.Contains(f.g.Outputs, n.Out[0]) {
			return fmt.Errorf("the result of norm %s is one of the model", n.Name)
		}
		for _, reader := range f.readers[n.Out[0]] {
			if _, ok := reader.Op.(graph.Linear); !ok {
				return fmt.Errorf("node %s (%s) reads norm %s: only linear layers can take in its weights", reader.Name, reader.Op.Kind(), n.Name)
			}
			c := f.of(reader)
			c.in, c.gain, c.offset = r, n.Params[0], float32(op.Offset)
		}
		f.m.norms[n.Params[0]] = float32(op.Offset)
		f.m.Values[n.Out[0]] = Turn{r, n.Params[0], float32(op.Offset)}
	}
	return nil
}

// of is the change of a node.
func (f *finder) of(n *graph.Node) *change {
	c := f.m.nodes[n.Name]
	if c == nil {
		c = &change{}
		f.m.nodes[n.Name] = c
	}
	return c
}

// heads turns the values of an attention by head; why tells why not.
func (f *finder) heads(n *graph.Node, op graph.Attention, seed uint64) (why string) {
	v, out := n.In[2], n.Out[0]
	maker := f.maker[v]
	if maker == nil || maker.Op.Kind() != "linear" || len(f.readers[v]) != 1 || n.In[0] == v || n.In[1] == v {
		return "they come from no linear layer of their own"
	}
	if slices.Contains(f.g.Outputs, out) || slices.ContainsFunc(f.readers[out], func(n *graph.Node) bool { return n.Op.Kind() != "linear" }) {
		return "not only linear layers read the result"
	}
	turn := func(heads int) *num.Rotation { return num.NewRotation(op.HeadDim, heads, seed) }
	f.of(maker).out = turn(op.KVHeads)
	for _, r := range f.readers[out] {
		f.of(r).in = turn(op.Heads)
	}
	f.m.Values[v] = Turn{Rotation: turn(op.KVHeads)}
	f.m.Values[out] = Turn{Rotation: turn(op.Heads)}
	return ""
}
