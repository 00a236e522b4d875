package ref_test

import (
	"slices"
	"testing"

	"qpt/format/graph"
	"qpt/runtime/ref"
)

// Blocks of the last node are the rows of the whole, in order.
func TestBlock(t *testing.T) {
	m, w := model(t, "../../testdata/stories260K")
	seqs := []ref.Seq{{IDs: []int32{1, 5, 9, 200, 30, 7, 44}}, {IDs: []int32{1, 3}}}
	whole, err := ref.Logits(t.Context(), m.Graph, w, seqs, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := make([][]float32, len(seqs))
	last := m.Graph.Nodes[len(m.Graph.Nodes)-1].Name
	out, err := ref.Logits(t.Context(), m.Graph, w, seqs, ref.Options{Block: 3, Tap: func(n *graph.Node, seq int, in []graph.Tensor, out graph.Tensor) {
		if n.Name == last {
			if len(out.F) > 3*out.Shape[1] || in[0].Shape[0] != out.Shape[0] {
				t.Errorf("a block of %v from %v", out.Shape, in[0].Shape)
			}
			got[seq] = append(got[seq], out.F...)
		}
	}})
	if err != nil || out != nil {
		t.Fatal(out, err)
	}
	for s := range seqs {
		if !slices.Equal(got[s], whole[s].F) {
			t.Errorf("sequence %d: the blocks are not the whole", s)
		}
	}
}
