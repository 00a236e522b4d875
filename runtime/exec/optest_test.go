package exec

import (
	"context"
	"testing"

	"qpt/format/graph"
	"qpt/kernels/attn"
	"qpt/runtime/optest"
)

// opCase runs one case of optest.
type opCase struct {
	p    *Program
	ws   *Workspace
	pool *attn.Pool
}

func (x opCase) NewSequence() graph.Sequence { return x.p.NewSequence(x.pool, attn.KVF32, 64) }
func (x opCase) Run(ctx context.Context, b *graph.Batch) ([]graph.Tensor, error) {
	return x.p.Run(ctx, x.ws, b)
}

// TestOps: every op in float32 against PyTorch, in float64 on the same numbers.
func TestOps(t *testing.T) {
	for _, noFuse := range []bool{false, true} {
		optest.Run(t, "../../testdata/ops", 2e-6, func(t *testing.T, c *optest.Case) (optest.Executor, error) {
			x := tensors{}
			for name, p := range c.Params {
				x[name] = tensor{p.Shape, p.F}
			}
			p, err := Compile(c.Graph, x.as("f32"), Options{NoFuse: noFuse})
			if err != nil {
				return nil, err
			}
			return opCase{p, NewWorkspace(2), attn.NewPool(0)}, nil
		})
	}
}
