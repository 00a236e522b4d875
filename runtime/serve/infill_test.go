package serve

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qpt/runtime"
	"qpt/runtime/lm/lmtest"
)

// infillServer serves the bundled model with tokens to fill in the middle, in place of four characters that its texts do not have.
func infillServer(t *testing.T, words ...string) *testServer {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "stories"+fmt.Sprint(len(words[0])))
	if err := os.CopyFS(dir, os.DirFS(lmtest.Checkpoint)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tokenizer.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tok map[string]any
	if err := json.Unmarshal(data, &tok); err != nil {
		t.Fatal(err)
	}
	vocab := tok["model"].(map[string]any)["vocab"].(map[string]any)
	for i, word := range words {
		old := []string{"™", "[", "]", "~"}[i]
		id := vocab[old]
		delete(vocab, old)
		vocab[word] = id
		tok["added_tokens"] = append(tok["added_tokens"].([]any), map[string]any{"id": id, "content": word, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
	}
	if data, err = json.Marshal(tok); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	m := lmtest.Open(t, dir, "da8w4", runtime.Options{Threads: 2})
	s, err := New([]Model{{Name: "fim", LM: m}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		ctx, cancel := contextFor(10 * time.Second)
		defer cancel()
		s.Close(ctx)
	})
	return &testServer{s, t, h.URL}
}

// TestInfill: a prompt and a suffix are what the family's tokens make of them, and its pad ends the answer.
func TestInfill(t *testing.T) {
	for _, c := range []struct {
		words []string
		form  string // of the text before and the text behind
	}{
		{[]string{"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>"}, "<fim_prefix>%[1]s<fim_suffix>%[2]s<fim_middle>"},
		{[]string{"[PREFIX]", "[SUFFIX]"}, "[SUFFIX]%[2]s[PREFIX]%[1]s"},
	} {
		s := infillServer(t, c.words...)
		const more = `,"max_tokens":12,"temperature":0,"ignore_eos":true}`
		got := s.ask("/v1/completions", `{"prompt":"Once upon a time","suffix":" was happy."`+more)
		want := s.ask("/v1/completions", fmt.Sprintf(`{"prompt":%q`, fmt.Sprintf(c.form, "Once upon a time", " was happy."))+more)
		other := s.ask("/v1/completions", `{"prompt":"Once upon a time"`+more)
		if got.str("choices.0.text") != want.str("choices.0.text") || got.num("usage.prompt_tokens") != want.num("usage.prompt_tokens") || got.num("usage.prompt_tokens") <= other.num("usage.prompt_tokens")+2 {
			t.Errorf("%v, want %v", got, want)
		}
		r := s.ask("/api/generate", `{"prompt":"Once upon a time","suffix":" was happy.","stream":false,"options":{"num_predict":12,"temperature":0}}`)
		if r.str("response") != got.str("choices.0.text") {
			t.Errorf("Ollama's: %q, want %q", r.str("response"), got.str("choices.0.text"))
		}
		if status, text := s.post("/api/show", `{"model":"fim"}`); status != 200 || !strings.Contains(text, `"insert"`) {
			t.Errorf("show: %d %s", status, text)
		}
		if len(c.words) < 4 {
			continue
		}
		id, _ := s.models[0].tok.ID("<fim_pad>")
		r = s.ask("/v1/completions", fmt.Sprintf(`{"prompt":"Once","suffix":"b","max_tokens":5,"logit_bias":{"%d":100}}`, id))
		if r.str("choices.0.finish_reason") != "stop" || r.str("choices.0.text") != "" {
			t.Errorf("the pad: %v", r)
		}
		if r = s.ask("/v1/completions", fmt.Sprintf(`{"prompt":"Once","max_tokens":5,"logit_bias":{"%d":100}}`, id)); r.str("choices.0.finish_reason") != "length" {
			t.Errorf("the pad where no suffix is: %v", r)
		}
	}
}
