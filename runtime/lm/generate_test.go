package lm_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
	"qpt/runtime/lm/sample"
)

// goldenTexts are prompts and their greedy continuations.
func goldenTexts(t *testing.T) (list []struct {
	Prompt string
	Text   string  `json:"greedy_text"`
	IDs    []int32 `json:"greedy_ids"`
}) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(lmtest.Checkpoint, "golden", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc := struct{ Prompts any }{&list}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return list
}

// collect generates to the end and returns the tokens.
func collect(t *testing.T, m *lm.Model, prompt string, opt lm.GenerateOptions) (tokens []lm.Token, text string) {
	t.Helper()
	for tok, err := range m.Generate(t.Context(), prompt, opt) {
		if err != nil {
			t.Fatal(err)
		}
		if len(tokens) > 0 && tokens[len(tokens)-1].Finish != "" {
			t.Fatal("a token after the end")
		}
		tokens = append(tokens, tok)
		text += tok.Text
	}
	return tokens, text
}

const once = "Once upon a time"

// TestGenerate: text and tokens of the goldens, and the same again from the same model.
func TestGenerate(t *testing.T) {
	m := lmtest.Load(t, "f32")
	for range 2 {
		for _, c := range goldenTexts(t)[:3] {
			tokens, text := collect(t, m, c.Prompt, lm.GenerateOptions{MaxTokens: len(c.IDs)})
			var ids []int32
			for _, tok := range tokens[:len(tokens)-1] {
				ids = append(ids, tok.ID)
			}
			if strings.TrimSpace(text) != strings.TrimSpace(c.Text) || !slices.Equal(ids, c.IDs) {
				t.Errorf("%q goes on %q, want %q", c.Prompt, text, c.Text)
			}
			if last := tokens[len(tokens)-1]; last.Finish != lm.FinishLength || last.ID != -1 {
				t.Errorf("%q ends with %+v", c.Prompt, last)
			}
		}
	}
}

// TestStop: the text ends before the stop string, of which no part comes out;
// what only begins like one comes out whole.
func TestStop(t *testing.T) {
	m := lmtest.Load(t, "f32")
	_, full := collect(t, m, once, lm.GenerateOptions{MaxTokens: 40})
	for _, stop := range [][]string{
		{"Lily"}, {"a little girl named Lily."}, {"outside", "park"}, {"park", "outside"}, {"little girl", "girl named"},
		{","}, {"girl named Bob", "loved to"}, {"", "One day"},
	} {
		want, reason := full, lm.FinishLength
		for _, s := range stop {
			if i := strings.Index(full, s); s != "" && i >= 0 && i < len(want) {
				want, reason = full[:i], lm.FinishStop
			}
		}
		tokens, text := collect(t, m, once, lm.GenerateOptions{MaxTokens: 40, Stop: stop})
		if last := tokens[len(tokens)-1]; text != want || last.Finish != reason || last.ID != -1 {
			t.Errorf("stop %q: %q, %+v; want %q, %v", stop, text, last, want, reason)
		}
	}
	for _, stop := range []string{"Lily.!", "a little gorilla", full[len(full)-3:] + "?"} {
		if _, text := collect(t, m, once, lm.GenerateOptions{MaxTokens: 40, Stop: []string{stop}}); text != full {
			t.Errorf("stop %q, which never comes: %q, want %q", stop, text, full)
		}
	}
}

// TestStopSpecial: a stop string meets special tokens, which no text shows, alone
// and with text round them; without one they change nothing.
func TestStopSpecial(t *testing.T) {
	m := lmtest.Load(t, "f32")
	m.Meta.Model.EOS = nil
	tokens, full := collect(t, m, "Once", lm.GenerateOptions{MaxTokens: 360})
	at := slices.IndexFunc(tokens, func(tok lm.Token) bool { return tok.ID == 1 })
	if at < 300 || strings.Contains(full, "<s>") {
		t.Fatalf("the model writes <s> at %d, in text %v", at, strings.Contains(full, "<s>"))
	}
	want := ""
	for _, tok := range tokens[:at] {
		want += tok.Text
	}
	for _, stop := range []string{"<s>", want[len(want)-1:] + "<s>"} {
		tokens, text := collect(t, m, "Once", lm.GenerateOptions{MaxTokens: 360, Stop: []string{stop}})
		if last := tokens[len(tokens)-1]; len(tokens) != at+2 || last.Finish != lm.FinishStop || !strings.HasPrefix(want, text) || len(text) < len(want)-1 {
			t.Errorf("stop %q: %d tokens, %+v, %d bytes of text, want %d tokens, %d bytes", stop, len(tokens), last, len(text), at+2, len(want))
		}
	}
	if _, text := collect(t, m, "Once", lm.GenerateOptions{MaxTokens: 360, Stop: []string{"<s>never"}}); text != full {
		t.Error("a stop string that never comes changes the text")
	}
}

func TestFinish(t *testing.T) {
	m := lmtest.Load(t, "da8w4")
	tokens, _ := collect(t, m, once, lm.GenerateOptions{MaxTokens: 5})
	eos := tokens[2].ID
	m.Meta.Model.EOS = []int{300, int(eos)}
	tokens, text := collect(t, m, once, lm.GenerateOptions{MaxTokens: 5})
	if len(tokens) != 3 || tokens[2].ID != eos || tokens[2].Finish != lm.FinishEOS || strings.Contains(text, "Lily") {
		t.Errorf("tokens to the end of text: %+v", tokens)
	}
	tokens, _ = collect(t, m, once, lm.GenerateOptions{MaxTokens: 5, IgnoreEOS: true})
	if len(tokens) != 6 || tokens[5].Finish != lm.FinishLength {
		t.Errorf("tokens past the end of text: %+v", tokens)
	}

	// 5 tokens of prompt and 7 more fill 12 positions; the token after them needs no place.
	small := lmtest.Open(t, lmtest.Checkpoint, "da8w4", runtime.Options{Context: 12})
	tokens, _ = collect(t, small, once, lm.GenerateOptions{})
	if len(tokens) != 9 || tokens[8].Finish != lm.FinishContext {
		t.Errorf("%d tokens in a context of 12: %+v", len(tokens), tokens)
	}
	for _, err := range small.Generate(t.Context(), strings.Repeat("ball ", 20), lm.GenerateOptions{}) {
		if err == nil || !strings.Contains(err.Error(), "do not fit in the context") {
			t.Errorf("a prompt longer than the context: %v", err)
		}
	}
	for _, err := range small.Generate(t.Context(), once, lm.GenerateOptions{Sample: sample.Options{TopP: 2}}) {
		if err == nil || !strings.Contains(err.Error(), "top-p") {
			t.Errorf("top-p 2: %v", err)
		}
	}

	// A caller that breaks, and one whose context ends.
	for range m.Generate(t.Context(), once, lm.GenerateOptions{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, last := 0, error(nil)
	for tok, err := range m.Generate(ctx, once, lm.GenerateOptions{IgnoreEOS: true}) {
		if last = err; err != nil {
			break
		}
		if n++; n == 3 {
			cancel()
		}
		if tok.Finish != "" {
			t.Fatalf("%+v", tok)
		}
	}
	if n != 3 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d tokens, then %v; want 3 and %v", n, last, context.Canceled)
	}
}

// TestSampling: a seed fixes the text, another seed or no temperature gives another.
func TestSampling(t *testing.T) {
	m := lmtest.Load(t, "da8w8")
	text := func(s sample.Options) string {
		_, text := collect(t, m, once, lm.GenerateOptions{MaxTokens: 30, Sample: s})
		return text
	}
	a, greedy := text(sample.Options{Temperature: 1, Seed: 1}), text(sample.Options{})
	if b := text(sample.Options{Temperature: 1, Seed: 1}); a != b {
		t.Errorf("one seed, two texts: %q and %q", a, b)
	}
	if a == text(sample.Options{Temperature: 1, Seed: 2}) || a == greedy {
		t.Errorf("seeds do nothing: %q", a)
	}
	if b := text(sample.Options{Temperature: 1, TopK: 1, Seed: 3}); b != greedy {
		t.Errorf("top-k 1: %q, want the greedy %q", b, greedy)
	}
}

// TestSession: a conversation cut back and continued equals one run at once.
func TestSession(t *testing.T) {
	m := lmtest.Load(t, "da8w4")
	ids := lmtest.Prompts(t, lmtest.Checkpoint)[7].IDs
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.Forward(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{10, 0, 31, 7} {
		s.Truncate(cut)
		if s.Len() > cut {
			t.Fatalf("%d tokens after Truncate(%d)", s.Len(), cut)
		}
		got, err := s.Append(t.Context(), ids[s.Len():])
		if err != nil {
			t.Fatal(err)
		}
		near(t, "logits", got, want[(len(ids)-1)*m.Vocab():], 0)
	}
	if _, err := s.Append(t.Context(), []int32{512}); err == nil || s.Len() != len(ids) {
		t.Errorf("a token out of the vocabulary: %v, %d tokens", err, s.Len())
	}
}

// TestConcurrent: sessions of one model on several goroutines do not disturb each other (run with -race).
func TestConcurrent(t *testing.T) {
	m := lmtest.Load(t, "da8w4")
	texts := goldenTexts(t)[:4]
	generate := func(prompt string) (text string, err error) {
		for tok, err := range m.Generate(context.Background(), prompt, lm.GenerateOptions{MaxTokens: 25}) {
			if err != nil {
				return "", err
			}
			text += tok.Text
		}
		return text, nil
	}
	alone, together := make([]string, len(texts)), make([]string, len(texts))
	for i, c := range texts {
		var err error
		if alone[i], err = generate(c.Prompt); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, len(texts)+1)
	for i, c := range texts {
		wg.Go(func() { together[i], errs[i] = generate(c.Prompt) })
	}
	wg.Go(func() { _, errs[len(texts)] = compare.Check(context.Background(), m) })
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		if alone[i] != together[i] || alone[i] == "" {
			t.Errorf("%q alone, %q beside others", alone[i], together[i])
		}
	}
}

// TestLost: a file that is truncated under a loaded model costs the call, not the process.
func TestLost(t *testing.T) {
	path, err := lmtest.Convert(lmtest.Checkpoint, "da8w4")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for threads := 1; threads <= 2; threads++ {
		copied := filepath.Join(t.TempDir(), "copy.qpt")
		if err := os.WriteFile(copied, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := lm.Load(copied, runtime.Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Append(t.Context(), []int32{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(copied, 4096); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Append(t.Context(), []int32{4}); !errors.Is(err, runtime.ErrLost) {
			t.Errorf("%d threads: error %v, want %v", threads, err, runtime.ErrLost)
		}
		m.Close()
	}
}

// TestNoTokenizer: a lmtest.Checkpoint without one takes token ids.
func TestNoTokenizer(t *testing.T) {
	m := lmtest.Open(t, filepath.Join(lmtest.Root, "testdata/llama-variants/linear-mha"), "da8w8", runtime.Options{})
	for _, err := range m.Generate(t.Context(), once, lm.GenerateOptions{}) {
		if !errors.Is(err, lm.ErrNoTokenizer) {
			t.Errorf("error %v, want %v", err, lm.ErrNoTokenizer)
		}
	}
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for tok, err := range s.Generate(t.Context(), []int32{1, 5}, lm.GenerateOptions{MaxTokens: 4, IgnoreEOS: true, Stop: []string{"x"}}) {
		if err != nil || tok.Text != "" {
			t.Fatal(tok, err)
		}
		n++
	}
	if n != 5 {
		t.Errorf("%d elements, want 4 tokens and the end", n)
	}
}

// TestLogitsHook: what the hook makes of the logits is what the sampler sees.
func TestLogitsHook(t *testing.T) {
	m := lmtest.Load(t, "f32")
	const only = 77
	n := 0
	for tok, err := range m.Generate(t.Context(), "Once", lm.GenerateOptions{MaxTokens: 3, IgnoreEOS: true, Logits: func(logits []float32, before []int32) error {
		if n++; len(logits) != m.Vocab() || len(before) < n {
			t.Errorf("%d logits after %d tokens", len(logits), len(before))
		}
		for i := range logits {
			if i != only {
				logits[i] = float32(math.Inf(-1))
			}
		}
		return nil
	}}) {
		if err != nil {
			t.Fatal(err)
		}
		if tok.Finish == "" && tok.ID != only {
			t.Errorf("token %d", tok.ID)
		}
	}
	stop := errors.New("enough")
	for _, err := range m.Generate(t.Context(), "Once", lm.GenerateOptions{Logits: func([]float32, []int32) error { return stop }}) {
		if !errors.Is(err, stop) {
			t.Errorf("error %v", err)
		}
	}
}
