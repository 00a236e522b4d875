package encoder_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert"
	"qpt/runtime"
	"qpt/runtime/encoder"
	"qpt/runtime/lm/tokenizer"
)

// open converts a family of testdata.
func open(t *testing.T, family string, opt runtime.Options) *encoder.Model {
	t.Helper()
	out := filepath.Join(t.TempDir(), "m.qpt")
	p, err := convert.MakePlan(convert.Options{In: "../../testdata/families/" + family, Scheme: "da8w8", Out: out})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	m, err := encoder.Load(out, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func same(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// TestEmbed: texts in any order and cut into any passes give what each gives alone, of length 1, and
// what named tensors give; long ones are cut to the folder's 32 tokens.
func TestEmbed(t *testing.T) {
	texts := []string{"the cat", "a dog sat on the mat", "i", "the cat sat on the mat and then it went home to sleep in the sun until the moon rose", "the cat"}
	m := open(t, "bert-sentence", runtime.Options{Threads: 2, Batch: 24})
	all, err := m.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		one, err := m.Embed(t.Context(), []string{text})
		if err != nil || !same(one[0], all[i]) {
			t.Errorf("text %d alone: %v, with the others %v: %v", i, one, all[i], err)
		}
		e, err := m.Encode(t.Context(), encoder.Input{Text: text})
		if err != nil || len(e.IDs) > 32 {
			t.Fatalf("text %d: %d tokens: %v", i, len(e.IDs), err)
		}
		y, err := m.Run(t.Context(), map[string]runtime.Tensor{"input_ids": {Shape: []int{len(e.IDs)}, I: e.IDs}}, runtime.RunOptions{})
		if err != nil || !same(y[encoder.Embedding].F, all[i]) {
			t.Errorf("text %d by its ids: %v, want %v: %v", i, y[encoder.Embedding].F, all[i], err)
		}
		sum := 0.0
		for _, x := range all[i] {
			sum += float64(x) * float64(x)
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Errorf("text %d: length %v", i, math.Sqrt(sum))
		}
	}
	if same(all[0], all[1]) || !same(all[0], all[4]) {
		t.Error("embeddings do not follow their texts")
	}
	if _, err := m.Classify(t.Context(), []encoder.Input{{Text: "x"}}); !errors.Is(err, encoder.ErrTask) {
		t.Errorf("classes of an embedding model: %v", err)
	}
}

// TestCores: many texts, shared out among any number of cores, give what each gives alone.
func TestCores(t *testing.T) {
	var texts []string
	for i := range 70 {
		texts = append(texts, strings.Repeat("the cat sat on the mat ", i%5)+[]string{"and", "then", "it", "went"}[i%4])
	}
	var want [][]float32
	for _, threads := range []int{1, 2, 3} {
		m := open(t, "bert-sentence", runtime.Options{Threads: threads})
		got, err := m.Embed(t.Context(), texts)
		if err != nil {
			t.Fatal(err)
		}
		for i := range texts {
			if want == nil && i%10 == 3 {
				if one, err := m.Embed(t.Context(), texts[i:i+1]); err != nil || !same(one[0], got[i]) {
					t.Errorf("text %d alone: %v, with the others %v: %v", i, one, got[i], err)
				}
			}
			if want != nil && !same(got[i], want[i]) {
				t.Errorf("text %d on %d cores: %v, want %v", i, threads, got[i], want[i])
			}
		}
		want = got
	}
	m := open(t, "bert-sentence", runtime.Options{Threads: 2})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Embed(ctx, texts); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that has ended: %v", err)
	}
}

// TestClassify: scores are shares, and the second text of a pair has token types of its own.
func TestClassify(t *testing.T) {
	m := open(t, "bert", runtime.Options{Threads: 2})
	scores, err := m.Classify(t.Context(), []encoder.Input{{Text: "the cat", Pair: "a dog"}, {Text: "the cat"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range scores {
		if sum := s[0] + s[1] + s[2]; len(s) != len(m.Labels()) || math.Abs(float64(sum)-1) > 1e-5 {
			t.Errorf("scores %d: %v", i, s)
		}
	}
	e, err := m.Encode(t.Context(), encoder.Input{Text: "the cat", Pair: "a dog"})
	if err != nil || e.TypeIDs[len(e.IDs)-1] != 1 || e.TypeIDs[0] != 0 {
		t.Errorf("types of a pair: %v %v", e.TypeIDs, err)
	}
	rows, err := m.Rows(t.Context(), []tokenizer.Encoding{e}, encoder.Scores)
	if err != nil || !same(rows[0], scores[0]) {
		t.Errorf("scores of the tokens: %v, want %v: %v", rows, scores[0], err)
	}
	e.TypeIDs = make([]int32, len(e.IDs))
	if rows, err = m.Rows(t.Context(), []tokenizer.Encoding{e}, encoder.Scores); err != nil || same(rows[0], scores[0]) {
		t.Errorf("token types make no difference: %v", err)
	}
	if _, err := m.Embed(t.Context(), []string{"x"}); !errors.Is(err, encoder.ErrTask) {
		t.Errorf("embeddings of a classifier: %v", err)
	}
}

// TestTokens: a model of tokens without a tokenizer.
func TestTokens(t *testing.T) {
	m := open(t, "xlm-roberta", runtime.Options{Threads: 1})
	if !m.PerToken() || len(m.Labels()) != 3 {
		t.Errorf("per token %v, labels %v", m.PerToken(), m.Labels())
	}
	if _, err := m.ClassifyTokens(t.Context(), []encoder.Input{{Text: "x"}}); !errors.Is(err, encoder.ErrNoTokenizer) {
		t.Errorf("text without a tokenizer: %v", err)
	}
	e := tokenizer.Encoding{IDs: []int32{5, 6, 7, 8}, TypeIDs: make([]int32, 4)}
	rows, err := m.Rows(t.Context(), []tokenizer.Encoding{e}, encoder.Scores)
	if err != nil || len(rows[0]) != 12 {
		t.Errorf("scores of 4 tokens: %v %v", rows, err)
	}
}
