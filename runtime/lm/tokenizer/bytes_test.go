package tokenizer

import (
	"strings"
	"testing"
)

// The bytes of a text's tokens are the text that Decode makes of them, but for what it strips at the start.
func TestBytes(t *testing.T) {
	texts, list := readGoldens(t)
	checked := 0
	for _, g := range list {
		tok, err := Parse(with(t, readTokenizer(t, g.Base), g.Set), nil)
		if err != nil || !tok.ByBytes() {
			continue
		}
		for i, ids := range g.IDs {
			var b []byte
			for _, id := range ids {
				b = append(b, tok.Bytes(id)...)
			}
			got, want := validUTF8(string(b)), tok.Decode(ids, true)
			if strings.Contains(want, "\uFFFD") { // broken runs of bytes become more of them
				continue
			}
			checked++
			if start, ok := strings.CutSuffix(got, want); !ok || len(start) > 2 || strings.Trim(start, " ") != "" {
				t.Fatalf("%s %s, %.60q: bytes give %.60q, Decode %.60q", g.Base, g.Set["decoder"], texts[i], got, want)
			}
		}
	}
	if checked < 1000 {
		t.Errorf("only %d texts compared", checked)
	}
	tok, err := Parse(readTokenizer(t, "llama3"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b := tok.Bytes(-1); b != nil {
		t.Errorf("a token that is none has bytes %q", b)
	}
	for id, a := range tok.added {
		if a.Special && tok.Bytes(id) != nil {
			t.Errorf("special token %q has bytes", a.Content)
		}
	}
}
