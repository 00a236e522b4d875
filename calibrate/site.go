package calibrate

import "qpt/format/graph"

// site is a value that linear layers read: they share its statistics.
type site struct {
	value   string
	k       int
	readers []*graph.Node // the linear layers, in order of execution

	// The value that the result of the only reader is added to, if so: the residual stream.
	beside string

	// Where a division of the value by channel scales can be folded, if
	// anywhere: the weight of a norm, or the rows of a linear layer.
	norm  string
	maker *graph.Node
	width int   // rows of maker
	from  []int // [K] row of maker that input k is proportional to
}

// foldable reports whether the channels of the site may be scaled.
func (t *site) foldable() bool { return t.norm != "" || t.maker != nil }

// sites finds the inputs of the linear layers whose weights want accepts, in order of execution.
func sites(g *graph.Graph, want func(param string) bool) []*site {
	params := g.ParamMap()
	maker := map[string]*graph.Node{}
	readers := map[string][]*graph.Node{}
	uses := map[string]int{} // of parameters
	for i := range g.Nodes {
		n := &g.Nodes[i]
		maker[n.Out[0]] = n
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
	var list []*site
	for i := range g.Nodes {
		n := &g.Nodes[i]
		t := &site{value: n.Out[0]}
		fold := true
		for _, r := range readers[t.value] {
			if r == nil {
				fold = false
				continue
			}
			if _, ok := r.Op.(graph.Linear); !ok || uses[r.Params[0]] != 1 || !want(r.Params[0]) {
				fold = false
				continue
			}
			t.readers = append(t.readers, r)
			t.k = params[r.Params[0]].Shape[1]
		}
		if t.readers == nil {
			continue
		}
		if r := readers[t.readers[0].Out[0]]; len(t.readers) == 1 && len(r) == 1 && r[0] != nil {
			if op, ok := r[0].Op.(graph.Binary); ok && op.Func == "add" {
				t.beside = r[0].In[0]
				if t.beside == t.readers[0].Out[0] {
					t.beside = r[0].In[1]
				}
			}
		}
		list = append(list, t)
		if !fold {
			continue
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
	}
	return list
}
