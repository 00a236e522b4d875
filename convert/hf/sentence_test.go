package hf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoPrompt: a prompt that sentence-transformers would put before each text is refused, and none is fine.
func TestNoPrompt(t *testing.T) {
	for text, want := range map[string]string{
		`{"prompts": {"query": "query: "}, "default_prompt_name": null}`:    "",
		`{"prompts": {"query": "query: "}, "default_prompt_name": "query"}`: `default_prompt_name`,
		`{`: "config_sentence_transformers.json",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config_sentence_transformers.json"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		err := noPrompt(dir)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
	if err := noPrompt(t.TempDir()); err != nil {
		t.Error(err)
	}
}
