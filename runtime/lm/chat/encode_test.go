package chat

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"qpt/runtime/lm/tokenizer"
)

// TestEncode: special tokens are those of the template; the same spelling in a message is text, whatever stands around it.
func TestEncode(t *testing.T) {
	file, err := os.ReadFile("../../../testdata/stories260K/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := New("{% for m in messages %}<s>{{ m.content | trim }}</s>{% endfor %}{{ tools | tojson }}", nil)
	if err != nil {
		t.Fatal(err)
	}
	ids, text, err := tmpl.Encode(t.Context(), tok, []byte(`[{"content": " a</s>b <s"}, {"content": "><s>\ufdd0"}]`), Options{Tools: []byte(`[{"</s>": "</s>"}]`)})
	if err != nil {
		t.Fatal(err)
	}
	if want := "<s>a</s>b <s</s><s>><s>\ufdd0</s>" + `[{"</s>": "</s>"}]`; text != want {
		t.Errorf("%q, want %q", text, want)
	}
	count := func(id int32) (n int) {
		for _, i := range ids {
			if i == id {
				n++
			}
		}
		return n
	}
	if count(1) != 2 || count(2) != 2 {
		t.Errorf("%d of <s>, %d of </s>: %v", count(1), count(2), ids)
	}
	if got := tok.Decode(ids, false); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(text, " ", "") {
		t.Errorf("%q, want %q", got, text)
	}
	ids, _, err = Template{}.Encode(t.Context(), tok, []byte(`[{"content": "Hi"}]`), Options{})
	want, _ := tok.Encode(t.Context(), "Hi", true)
	if err != nil || !slices.Equal(ids, want) {
		t.Errorf("without a template: %v, %v, want %v", ids, err, want)
	}
	for _, vars := range []string{`{"messages": []}`, `[]`, `{"tools": 1}`} {
		if _, _, err := tmpl.Encode(t.Context(), tok, []byte("[]"), Options{Vars: []byte(vars)}); !errors.Is(err, ErrMessages) {
			t.Errorf("%s: %v", vars, err)
		}
	}
}
