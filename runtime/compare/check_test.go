package compare_test

import (
	"math"
	"qpt/runtime/compare"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
	"testing"
)

// TestCheck: the report against the FP32 results in the file.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		scheme           string
		kl, top1, sqnr   float64
		leastKL, maxSQNR float64 // a scheme that is better than it can be compares with itself
	}{
		{"f32", 1e-9, 1, 100, 0, math.Inf(1)},
		{"bf16", 1e-3, 0.95, 35, 1e-9, 60},
		{"da8w8", 5e-3, 0.9, 30, 1e-6, 50},
		{"da8w6", 0.02, 0.88, 25, 1e-4, 40},
		{"da8w4", 0.2, 0.7, 12, 1e-3, 30},
		{"s8s8", 0.05, 0.85, 20, 1e-4, 45},
	} {
		d, err := compare.Check(t.Context(), lmtest.Load(t, c.scheme))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d tokens, KL %.3g, top-1 %.3f, top-5 %.3f, SQNR %.1f dB, max %.3g", c.scheme, d.Tokens(), d.KL(), d.Top1(), d.Top5(), d.SQNR(), d.MaxAbs())
		if d.Tokens() < 32 || !(d.KL() <= c.kl && d.KL() >= c.leastKL) || !(d.Top1() >= c.top1) || !(d.SQNR() >= c.sqnr && d.SQNR() <= c.maxSQNR) {
			t.Errorf("%s: %d tokens, KL %.3g, top-1 %.3f, SQNR %.1f dB: out of %+v", c.scheme, d.Tokens(), d.KL(), d.Top1(), d.SQNR(), c)
		}
	}
}

// TestLockStepBands: the errors of single nodes are what the arithmetic of
// their scheme explains, and add up along the model.
func TestLockStepBands(t *testing.T) {
	src := source(t)
	seqs := [][]int32{lmtest.Prompts(t, lmtest.Checkpoint)[4].IDs}
	for _, c := range []struct {
		scheme   string
		low, top float64 // of a linear's own SQNR in dB
	}{{"f32", 100, math.Inf(1)}, {"bf16", 45, 65}, {"a16w8", 32, 60}, {"da8w8", 30, 55}, {"s8s8", 10, 50}, {"a16w6", 25, 46}, {"a16w4", 12, 36}, {"da8w4", 12, 36}} {
		m := lmtest.Load(t, c.scheme)
		steps, err := compare.RunLockStep(t.Context(), []*lm.Model{m}, src, seqs, compare.LockStepOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range steps[0].Nodes {
			local, sum := n.Local.SQNR(), n.Cumulative.SQNR()
			if n.Scheme == c.scheme && n.Node.Op.Kind() == "linear" {
				if !(local >= c.low && local <= c.top) {
					t.Errorf("%s: node %s has %.1f dB of its own, want %v to %v", c.scheme, n.Node.Name, local, c.low, c.top)
				}
				if c.scheme != "f32" && sum > local+3 {
					t.Errorf("%s: node %s has %.1f dB with all errors before it, %.1f dB alone", c.scheme, n.Node.Name, sum, local)
				}
			}
			if c.scheme == "f32" && !(local > 100 && sum > 100) {
				t.Errorf("f32: node %s: %.1f dB alone, %.1f dB with all before it, want 100", n.Node.Name, local, sum)
			}
		}
	}
}
