package exec

import (
	"fmt"
	"slices"
)

// The calls of this file look at single nodes; they need a Program compiled with NoFuse.

// Start begins one traced pass over ids with all output rows.
func (s *State) Start(ids []int32) error {
	if s.p.byNode == nil || len(ids) == 0 || len(ids) > s.opt.Batch || s.len != 0 {
		return fmt.Errorf("a trace needs an unfused program, an empty state and 1 to %d tokens", s.opt.Batch)
	}
	if err := s.check(ids); err != nil {
		return err
	}
	s.traced = 0
	s.bind(ids, true)
	return nil
}

// Node runs the pass on to node i of the graph and returns its result, valid
// until the next call. Calls must be in order of i.
func (s *State) Node(i int) []float32 {
	for steps := s.p.byNode[i]; s.traced <= steps[len(steps)-1]; s.traced++ {
		s.exec(s.p.steps[s.traced])
	}
	return s.val[s.p.index[s.p.g.Nodes[i].Out[0]]]
}

// Local runs node i alone on the given float inputs (nil for integer ones,
// which are those of Start) and returns its result, valid until the next call.
func (s *State) Local(i int, in [][]float32) []float32 {
	own := slices.Clone(s.val)
	defer copy(s.val, own) // or running an earlier node would write into in
	for j, x := range in {
		if x != nil {
			s.val[s.p.index[s.p.g.Nodes[i].In[j]]] = x
		}
	}
	for _, kv := range s.kv {
		kv.Truncate(0)
	}
	for _, st := range s.p.byNode[i] {
		s.exec(s.p.steps[st])
	}
	return s.val[s.p.index[s.p.g.Nodes[i].Out[0]]]
}
