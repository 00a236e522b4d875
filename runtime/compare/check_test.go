package compare_test

import (
	"math"
	"strings"
	"testing"

	"qpt/convert/safetensors/sttest"
	"qpt/runtime/compare"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
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

// TestLockStepBands: the errors of single linear layers are what the arithmetic of
// their scheme explains, and add up along the model. A layer's noise is that of
// its weights, which the a16 schemes show alone, and that of its inputs, which is
// what da8w8 has more than a16w8: both are the same whatever they meet.
func TestLockStepBands(t *testing.T) {
	src := sttest.Open(t, lmtest.Checkpoint)
	seqs := [][]int32{lmtest.Prompts(t, lmtest.Checkpoint)[4].IDs}
	noise := map[string]map[string]float64{} // relative, by scheme and node
	for _, c := range []struct {
		scheme   string
		low, top float64 // of a linear's own SQNR in dB
	}{
		{"f32", 100, math.Inf(1)}, {"bf16", 49, 61}, {"a16w8", 39, 57}, {"a16w6", 29, 47}, {"a16w4", 17, 34},
		{"da8w8", 30, 52}, {"da8w6", 28, 46}, {"da8w4", 17, 34}, {"s8s8", 22, 49},
	} {
		noise[c.scheme] = map[string]float64{}
		m := lmtest.Load(t, c.scheme)
		steps, err := compare.RunLockStep(t.Context(), []*lm.Model{m}, src, seqs, compare.LockStepOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range steps[0].Nodes {
			local, sum := n.Local.SQNR(), n.Cumulative.SQNR()
			if n.Scheme == c.scheme && n.Node.Op.Kind() == "linear" {
				noise[c.scheme][n.Node.Name] = math.Pow(10, -local/10)
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
		if len(noise[c.scheme]) < 35 {
			t.Errorf("%s: %d linear layers, want 35", c.scheme, len(noise[c.scheme]))
		}
	}
	inputs := map[string]float64{}     // noise of int8 inputs where it is greatest, by the weights' bits
	for node := range noise["a16w4"] { // all but the head, which keeps 8 bits
		dB := func(scheme string) float64 { return -10 * math.Log10(noise[scheme][node]) }
		for _, c := range []struct {
			less, more string
			low, top   float64
		}{
			{"a16w8", "a16w6", 8, 14}, {"a16w6", "a16w4", 8, 14}, // two bits are 12 dB
			{"a16w8", "da8w8", 1, 11}, {"a16w6", "da8w6", 0.1, 3}, {"a16w4", "da8w4", -0.1, 0.3}, {"da8w8", "s8s8", 1, 9.5},
		} {
			if d := dB(c.less) - dB(c.more); !(d >= c.low && d <= c.top) {
				t.Errorf("node %s: %s is %.2f dB better than %s, want %v to %v", node, c.less, d, c.more, c.low, c.top)
			}
		}
		if strings.Contains(node, "down_proj") {
			for _, w := range []string{"w8", "w6", "w4"} {
				inputs[w] += noise["da8"+w][node] - noise["a16"+w][node]
			}
		}
	}
	for _, w := range []string{"w6", "w4"} {
		if r := inputs[w] / inputs["w8"]; !(r > 0.6 && r < 1.6) {
			t.Errorf("int8 inputs bring %.2f times the noise to %s that they bring to w8", r, w)
		}
	}
}
