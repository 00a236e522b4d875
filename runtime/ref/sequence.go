package ref

import (
	"maps"
	"slices"

	"qpt/format/graph"
)

// Sequence holds the states of one sequence: keys and values of every position
// for each attention with a cache, in FP32.
type Sequence struct {
	g            *graph.Graph
	n            int                  // positions
	keys, values map[string][]float32 // by cache, [n or more, KVHeads*HeadDim]
}

// NewSequence is an empty sequence for passes of g.
func NewSequence(g *graph.Graph) *Sequence {
	return &Sequence{g: g, keys: map[string][]float32{}, values: map[string][]float32{}}
}

// Len implements graph.Sequence.
func (s *Sequence) Len() int { return s.n }

// Truncate forgets the positions from n on.
func (s *Sequence) Truncate(n int) { s.n = min(s.n, max(n, 0)) }

// Fork is another sequence with the same past.
func (s *Sequence) Fork() *Sequence {
	c := *s
	c.keys, c.values = maps.Clone(s.keys), maps.Clone(s.values)
	for _, m := range []map[string][]float32{c.keys, c.values} {
		for name, x := range m {
			m[name] = slices.Clone(x)
		}
	}
	return &c
}

// extend puts the rows x [n, width] behind those of the positions before and returns them all.
func (s *Sequence) extend(states map[string][]float32, cache string, x graph.Tensor) graph.Tensor {
	width := x.Shape[1]
	f := append(states[cache][:s.n*width], x.F...)
	states[cache] = f
	return graph.Tensor{Shape: []int{len(f) / width, width}, F: f}
}
