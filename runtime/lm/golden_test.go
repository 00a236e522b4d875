package lm_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
)

// trained lists the trained models: bundled, and shared ones that may be missing.
func trained(t *testing.T, f func(t *testing.T, dir string)) {
	t.Run("stories260K", func(t *testing.T) { f(t, lmtest.Checkpoint) })
	t.Run("babyllama-105", func(t *testing.T) { f(t, lmtest.Shared(t, "babyllama-105")) })
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
		m := lmtest.Open(t, dir, "f32", runtime.Options{})
		for i, p := range lmtest.Prompts(t, dir) {
			y, err := m.Forward(t.Context(), p.IDs)
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprintf("prompt %d", i), y, p.Logits, 1e-4)
		}
	})
}

// TestVariants: RoPE scaling of each kind, biases, an untied head, other activations, 16-bit sources.
func TestVariants(t *testing.T) {
	for _, name := range []string{"llama3-bias-untied", "dynamic-tied", "linear-mha"} {
		dir := filepath.Join(lmtest.Root, "testdata/llama-variants", name)
		m := lmtest.Open(t, dir, "f32", runtime.Options{})
		g := lmtest.OpenGolden(t, dir, "golden.safetensors")
		for i := 0; g.Has(fmt.Sprintf("seq%d.ids", i)); i++ {
			y, err := m.Forward(t.Context(), g.Ints(t, fmt.Sprintf("seq%d.ids", i)))
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprintf("%s sequence %d", name, i), y, g.Floats(t, fmt.Sprintf("seq%d.logits", i)), 1e-4)
		}
	}
}

// TestGreedy: an f32 file continues every prompt as the golden does, up to a step whose two best logits are as good as equal.
func TestGreedy(t *testing.T) {
	trained(t, func(t *testing.T, dir string) {
		m := lmtest.Open(t, dir, "f32", runtime.Options{})
		compared, all := 0, 0
		for i, p := range lmtest.Prompts(t, dir) {
			if lmtest.Slow() && i > 1 {
				break
			}
			s, err := m.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for tok, err := range s.Generate(t.Context(), p.IDs, lm.GenerateOptions{MaxTokens: len(p.Greedy), IgnoreEOS: true}) {
				if err != nil {
					t.Fatal(err)
				}
				if tok.Finish != "" {
					break
				}
				if tok.ID != p.Greedy[n] {
					if p.Margins[n] >= 1e-3 {
						t.Errorf("prompt %d: token %d is %d, want %d (by %v)", i, n, tok.ID, p.Greedy[n], p.Margins[n])
					}
					break
				}
				n++
			}
			if n == 0 {
				t.Errorf("prompt %d: no token compared", i)
			}
			compared, all = compared+n, all+len(p.Greedy)
		}
		t.Logf("compared %d of %d tokens", compared, all)
		if compared < all*3/4 {
			t.Errorf("compared %d of %d tokens, want three in four", compared, all)
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
		g := lmtest.OpenGolden(t, dir, "golden", "perplexity_golden.safetensors")
		baby := dir != lmtest.Checkpoint
		stride, slack := 8, 0.005 // part of the text may do a little worse
		switch {
		case os.Getenv("QPT_SLOW") != "":
			stride, slack = 1, 0
		case lmtest.Slow():
			stride, slack = 64, 0.05
		case baby:
			stride = 16
		}
		for _, l := range limits {
			if lmtest.Slow() && l.scheme != "f32" && l.scheme != "da8w4" {
				continue
			}
			m := lmtest.Open(t, dir, l.scheme, runtime.Options{})
			tok, err := m.Tokenizer()
			if err != nil {
				t.Fatal(err)
			}
			for protocol, docs := range map[string][][]int32{
				"stream": {g.Ints(t, "tinystories_eval.stream.ids")},
				"docs":   lmtest.Documents(t, tok),
			} {
				golden := g.Floats(t, "tinystories_eval."+protocol+".window_nll")
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
				if pieces, err := m.Pieces(docs, 0); err != nil || len(pieces) != len(golden) {
					t.Fatalf("%s: %d windows, want %d: %v", protocol, len(pieces), len(golden), err)
				} else if w := pieces[1]; len(w.Fed) != len(w.Want) || int(w.Fed[0]) != m.Meta.Model.BOS {
					t.Errorf("%s: the second window begins with %d", protocol, w.Fed[0])
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

// TestPieces: windows behind the begin-of-text token, or behind the token before.
func TestPieces(t *testing.T) {
	m := lmtest.Load(t, "f32")
	docs := [][]int32{{5, 6, 7, 8, 9}, {}, {5}}
	for _, c := range []struct {
		bos  int
		want string
	}{
		{1, "[{[1 5] [5 6]} {[1 7] [7 8]} {[1] [9]} {[1] [5]}]"},
		{-1, "[{[5 6] [6 7]} {[7 8] [8 9]}]"},
	} {
		m.Meta.Model.BOS = c.bos
		pieces, err := m.Pieces(docs, 2)
		if err != nil || fmt.Sprint(pieces) != c.want {
			t.Errorf("bos %d: %v %v, want %s", c.bos, pieces, err, c.want)
		}
		p, err := m.Perplexity(t.Context(), docs, 2, nil)
		if err != nil || p.Tokens != 6-2*max(-c.bos, 0) {
			t.Errorf("bos %d: %+v %v", c.bos, p, err)
		}
	}
	if _, err := m.Pieces([][]int32{{5}}, 2); err == nil {
		t.Error("one token without a begin-of-text token: no error")
	}
}
