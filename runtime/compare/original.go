package compare

import (
	"fmt"
	"slices"

	"qpt/format/graph"
	"qpt/runtime/lm"
)

// Original is the graph of the checkpoint that the file was made from, whose tensors have these
// shapes (nil: there is none of the name): the file's, without the biases that the algorithm "bias" gave to layers,
// and with one table for embedding and output layer where "rotate" made two.
// A tensor that should be there and is not is an error.
func Original(m *lm.Model, shape func(tensor string) []int) (*graph.Graph, error) {
	g := *m.Graph
	g.Nodes, g.Params = slices.Clone(g.Nodes), nil
	params := m.Graph.ParamMap()
	missing := func(param string) bool {
		p := params[param]
		name, _ := p.Stored()
		return shape(name) == nil
	}
	bias, table := algorithm(m, "bias"), ""
	gone := map[string]bool{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Op.Kind() == "embedding" && algorithm(m, "rotate") {
			table = n.Params[0]
		}
		if n.Op.Kind() == "linear" && table != "" && missing(n.Params[0]) {
			gone[n.Params[0]] = true
			n.Params = []string{table, n.Params[1]}
		}
		if _, ok := n.Op.(graph.Linear); ok && bias && n.Params[1] != "" && missing(n.Params[1]) {
			gone[n.Params[1]] = true
			n.Params = []string{n.Params[0], ""}
		}
	}
	for _, p := range m.Graph.Params {
		if gone[p.Name] {
			continue
		}
		if name, want := p.Stored(); !slices.Equal(shape(name), want) {
			return nil, fmt.Errorf("tensor %q should be there with shape %v", name, want)
		}
		g.Params = append(g.Params, p)
	}
	return &g, g.Verify()
}

// algorithm tells whether the file was calibrated with an algorithm.
func algorithm(m *lm.Model, name string) bool {
	c := m.Meta.Recipe.Calibration
	return c != nil && slices.Contains(c.Algorithms, name)
}
