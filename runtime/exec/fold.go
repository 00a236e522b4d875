package exec

import (
	"context"
	"slices"

	"qpt/format/graph"
)

// fold computes once what depends on params alone, such as the keys of positions of a disentangled
// attention: those nodes are done then and their results constants.
func (c *Compiler) fold() error {
	fixed, part := map[string]bool{}, *c.g
	part.Inputs, part.Symbols, part.Values, part.Nodes, part.Outputs = nil, nil, nil, nil, nil
	var folded []int
	for i, n := range c.nodes {
		constant := n.Op.Kind() == (graph.Constant{}).Kind()
		if !constant && (len(n.In) == 0 || slices.ContainsFunc(n.In, func(in string) bool { return !fixed[in] })) {
			continue
		}
		for _, out := range n.Out {
			fixed[out] = true
			part.Values = append(part.Values, c.values[c.index[out]].Value)
		}
		part.Nodes = append(part.Nodes, n)
		if !constant {
			folded = append(folded, i)
			part.Outputs = append(part.Outputs, n.Out[0])
		}
	}
	if folded == nil {
		return nil
	}
	p, err := build(&part, c.w, Options{NoFuse: true}, false)
	if err != nil {
		return err
	}
	ws := NewWorkspace(0)
	defer ws.Close()
	y, err := p.Run(context.Background(), ws, &graph.Batch{})
	if err != nil {
		return err
	}
	for j, i := range folded {
		c.constant(i, slices.Clone(y[j].F))
		c.done[i] = true
	}
	return nil
}
