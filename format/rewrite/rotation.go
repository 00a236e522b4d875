package rewrite

import (
	"fmt"
	"slices"

	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/num"
)

// find looks for what can be turned in a graph, with signs by seed: the values, in the order of their nodes, and notes on
// what stays as it is. Without a residual stream, or if something reads it that rotation cannot follow, there is an error.
func find(g *graph.Graph, seed uint64) (list []format.RewrittenValue, notes []string, err error) {
	f := finder{g: g, maker: map[string]*graph.Node{}, readers: map[string][]*graph.Node{}, turns: map[string]format.RewrittenValue{}}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		f.maker[n.Out[0]] = n
		for _, v := range n.In {
			f.readers[v] = append(f.readers[v], n)
		}
	}
	if err := f.residual(seed); err != nil {
		return nil, nil, fmt.Errorf("rotate: %w", err)
	}
	for i := range g.Nodes {
		if op, ok := g.Nodes[i].Op.(graph.Attention); ok {
			if why := f.heads(&g.Nodes[i], op, seed); why != "" {
				notes = append(notes, fmt.Sprintf("rotate: the values of %s stay as they are: %s", g.Nodes[i].Name, why))
			}
		}
	}
	for _, n := range g.Nodes {
		if turn, ok := f.turns[n.Out[0]]; ok {
			turn.Value = n.Out[0]
			list = append(list, turn)
		}
	}
	return list, notes, nil
}

// finder is the state of find.
type finder struct {
	g       *graph.Graph
	maker   map[string]*graph.Node
	readers map[string][]*graph.Node
	turns   map[string]format.RewrittenValue
}

// residual follows the residual stream from the embeddings through additions to the
// norms and layers that read it, and back to the layers that write it.
func (f *finder) residual(seed uint64) error {
	width := 0
	values := f.g.ValueMap()
	var todo []string
	stream := map[string]bool{}
	add := func(v string) error {
		if stream[v] {
			return nil
		}
		shape := values[v].Shape
		if w := int(shape[len(shape)-1]); width == 0 {
			width = w
		} else if w != width {
			return fmt.Errorf("value %q of the residual stream has %d channels, others %d", v, w, width)
		}
		stream[v] = true
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
	r := num.NewRotation(width, seed)
	for v := range stream {
		f.turns[v] = format.RewrittenValue{Rotation: r}
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
		}
		f.turns[n.Out[0]] = format.RewrittenValue{Gain: n.Params[0], Offset: float32(op.Offset), Rotation: r}
	}
	return nil
}

// heads turns the values of an attention by head; why tells why not.
func (f *finder) heads(n *graph.Node, op graph.Attention, seed uint64) (why string) {
	if op.Values > 0 {
		return "the keys hold them"
	}
	v, out := n.In[2], n.Out[0]
	maker := f.maker[v]
	if maker == nil || maker.Op.Kind() != "linear" || len(f.readers[v]) != 1 || n.In[0] == v || n.In[1] == v {
		return "they come from no linear layer of their own"
	}
	if slices.Contains(f.g.Outputs, out) || slices.ContainsFunc(f.readers[out], func(n *graph.Node) bool { return n.Op.Kind() != "linear" }) {
		return "not only linear layers read the result"
	}
	turn := format.RewrittenValue{Rotation: num.NewRotation(op.HeadDim, seed)} // the same for every head
	f.turns[v], f.turns[out] = turn, turn
	return ""
}
