package ref_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"qpt/convert/safetensors/sttest"
	"qpt/internal/cpu"
	"qpt/kernels/linear"
	"qpt/runtime/lm/tokenizer"
	"qpt/runtime/ref"
)

// The trained models against goldens of an independent torch forward pass.
var trainedModels = []string{"stories260K", "babyllama-105"}

// TestPromptLogits: every logit at every prompt position.
func TestPromptLogits(t *testing.T) {
	for _, name := range trainedModels {
		t.Run(name, func(t *testing.T) {
			dir := trained(t, name)
			m, w := model(t, dir)
			golden := sttest.Open(t, filepath.Join(dir, "golden", "prompts_golden.safetensors"))
			var seqs []ref.Seq
			for i := 0; golden.Has(fmt.Sprintf("prompt%d.ids", i)); i++ {
				seqs = append(seqs, ref.Seq{IDs: golden.Ints(fmt.Sprintf("prompt%d.ids", i))})
			}
			for i, y := range run(t, m, w, seqs...) {
				near(t, fmt.Sprintf("prompt %d", i), y.F, golden.Values(fmt.Sprintf("prompt%d.logits", i)), 1e-4)
			}
		})
	}
}

// TestGreedy: teacher forcing, that is one pass over prompt and golden
// continuation: at every step the largest logit must be the golden token, and
// its lead the golden margin. This is greedy generation without a cache.
func TestGreedy(t *testing.T) {
	for _, name := range trainedModels {
		t.Run(name, func(t *testing.T) {
			dir := trained(t, name)
			m, w := model(t, dir)
			golden := sttest.Open(t, filepath.Join(dir, "golden", "prompts_golden.safetensors"))
			steps, unsure := 0, 0
			for i := 0; golden.Has(fmt.Sprintf("prompt%d.ids", i)); i++ {
				ids := golden.Ints(fmt.Sprintf("prompt%d.ids", i))
				greedy := golden.Ints(fmt.Sprintf("prompt%d.greedy", i))
				margins := golden.Values(fmt.Sprintf("prompt%d.greedy_margin", i))
				all := append(append([]int32(nil), ids...), greedy[:len(greedy)-1]...)
				var rows []int32
				for j := range greedy {
					rows = append(rows, int32(len(ids)-1+j))
				}
				y := run(t, m, w, ref.Seq{IDs: all, Rows: rows})[0]
				for j, want := range greedy {
					first, second := top2(y.Row(j))
					margin := y.Row(j)[first] - y.Row(j)[second]
					if steps++; margins[j] < 1e-3 {
						unsure++ // either of the two will do
						if int32(first) == want || int32(second) == want {
							continue
						}
					}
					if int32(first) != want || math.Abs(float64(margin-margins[j])) > 2e-4 {
						t.Fatalf("prompt %d step %d: token %d leads by %v, want %d by %v", i, j, first, margin, want, margins[j])
					}
				}
			}
			t.Logf("%d steps, %d with a margin below 1e-3", steps, unsure)
		})
	}
}

func top2(x []float32) (first, second int) {
	first, second = 0, -1
	for i := 1; i < len(x); i++ {
		switch {
		case x[i] > x[first]:
			first, second = i, first
		case second < 0 || x[i] > x[second]:
			second = i
		}
	}
	return first, second
}

// TestWindowNLL: summed NLL of windows of the evaluation text under both
// protocols of the models' READMEs, every 32nd window; all of them and the
// perplexity with QPT_SLOW=1 (about two minutes of two idle cores).
func TestWindowNLL(t *testing.T) {
	for _, c := range []struct{ name, stream, docs string }{{"stories260K", "4.562", "3.996"}, {"babyllama-105", "2.496", "2.417"}} {
		dir := trained(t, c.name)
		golden := sttest.Open(t, filepath.Join(dir, "golden", "perplexity_golden.safetensors"))
		t.Run(c.name+"/stream", func(t *testing.T) {
			windowNLL(t, dir, [][]int32{golden.Ints("tinystories_eval.stream.ids")}, golden.Values("tinystories_eval.stream.window_nll"), c.stream)
		})
		t.Run(c.name+"/docs", func(t *testing.T) {
			windowNLL(t, dir, documents(t, dir), golden.Values("tinystories_eval.docs.window_nll"), c.docs)
		})
	}
}

// windowNLL cuts each document into windows of MaxPos-1 tokens, each fed after bos.
func windowNLL(t *testing.T, dir string, docs [][]int32, want []float32, wantPPL string) {
	m, w := model(t, dir)
	stride := 32
	switch {
	case os.Getenv("QPT_SLOW") != "":
		stride = 1
	case testing.Short():
		stride = 512
	}
	sum, tokens, i := 0.0, 0, 0 // i is the window
	for _, ids := range docs {
		for window := range slices.Chunk(ids, m.MaxPos-1) {
			if i++; (i-1)%stride != 0 {
				continue
			}
			in := append([]int32{int32(m.BOS)}, window[:len(window)-1]...)
			y := run(t, m, w, ref.Seq{IDs: in})[0]
			nll := 0.0
			for j, id := range window {
				nll += nllOf(y.Row(j), id)
			}
			sum, tokens = sum+nll, tokens+len(window)
			// 1e-4 a token would shift the perplexity in the 4th digit; demand 1e-5.
			if math.Abs(nll-float64(want[i-1])) > 1e-5*float64(len(window)) {
				t.Errorf("window %d: NLL %.5f, want %.5f", i-1, nll, want[i-1])
			}
		}
	}
	if i != len(want) {
		t.Errorf("%d windows, want %d", i, len(want))
	}
	if ppl := fmt.Sprintf("%.4g", math.Exp(sum/float64(tokens))); stride == 1 && ppl != wantPPL {
		t.Errorf("perplexity %s, want %s", ppl, wantPPL)
	}
}

// documents tokenizes every line's text of the evaluation set alone.
func documents(t *testing.T, dir string) (docs [][]int32) {
	tokJSON, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(tokJSON, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("../../testdata/text/tinystories_eval.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := json.NewDecoder(f); lines.More(); {
		var line struct{ Text string }
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		ids, err := tok.Encode(context.Background(), line.Text, false)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, ids)
	}
	return docs
}

// nllOf is -log softmax(logits)[id].
func nllOf(logits []float32, id int32) float64 {
	top := logits[0]
	for _, x := range logits {
		top = max(top, x)
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x - top))
	}
	return math.Log(sum) - float64(logits[id]-top)
}

// TestVariants: what the trained models lack (testdata/llama-variants): RoPE
// scaling of each kind, biases, an untied head, other activations, 16-bit weights.
func TestVariants(t *testing.T) {
	for _, name := range []string{"llama3-bias-untied", "dynamic-tied", "linear-mha"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("../../testdata/llama-variants", name)
			m, w := model(t, dir)
			golden := sttest.Open(t, filepath.Join(dir, "golden.safetensors"))
			var seqs []ref.Seq
			for i := 0; golden.Has(fmt.Sprintf("seq%d.ids", i)); i++ {
				seqs = append(seqs, ref.Seq{IDs: golden.Ints(fmt.Sprintf("seq%d.ids", i))})
			}
			for i, y := range run(t, m, w, seqs...) {
				near(t, fmt.Sprintf("sequence %d", i), y.F, golden.Values(fmt.Sprintf("seq%d.logits", i)), 1e-4)
			}
		})
	}
}

// TestSplit: neither threads nor company nor the choice of rows changes a bit.
func TestSplit(t *testing.T) {
	m, w := model(t, "../../testdata/llama-variants/llama3-bias-untied")
	seqs := []ref.Seq{{IDs: []int32{1, 5, 9, 13, 2}}, {IDs: []int32{7}}, {IDs: []int32{3, 3, 60, 0, 11, 12}, Rows: []int32{0, 2, 5}}}
	together, err := ref.Logits(context.Background(), m.Graph, w, seqs, ref.Options{Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range seqs {
		alone, err := ref.Logits(context.Background(), m.Graph, w, []ref.Seq{{IDs: s.IDs}}, ref.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		for j := range together[i].Shape[0] {
			row := j
			if s.Rows != nil {
				row = int(s.Rows[j])
			}
			near(t, fmt.Sprintf("sequence %d row %d", i, row), together[i].Row(j), alone[0].Row(row), 0)
		}
	}
}

// TestDot: linear layers by linear.MatMul give the bits of the plain loop.
func TestDot(t *testing.T) {
	fast := linear.MatMul()
	if fast == nil {
		if cpu.Active() >= cpu.AVX2 {
			t.Fatal("no function on a machine with AVX2")
		}
		t.Skip("no AVX2 on this machine")
	}
	for _, name := range []string{"stories260K", "llama-variants/llama3-bias-untied"} {
		m, w := model(t, filepath.Join("../../testdata", name))
		var seqs []ref.Seq
		for _, n := range []int{1, 5, 11} {
			seqs = append(seqs, ref.Seq{IDs: iota32(n)})
		}
		var calls atomic.Int64
		got, err := ref.Logits(context.Background(), m.Graph, w, seqs, ref.Options{Dot: func(y [][]float32, n0 int, x [][]float32, w []float32) {
			calls.Add(1)
			fast(y, n0, x, w)
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range run(t, m, w, seqs...) {
			if !slices.Equal(got[i].F, want.F) {
				t.Errorf("%s: sequence %d differs", name, i)
			}
		}
		if calls.Load() == 0 {
			t.Errorf("%s: Dot was not called", name)
		}
	}
}
