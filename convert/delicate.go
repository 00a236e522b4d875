package convert

import (
	"slices"

	"qpt/format/graph"
)

// delicateReason stands beside the layers that delicate finds.
const delicateReason = "int8 activations lose too much here in an encoder"

// delicate finds what stays bf16 in an encoder under da8w8 unless a rule decides on it: the layers that make attention's
// values, the second ones of MLPs, and the tables. An encoder's norms lie behind its sums, so that a few features are always large and one scale a
// token serves the others badly; in values the errors are the same for all tokens and do not average out, and the MLP's middle has values of 25 in
// few places. Of all-MiniLM-L6-v2's embeddings the cosine to FP32 is 0.9964 to 0.9974 with these layers in int8, 0.9991 and more without.
func delicate(g *graph.Graph) map[string]bool {
	maker, list := map[string]*graph.Node{}, map[string]bool{}
	add := func(value string) {
		if n := maker[value]; n != nil {
			for _, m := range n.Linears() {
				list[m.Weight] = true
			}
		}
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		for _, v := range n.Out {
			maker[v] = n
		}
	}
	encoder := false
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if a, ok := n.Op.(graph.Attention); ok && a.Mask.Kind == "full" && !slices.Contains(g.Symbols, "B") {
			encoder = true
			add(n.In[2])
		}
	}
	if !encoder {
		return nil
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if _, ok := n.Op.(graph.Embedding); ok {
			list[n.Params[0]] = true
		}
		if b, ok := n.Op.(graph.Binary); !ok || b.Func != "add" {
			continue
		}
		for _, in := range n.In {
			if from := maker[in]; from != nil && len(from.Linears()) == 1 && activated(maker, from.In[0]) {
				add(in)
			}
		}
	}
	return list
}

// activated tells whether a value is what an activation makes, or its product with another value.
func activated(maker map[string]*graph.Node, value string) bool {
	n := maker[value]
	if n == nil {
		return false
	}
	if b, ok := n.Op.(graph.Binary); ok && b.Func == "mul" {
		return slices.ContainsFunc(n.In, func(v string) bool { return maker[v] != nil && maker[v].Op.Kind() == "unary" })
	}
	return n.Op.Kind() == "unary"
}
