package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/internal/jinja"
)

// TestFamilies: templates in the manner of well-known families, with tools and with the switches that they know, against
// what transformers makes of them.
func TestFamilies(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	talks := strings.Split(strings.TrimSpace(string(read("conversations.jsonl"))+string(read("families.jsonl"))), "\n")
	var cases []struct {
		Template    string
		Talk        int
		Tools       bool
		Prompt      bool
		Vars        map[string]json.RawMessage
		Text, Error *string
	}
	if err := json.Unmarshal(read("families.json"), &cases); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("testdata", "families")
	if more := os.Getenv("QPT_TEMPLATES"); more != "" {
		data, err := os.ReadFile(filepath.Join(more, "cases.json"))
		if err != nil {
			t.Fatal(err)
		}
		if dir, cases = more, nil; json.Unmarshal(data, &cases) != nil {
			t.Fatal("cases.json is not what gen/families.py writes")
		}
	}
	families := map[string]bool{}
	for _, c := range cases {
		families[c.Template] = true
		vars := map[string]any{"bos_token": "<s>", "eos_token": "</s>"}
		if c.Vars == nil {
			c.Vars = map[string]json.RawMessage{}
		}
		if c.Tools {
			c.Vars["tools"] = read("tools.json")
		}
		for name, value := range c.Vars {
			var err error
			if vars[name], err = jinja.FromJSON(value); err != nil {
				t.Fatal(err)
			}
		}
		source, err := os.ReadFile(filepath.Join(dir, c.Template))
		if err != nil {
			t.Fatal(err)
		}
		template, err := New(string(source), vars)
		if err != nil {
			t.Errorf("%s: %v", c.Template, err)
			continue
		}
		got, err := template.render([]byte(talks[c.Talk]), Options{Prompt: c.Prompt})
		switch {
		case err != nil && c.Error == nil:
			t.Errorf("%s, conversation %d, %s: %v", c.Template, c.Talk+1, c.Vars, err)
		case err == nil && c.Error != nil:
			t.Errorf("%s, conversation %d, %s: %q, want the error %s", c.Template, c.Talk+1, c.Vars, got, *c.Error)
		case err == nil && got != *c.Text:
			t.Errorf("%s, conversation %d, %s:\n%s\nwant\n%s", c.Template, c.Talk+1, c.Vars, got, *c.Text)
		}
	}
	if len(families) < 10 || len(cases) < 150 {
		t.Errorf("%d cases of %d families", len(cases), len(families))
	}
}
