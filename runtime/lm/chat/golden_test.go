package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What Jinja2 makes of the templates in testdata, with every conversation.
func TestGoldens(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var goldens []struct {
		Template string
		Results  []struct{ Text, Error *string }
	}
	if err := json.Unmarshal(read("goldens.json"), &goldens); err != nil {
		t.Fatal(err)
	}
	talks := strings.Split(strings.TrimSpace(string(read("conversations.jsonl"))), "\n")
	tokens := map[string]any{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
	for _, g := range goldens {
		template, err := New(string(read("templates/"+g.Template)), tokens)
		if err != nil {
			t.Errorf("%s: %v", g.Template, err)
			continue
		}
		for i, want := range g.Results {
			got, err := template.render([]byte(talks[i]), Options{})
			switch {
			case err != nil && want.Error == nil:
				t.Errorf("%s, conversation %d: %v", g.Template, i+1, err)
			case err == nil && want.Error != nil:
				t.Errorf("%s, conversation %d: %q, want the error %s", g.Template, i+1, got, *want.Error)
			case err == nil && got != *want.Text:
				t.Errorf("%s, conversation %d:\n%s\nwant\n%s", g.Template, i+1, got, *want.Text)
			}
		}
	}
	if len(goldens) < 10 {
		t.Errorf("%d templates", len(goldens))
	}
}
