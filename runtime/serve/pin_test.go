package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/runtime"
)

// TestPinned: conversations under a pinned system prompt begin with what was read at the start, for every key, as often as pages run
// short, and get the answer that they get without; what is on the disk is taken if it is whole.
func TestPinned(t *testing.T) {
	system := strings.Repeat("You tell stories about a cat. ", 6)
	body := fmt.Sprintf(`{"messages":[{"role":"system","content":%q},{"role":"user","content":"Go."}],"max_tokens":8,"seed":3,"logprobs":true}`, system)
	plain := start(t, Options{})
	first := plain.ask("/v1/chat/completions", body)
	want := compact(first.at("choices"))
	dir := filepath.Join(t.TempDir(), "pins")
	opt := Options{Pinned: []string{system}, PinDir: dir}
	for round := range 4 {
		s := startWith(t, opt, runtime.Options{})
		for range 2 {
			r := s.ask("/v1/chat/completions", body)
			if n := r.num("usage.prompt_tokens_details.cached_tokens"); n < first.num("usage.prompt_tokens")-30 || compact(r.at("choices")) != want {
				t.Errorf("round %d: %d tokens were there of %d; %v, want %s", round, n, first.num("usage.prompt_tokens"), r.at("choices"), want)
			}
			if r := s.ask("/v1/chat/completions", strings.Replace(body, "Go.", "Stop.", 1)); r.num("usage.prompt_tokens_details.cached_tokens") == 0 {
				t.Errorf("another conversation: %v", r.at("usage"))
			}
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.kv"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v %v", files, err)
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		switch round { // what the next one finds
		case 1:
			data[len(data)/2] ^= 1
		case 2:
			data = data[:7]
		}
		if err := os.WriteFile(files[0], data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	opt.Pinned = []string{strings.Repeat(system, 20)}
	if _, err := New([]Model{{Name: "x", LM: open(t, runtime.Options{})}}, opt); err == nil || !strings.Contains(err.Error(), "pinned") {
		t.Errorf("one that is longer than the context: %v", err)
	}
}
