package ref_test

import (
	"context"
	"math"
	"math/bits"
	"testing"

	"qpt/format/graph"
	"qpt/kernels/elem"
	"qpt/runtime/optest"
	"qpt/runtime/ref"
)

// executor runs cases of optest.
type executor struct {
	c   *optest.Case
	opt ref.Options
}

func (x executor) NewSequence() graph.Sequence { return ref.NewSequence(x.c.Graph) }
func (x executor) Run(ctx context.Context, b *graph.Batch) ([]graph.Tensor, error) {
	return ref.Run(ctx, x.c.Graph, x.c, b, x.opt)
}

// TestOps: every op against PyTorch, in float64 on the same numbers.
func TestOps(t *testing.T) {
	seen := map[string]bool{}
	optest.Run(t, "../../testdata/ops", 1e-6, func(_ *testing.T, c *optest.Case) (optest.Executor, error) {
		for _, n := range c.Graph.Nodes {
			seen[n.Op.Kind()] = true
		}
		return executor{c, ref.Options{Threads: 2}}, nil
	})
	for _, kind := range graph.Kinds() {
		if !seen[kind] {
			t.Errorf("no case has the op %s", kind)
		}
	}
}

// TestOpsFast: every op with the functions that calibration has, its values in memory that holds NaN: what an op leaves out shows.
func TestOpsFast(t *testing.T) {
	times := 0
	fast := ref.Fast{Unary: elem.Unary, Binary: elem.Binary, Times: func(dst, x []float32, s float32) { times++; elem.Times(dst, x, s) }}
	optest.Run(t, "../../testdata/ops", 1e-5, func(_ *testing.T, c *optest.Case) (optest.Executor, error) {
		spare := new(ref.Spare)
		for n := 1; n <= 4096; n += 1 << max(bits.Len(uint(n))-4, 0) {
			for range 4 {
				x := spare.Get(n)
				for i := range x {
					x[i] = float32(math.NaN())
				}
				defer spare.Put(x)
			}
		}
		return executor{c, ref.Options{Threads: 1, Fast: fast, Spare: spare}}, nil
	})
	if times == 0 {
		t.Error("no scores were scaled by the function for that")
	}
}

// A Spare gives what it was given, of sizes that differ by an eighth at most, and keeps no more than its limit.
func TestSpare(t *testing.T) {
	s := &ref.Spare{Limit: 4 * 4000}
	for n := range 5000 {
		if x := s.Get(n); len(x) != n || cap(x) > n+n/8 {
			t.Fatalf("%d values of %d for %d", len(x), cap(x), n)
		}
	}
	a, b := s.Get(2000), s.Get(2001)
	s.Put(a)
	s.Put(make([]float32, 1999)) // not its own
	if x := s.Get(1999); cap(x) != cap(a) || &x[0] != &a[0] {
		t.Error("not given again")
	}
	s.Put(a)
	s.Put(b) // beyond the limit
	s.Get(2000)
	if x := s.Get(2001); &x[0] == &b[0] {
		t.Error("kept beyond the limit")
	}
}
