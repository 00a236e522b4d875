package runtime_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"qpt/runtime"
)

// trained lists the trained models: bundled, and shared ones that may be missing.
func trained(t *testing.T, f func(t *testing.T, dir string)) {
	t.Run("stories260K", func(t *testing.T) { f(t, checkpoint) })
	t.Run("babyllama-105", func(t *testing.T) { f(t, shared(t, "babyllama-105")) })
}

// near fails if any element differs by more than tol, and names the worst.
func near(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, at := 0.0, 0
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= worst) { // NaN too
			worst, at = d, i
		}
	}
	if !(worst <= tol) {
		t.Errorf("%s: element %d is %v, want %v (difference %.3g, at most %.3g)", what, at, got[at], want[at], worst, tol)
	}
}

// TestLogits: an f32 file gives the golden logits at every position of every prompt.
func TestLogits(t *testing.T) {
	trained(t, func(t *testing.T, dir string) {
		m := open(t, dir, "f32", runtime.Options{})
		for i, p := range prompts(t, dir) {
			y, err := m.Forward(t.Context(), p.ids)
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprintf("prompt %d", i), y, p.logits, 1e-4)
		}
	})
}

// TestVariants: RoPE scaling of each kind, biases, an untied head, other activations, 16-bit sources.
func TestVariants(t *testing.T) {
	for _, name := range []string{"llama3-bias-untied", "dynamic-tied", "linear-mha"} {
		dir := filepath.Join("../testdata/llama-variants", name)
		m := open(t, dir, "f32", runtime.Options{})
		g := openGolden(t, dir, "golden.safetensors")
		for i := 0; g.has(fmt.Sprintf("seq%d.ids", i)); i++ {
			y, err := m.Forward(t.Context(), g.ints(t, fmt.Sprintf("seq%d.ids", i)))
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprintf("%s sequence %d", name, i), y, g.floats(t, fmt.Sprintf("seq%d.logits", i)), 1e-4)
		}
	}
}

// TestGreedy: an f32 file continues every prompt as the golden does, up to a step whose two best logits are as good as equal.
func TestGreedy(t *testing.T) {
	trained(t, func(t *testing.T, dir string) {
		m := open(t, dir, "f32", runtime.Options{})
		for i, p := range prompts(t, dir) {
			if slow() && i > 1 {
				break
			}
			s, err := m.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for tok, err := range s.Generate(t.Context(), p.ids, runtime.GenerateOptions{MaxTokens: len(p.greedy), IgnoreEOS: true}) {
				if err != nil {
					t.Fatal(err)
				}
				if tok.Finish != "" {
					break
				}
				if tok.ID != p.greedy[n] {
					if p.margins[n] >= 1e-3 {
						t.Errorf("prompt %d: token %d is %d, want %d (by %v)", i, n, tok.ID, p.greedy[n], p.margins[n])
					}
					break
				}
				n++
			}
			if n < len(p.greedy) {
				t.Logf("prompt %d: compared %d of %d tokens", i, n, len(p.greedy))
			}
		}
	})
}

// TestPerplexity: every 8th window (babyllama: 16th) of the evaluation text
// under both protocols of the models' READMEs, all with QPT_SLOW=1. An f32 file
// gives the golden NLL of each; the others may lose this much in all, as a factor of the perplexity.
func TestPerplexity(t *testing.T) {
	limits := []struct {
		scheme        string
		stories, baby float64 // measured over all windows, stream and docs of each:
	}{
		{"f32", 1, 1},
		{"bf16", 1.001, 1.001},   // 1.0004 1.0003, 1.0001 1.0001
		{"a16w8", 1.005, 1.005},  // 1.0011 1.0007, 1.0002 1.0002
		{"da8w8", 1.005, 1.005},  // 1.0018 1.0016, 1.0013 1.0014
		{"a16w4", 1.09, 1.04},    // 1.0793 1.0735, 1.0343 1.0345
		{"da8w4", 1.09, 1.04},    // 1.0798 1.0753, 1.0356 1.0353
		{"torchao", 1.10, 1.045}, // 1.0865 1.0833, 1.0378 1.0354
	}
	trained(t, func(t *testing.T, dir string) {
		g := openGolden(t, dir, "golden", "perplexity_golden.safetensors")
		baby := dir != checkpoint
		stride, slack := 8, 0.005 // part of the text may do a little worse
		switch {
		case os.Getenv("QPT_SLOW") != "":
			stride, slack = 1, 0
		case slow():
			stride, slack = 64, 0.05
		case baby:
			stride = 16
		}
		for _, l := range limits {
			if slow() && l.scheme != "f32" && l.scheme != "da8w4" {
				continue
			}
			m := open(t, dir, l.scheme, runtime.Options{})
			tok, err := m.Tokenizer()
			if err != nil {
				t.Fatal(err)
			}
			for protocol, docs := range map[string][][]int32{
				"stream": {g.ints(t, "tinystories_eval.stream.ids")},
				"docs":   documents(t, tok),
			} {
				golden := g.floats(t, "tinystories_eval."+protocol+".window_nll")
				var some [][]int32
				var want []float64 // of each of some
				i := 0
				for _, ids := range docs {
					for w := range slices.Chunk(ids, m.Meta.Model.Context-1) {
						if i%stride == 0 {
							some, want = append(some, w), append(want, float64(golden[i]))
						}
						i++
					}
				}
				if i != len(golden) {
					t.Fatalf("%s: %d windows, want %d", protocol, i, len(golden))
				}
				p, err := m.Perplexity(t.Context(), some, 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				if len(p.Windows) != len(some) {
					t.Fatalf("%s: %d windows, want %d", protocol, len(p.Windows), len(some))
				}
				sum := 0.0
				for i, w := range p.Windows {
					sum += want[i]
					// 1e-4 a token would shift the perplexity in the 4th digit; demand 1e-5.
					if l.scheme == "f32" && math.Abs(w.NLL-want[i]) > 1e-5*float64(w.Tokens) {
						t.Errorf("%s window %d: NLL %.5f, want %.5f", protocol, i, w.NLL, want[i])
					}
				}
				limit := l.stories
				if baby {
					limit = l.baby
				}
				ppl := math.Exp(sum / float64(p.Tokens))
				t.Logf("%-7s %-6s perplexity %.5f, FP32 %.5f, factor %.5f", l.scheme, protocol, p.Value(), ppl, p.Value()/ppl)
				if l.scheme != "f32" && !(p.Value() <= ppl*(limit+slack)) {
					t.Errorf("%s %s: perplexity %.5f is %.4f times FP32's, at most %v", l.scheme, protocol, p.Value(), p.Value()/ppl, limit)
				}
				if want := map[bool]map[string]string{false: {"stream": "4.562", "docs": "3.996"}, true: {"stream": "2.496", "docs": "2.417"}}[baby][protocol]; l.scheme == "f32" && stride == 1 && fmt.Sprintf("%.4g", p.Value()) != want {
					t.Errorf("%s: perplexity %.6f, want %s", protocol, p.Value(), want)
				}
			}
		}
	})
}

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
		d, err := load(t, c.scheme).Check(t.Context())
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
	seqs := [][]int32{prompts(t, checkpoint)[4].ids}
	for _, c := range []struct {
		scheme   string
		low, top float64 // of a linear's own SQNR in dB
	}{{"f32", 100, math.Inf(1)}, {"bf16", 45, 65}, {"a16w8", 32, 60}, {"da8w8", 30, 55}, {"s8s8", 10, 50}, {"a16w6", 25, 46}, {"a16w4", 12, 36}, {"da8w4", 12, 36}} {
		m := load(t, c.scheme)
		steps, err := runtime.RunLockStep(t.Context(), []*runtime.Model{m}, src, seqs, runtime.LockStepOptions{})
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
