package ref_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// TestDecoder: token by token gives the bits of one pass, with other sequences
// beside it, after a reset, and on the fast products.
func TestDecoder(t *testing.T) {
	for _, dir := range []string{"../../testdata/stories260K", "../../testdata/llama-variants/llama3-bias-untied", "../../testdata/llama-variants/linear-mha"} {
		m, w := model(t, dir)
		ids := []int32{1, 5, 9, 13, 2, 28, 27, 7, 30, 31, 12, 3, 22, 32, 29, 17, 18, 19, 20, 21}
		want := run(t, m, w, ref.Seq{IDs: ids})[0]
		d, err := ref.NewDecoder(m.Graph, w, 2, ref.Options{Threads: 2, Dot: linear.MatMul()})
		if err != nil {
			t.Fatal(err)
		}
		const late = 3 // the second sequence begins anew then
		for i := range ids {
			if i == late {
				d.Reset(1)
			}
			other := ids[i]
			if i >= late {
				other = ids[i-late]
			}
			logits, err := d.Step(context.Background(), []int32{ids[i], other})
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprintf("%s: position %d", dir, i), logits[0], want.Row(i), 0)
			if i >= late {
				near(t, fmt.Sprintf("%s: position %d after a reset", dir, i-late), logits[1], want.Row(i-late), 0)
			}
		}
		if _, err := d.Step(context.Background(), ids[:1]); err == nil {
			t.Error("one token for two sequences")
		}
		for i := range m.Graph.Nodes {
			if op, ok := m.Graph.Nodes[i].Op.(graph.Attention); ok {
				op.Cache = ""
				m.Graph.Nodes[i].Op = op
			}
		}
		if _, err := ref.NewDecoder(m.Graph, w, 1, ref.Options{}); err == nil || !strings.Contains(err.Error(), "without a cache") {
			t.Errorf("no cache: %v", err)
		}
	}
}
