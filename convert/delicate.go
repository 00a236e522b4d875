package convert

import (
	"slices"

	"qpt/format/graph"
)

// delicateReason stands beside the layers that delicate finds.
const delicateReason = "int8 activations lose too much here in an encoder"

// finer is what a layer becomes; where there is an input, no static ranges are asked for and text can be had, int8 with columns of that input in float32.
type finer struct{ scheme, input string }

// delicate finds what an encoder keeps finer than int8 under da8w8 and s8s8 unless a rule decides on it, and in which scheme: in bf16 the tables; with wild
// columns (numerics N2.5) the layers that attention begins with and those of MLPs, or where there is no text to find these on, in bf16 the layers that make
// attention's values and the second ones of MLPs, with 16-bit activations the first ones. An encoder's norms lie behind its sums, so that
// a few features are always large and one int8 scale a token serves the others badly: what activations make of the error adds up from layer to layer. In values the errors are
// the same for all tokens and do not average out, and the MLP's middle has values of 25 in few places. docs/models.md has what each does to embeddings.
// With static ranges what attention gives is rounded for each token too: where all tokens look at the same few, it is far greater than elsewhere;
// and since one range for all tokens costs queries and keys more, the first layers of MLPs are bf16.
func delicate(g *graph.Graph, static bool) map[string]finer {
	maker, list, attends, attended := map[string]*graph.Node{}, map[string]finer{}, map[string]bool{}, map[string]bool{}
	add := func(value, scheme string) (input string) {
		if n := maker[value]; n != nil {
			for _, m := range n.Linears() {
				if f, there := list[m.Weight]; !there || f.input != "" {
					list[m.Weight] = finer{scheme, m.Input}
				}
				input = m.Input
			}
		}
		return input
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
		if a, ok := n.Op.(graph.Attention); ok && a.Mask.Kind == "full" && slices.Contains(g.Symbols, "T") {
			encoder = true
			attended[add(n.In[2], "bf16")] = true
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
			list[n.Params[0]] = finer{scheme: "bf16"}
		}
		for _, m := range n.Linears() {
			switch _, there := list[m.Weight]; {
			case static && attends[m.Input], !static && attended[m.Input] && !there:
				list[m.Weight] = finer{"da8w8", m.Input}
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
			if before == nil {
				continue
			}
			add(in, "bf16")
		}
	}
	stands := map[string]bool{}
	for i := range g.Nodes { // of layers that depths share, the first value stands for all
		for _, m := range g.Nodes[i].Linears() {
			if f := list[m.Weight]; f.input != "" && !stands[m.Weight] {
				list[m.Weight], stands[m.Weight] = finer{f.scheme, m.Input}, true
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
