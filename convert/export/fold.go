package export

import (
	"context"
	"fmt"
	"slices"

	"qpt/format/graph"
	"qpt/runtime/ref"
)

// known is a tensor whose numbers do not depend on the inputs, as a constant: what its nodes compute, by the FP32 executor; nil for any other.
func (p *program) known(t *tensor) (*constant, error) {
	if _, fixed := ints(t.shape); t.c != nil || !fixed || t.counts {
		return t.c, nil
	}
	if p.varies == nil {
		p.varies = map[string]bool{}
	}
	g, err := p.b.Partial()
	if err != nil {
		return nil, err
	}
	for _, v := range g.Inputs {
		p.varies[v.Name] = true
	}
	for _, n := range g.Nodes {
		if slices.ContainsFunc(n.In, func(v string) bool { return p.varies[v] }) {
			for _, v := range n.Out {
				p.varies[v] = true
			}
		}
	}
	if p.varies[t.name] {
		return nil, nil
	}
	if t, err = p.ordered(t); err != nil {
		return nil, err
	}
	part := only(g, t.name)
	part.Inputs, part.Symbols = nil, nil
	if err := part.Verify(); err != nil {
		return nil, err
	}
	for _, v := range part.Values {
		n := 1
		for _, d := range v.Shape {
			n *= int(d) // of a verified graph at most 2^40
		}
		if n > maxValues {
			return nil, fmt.Errorf("%w: %q has %d numbers that do not depend on the inputs, at most %d are computed", ErrUnsupported, v.Name, n, maxValues)
		}
	}
	list, err := ref.Run(context.Background(), part, folding{p}, &graph.Batch{}, ref.Options{})
	if err != nil {
		return nil, fmt.Errorf("%w: %q cannot be computed when importing: %w", ErrUnsupported, t.name, err)
	}
	shape, ok := ints(t.shape)
	if !ok {
		return nil, nil
	}
	data := make([]float64, 0, len(list[0].F))
	for _, v := range list[0].F {
		data = append(data, float64(v))
	}
	for _, v := range list[0].I {
		data = append(data, float64(v))
	}
	return fresh(shape, data, t.integer), nil
}

// only is the part of a graph that these values need.
func only(g *graph.Graph, outputs ...string) *graph.Graph {
	need := map[string]bool{}
	for _, o := range outputs {
		need[o] = true
	}
	out := *g
	out.Outputs, out.Nodes, out.Values, out.Params = outputs, nil, nil, nil
	used := map[string]bool{}
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Out, func(v string) bool { return need[v] }) {
			continue
		}
		for _, v := range n.In {
			need[v] = true
		}
		for _, v := range n.Params {
			used[v] = true
		}
		out.Nodes = append(out.Nodes, n)
	}
	slices.Reverse(out.Nodes)
	values := g.ValueMap()
	for _, n := range out.Nodes {
		for _, v := range n.Out {
			out.Values = append(out.Values, values[v])
		}
	}
	for _, param := range g.Params {
		if used[param.Name] {
			out.Params = append(out.Params, param)
		}
	}
	return &out
}

// folding gives the params so far to the FP32 executor.
type folding struct{ p *program }

// ReadRows implements graph.Source.
func (f folding) ReadRows(name string, r0, r1 int, dst []float32) error {
	t := f.p.params[name]
	if len(t.Shape) == 1 {
		return t.ReadPart(0, dst)
	}
	return t.ReadRows(r0, r1, dst)
}
