package ref_test

import (
	"context"
	"testing"

	"qpt/format/graph"
	"qpt/runtime/optest"
	"qpt/runtime/ref"
)

// executor runs cases of optest.
type executor struct{ c *optest.Case }

func (x executor) NewSequence() graph.Sequence { return ref.NewSequence(x.c.Graph) }
func (x executor) Run(ctx context.Context, b *graph.Batch) ([]graph.Tensor, error) {
	return ref.Run(ctx, x.c.Graph, x.c, b, ref.Options{Threads: 2})
}

// TestOps: every op against PyTorch, in float64 on the same numbers.
func TestOps(t *testing.T) {
	seen := map[string]bool{}
	optest.Run(t, "../../testdata/ops", 1e-6, func(_ *testing.T, c *optest.Case) (optest.Executor, error) {
		for _, n := range c.Graph.Nodes {
			seen[n.Op.Kind()] = true
		}
		return executor{c}, nil
	})
	for _, kind := range graph.Kinds() {
		if !seen[kind] {
			t.Errorf("no case has the op %s", kind)
		}
	}
}
