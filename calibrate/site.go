package calibrate

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

// site is a value that linear layers read: they share its statistics. Each expert of a mixture is
// a site of its own, with the rows that are routed to it.
type site struct {
	value   string
	end     int // index of the node before which the walk stops: value is there, and what routes its rows
	k       int
	readers []reader // in order of execution
	again   []place  // where the same readers read another value later; none but of layers that depths share

	routing *graph.ExpertLinear // of experts; nil: the readers meet all rows
	expert  int
	idx     string // the value that routes; "": rows go by their place

	// The value that the result of the only reader is added to, if so: the residual stream.
	beside string

	// Where a division of the value by channel scales can be folded, if
	// anywhere: the weight of a norm, or the rows of a linear layer.
	norm  string
	maker *graph.Node
	width int   // rows of maker
	from  []int // [K] row of maker that input k is proportional to
}

// reader is a matrix that reads a site.
type reader struct {
	graph.Matrix
	node *graph.Node
}

// place is a value and the index of the node behind the one that makes it.
type place struct {
	value string
	end   int
}

// name of a site in a journal.
func (t *site) name() string {
	if t.routing == nil {
		return t.value
	}
	return t.readers[0].Weight
}

// foldable reports whether the channels of the site may be scaled.
func (t *site) foldable() bool { return t.norm != "" || t.maker != nil }

// sites finds the inputs of the linear layers whose weights want accepts, in order of execution.
func sites(g *graph.Graph, want func(param string) bool) []*site {
	params := g.ParamMap()
	maker, at := map[string]*graph.Node{}, map[string]int{}
	readers := map[string][]*graph.Node{}
	uses := map[string]int{} // of parameters
	for i := range g.Nodes {
		n := &g.Nodes[i]
		maker[n.Out[0]] = n
		for _, v := range n.Out {
			at[v] = i
		}
		for _, v := range n.In {
			readers[v] = append(readers[v], n)
		}
		for _, p := range n.Params {
			uses[p]++
		}
	}
	for _, v := range g.Outputs {
		readers[v] = append(readers[v], nil)
	}
	places := map[string][]place{} // of the values that linear layers with that weight read
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if _, ok := n.Op.(graph.Linear); ok {
			places[n.Params[0]] = append(places[n.Params[0]], place{n.In[0], at[n.In[0]] + 1})
		}
	}
	made := func(v string) int { // the node that makes v, -1 for an input of the graph
		if i, ok := at[v]; ok {
			return i
		}
		return -1
	}
	// alone is the linear layer that makes v and whose result nobody else reads.
	alone := func(v string) *graph.Node {
		n := maker[v]
		if n == nil || len(readers[v]) != 1 || len(n.Params) == 0 || uses[n.Params[0]] != 1 {
			return nil
		}
		if _, ok := n.Op.(graph.Linear); !ok {
			return nil
		}
		return n
	}
	// of is the site of the result of node i, nil if no linear layer reads it.
	of := func(n *graph.Node, i int) *site {
		t := &site{value: n.Out[0], end: i + 1}
		fold := true
		for _, r := range readers[t.value] {
			if r == nil {
				fold = false
				continue
			}
			if _, ok := r.Op.(graph.Linear); !ok || !want(r.Params[0]) {
				fold = false
				continue
			}
			list := places[r.Params[0]]
			fold = fold && uses[r.Params[0]] == 1
			if len(list) != uses[r.Params[0]] || list[0].value != t.value || t.readers != nil && !slices.Equal(list[1:], t.again) {
				continue
			}
			t.readers, t.again = append(t.readers, reader{r.Linears()[0], r}), list[1:]
			t.k = params[r.Params[0]].Shape[1]
		}
		if t.readers == nil {
			return nil
		}
		if r := readers[t.readers[0].node.Out[0]]; len(t.readers) == 1 && len(r) == 1 && r[0] != nil {
			if op, ok := r[0].Op.(graph.Binary); ok && op.Func == "add" && len(r[0].In) == 2 { // not of a number
				t.beside = r[0].In[0]
				if t.beside == t.readers[0].node.Out[0] {
					t.beside = r[0].In[1]
				}
			}
		}
		if !fold {
			return t
		}
		switch op := n.Op.(type) {
		case graph.RMSNorm:
			if op.Offset == 0 && uses[n.Params[0]] == 1 {
				t.norm = n.Params[0]
			}
		case graph.Binary:
			if op.Func != "mul" {
				break
			}
			for _, v := range n.In {
				if m := alone(v); m != nil {
					t.maker, t.width = m, t.k
					for k := range t.k {
						t.from = append(t.from, k)
					}
					break
				}
			}
		case graph.Attention:
			if m := alone(n.In[2]); op.Values == 0 && m != nil {
				t.maker, t.width = m, op.KVHeads*op.HeadDim
				for k := range t.k {
					t.from = append(t.from, k/op.HeadDim/(op.Heads/op.KVHeads)*op.HeadDim+k%op.HeadDim)
				}
			}
		}
		return t
	}
	mixtures := map[int][]*site{} // by the node after which their rows are known
	byExpert := map[string]*site{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		op, ok := n.Op.(graph.ExpertLinear)
		if !ok {
			continue
		}
		last, idx := made(n.In[0]), ""
		if len(n.In) > 1 {
			idx = n.In[1]
			last = max(last, made(idx))
		}
		for e, m := range n.Linears() {
			if uses[m.Weight] != 1 || !want(m.Weight) {
				continue
			}
			key := fmt.Sprintf("%s %s %d", n.In[0], idx, e)
			t := byExpert[key]
			if t == nil {
				t = &site{value: n.In[0], end: last + 1, k: params[m.Weight].Shape[1], routing: &op, expert: e, idx: idx}
				byExpert[key] = t
				mixtures[last] = append(mixtures[last], t)
			}
			t.readers = append(t.readers, reader{m, n})
		}
	}
	list := mixtures[-1]
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if t := of(n, i); t != nil {
			list = append(list, t)
		}
		list = append(list, mixtures[i]...)
	}
	return list
}

// readersOf tells how many nodes read each weight.
func readersOf(g *graph.Graph) map[string]int {
	n := map[string]int{}
	for i := range g.Nodes {
		for _, x := range g.Nodes[i].Linears() {
			n[x.Weight]++
		}
	}
	return n
}
