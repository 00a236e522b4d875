package convert

import (
	"slices"

	"qpt/format/graph"
)

// delicateReason stands beside the layers that delicate finds.
const delicateReason = "int8 activations lose too much here in an encoder"

// delicate finds what an encoder keeps finer than int8 under da8w8 and s8s8 unless a rule decides on it, and in which scheme: in bf16 the layers that make
// attention's values, the second ones of MLPs, and the tables; with 16-bit activations the first layers of MLPs. An encoder's norms lie behind its sums, so that
// a few features are always large and one int8 scale a token serves the others badly: what activations make of the error adds up from layer to layer. In values the errors are
// the same for all tokens and do not average out, and the MLP's middle has values of 25 in few places. docs/models.md has what each does to embeddings.
// With static ranges what attention gives is rounded for each token too: where all tokens look at the same few, it is far greater than elsewhere;
// and since one range for all tokens costs queries and keys more, the first layers of MLPs are bf16.
func delicate(g *graph.Graph, static bool) map[string]string {
	maker, list, attends := map[string]*graph.Node{}, map[string]string{}, map[string]bool{}
	add := func(value, scheme string) {
		if n := maker[value]; n != nil {
			for _, m := range n.Linears() {
				list[m.Weight] = scheme
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
			add(n.In[2], "bf16")
			attends[n.Out[0]] = true
		}
	}
	if !encoder {
		return nil
	}
	first := "a16w8" // of an MLP's layers
	if static {
		first = "bf16"
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if _, ok := n.Op.(graph.Embedding); ok {
			list[n.Params[0]] = "bf16"
		}
		for _, m := range n.Linears() {
			if static && attends[m.Input] {
				list[m.Weight] = "da8w8"
			}
		}
		if b, ok := n.Op.(graph.Binary); !ok || b.Func != "add" {
			continue
		}
		for _, in := range n.In {
			from := maker[in]
			if from == nil || len(from.Linears()) != 1 {
				continue
			}
			before := activated(maker, from.In[0])
			for _, v := range before {
				add(v, first)
			}
			if before != nil {
				add(in, "bf16")
			}
		}
	}
	return list
}

// activated finds what a value is made of by an activation, or by its product with another value: the values before it; nil for another value.
func activated(maker map[string]*graph.Node, value string) (before []string) {
	n := maker[value]
	if n == nil {
		return nil
	}
	if n.Op.Kind() == "unary" {
		return n.In
	}
	if b, ok := n.Op.(graph.Binary); ok && b.Func == "mul" {
		for i, in := range n.In {
			if m := maker[in]; m != nil && m.Op.Kind() == "unary" {
				return []string{m.In[0], n.In[1-i]}
			}
		}
	}
	return nil
}
