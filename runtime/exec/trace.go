package exec

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

// Trace is a pass that stops after each node; it needs a Program compiled with NoFuse.
type Trace struct {
	f    *frame
	done int // steps
}

// Trace begins a pass over b. The workspace is the trace's until it is no longer used.
func (p *Program) Trace(ws *Workspace, b *graph.Batch) (*Trace, error) {
	if p.byNode == nil {
		return nil, fmt.Errorf("a trace needs a program without fusions")
	}
	f := ws.frame(p)
	if err := f.bind(b); err != nil {
		return nil, err
	}
	if err := f.reserve(); err != nil {
		return nil, err
	}
	return &Trace{f: f}, nil
}

// Node runs the pass on to node i of the graph and returns its first result, valid
// until the next call. Calls must be in order of i.
func (t *Trace) Node(i int) []float32 {
	f := t.f
	for steps := f.p.byNode[i]; len(steps) > 0 && t.done <= steps[len(steps)-1]; t.done++ {
		f.exec(f.p.steps[t.done])
	}
	return f.val[f.p.index[f.p.g.Nodes[i].Out[0]]]
}

// Local runs node i alone on the given float inputs (nil for integer ones,
// which are those of the pass) and returns its first result, valid until the next call.
func (t *Trace) Local(i int, in [][]float32) []float32 {
	f := t.f
	own := slices.Clone(f.val)
	defer copy(f.val, own) // or running an earlier node would write into in
	for j, x := range in {
		if x != nil {
			f.val[f.p.index[f.p.g.Nodes[i].In[j]]] = x
		}
	}
	for _, st := range f.p.byNode[i] {
		f.exec(f.p.steps[st])
	}
	return f.val[f.p.index[f.p.g.Nodes[i].Out[0]]]
}
