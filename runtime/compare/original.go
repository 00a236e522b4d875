package compare

import (
	"fmt"
	"slices"

	"qpt/format/graph"
	"qpt/format/rewrite"
	"qpt/runtime"
)

// Original is the graph of the checkpoint that the file was made from, whose tensors have these shapes (nil: there is
// none of the name): the file's, without what its rewrites added. A tensor that should be there and is not is an error.
func Original(m *runtime.Model, shape func(tensor string) []int) (*graph.Graph, error) {
	g, _, err := original(m)
	if err != nil {
		return nil, err
	}
	for _, p := range g.Params {
		if name, want := p.Stored(); !slices.Equal(shape(name), want) {
			return nil, fmt.Errorf("tensor %q should be there with shape %v", name, want)
		}
	}
	return g, nil
}

// original is the checkpoint's graph, and what makes the file's model of its parameters, which src gives.
func original(m *runtime.Model) (g *graph.Graph, replay func(src graph.Source) (*rewrite.Model, error), err error) {
	rec, err := m.File.Rewrites()
	if err != nil {
		return nil, nil, err
	}
	if g, err = rewrite.Original(m.Graph, rec); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", m.File.Path(), err)
	}
	return g, func(src graph.Source) (*rewrite.Model, error) {
		r, err := rewrite.Replay(m.Graph, rec, graph.Views(g, src))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.File.Path(), err)
		}
		return r, nil
	}, nil
}
