package constrain

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestChars: a class of characters has its own and no others, and is drawn small.
func TestChars(t *testing.T) {
	for text, is := range map[string]func(rune) bool{
		`\p{L}`:                unicode.IsLetter,
		`[^\p{Greek}\n]`:       func(r rune) bool { return !unicode.Is(unicode.Greek, r) && r != '\n' },
		`[\x{7f}-\x{10400}é-]`: func(r rune) bool { return r >= 0x7f && r <= 0x10400 || r == '-' },
	} {
		g, err := small.Compile(Spec{Regex: text})
		if err != nil {
			t.Fatal(err)
		}
		for r := rune(0); r <= utf8.MaxRune; r++ {
			if utf8.ValidRune(r) && g.Matches(string(r)) != is(r) {
				t.Errorf("%s: %U is taken: %v", text, r, !is(r))
				break
			}
		}
		if g.Matches("\xed\xa0\x80") || g.Matches("\xc3") || g.Matches("\xf5\x80\x80\x80") {
			t.Errorf("%s takes what is no UTF-8", text)
		}
		if len(g.nodes) > 320 {
			t.Errorf("%s: %d nodes", text, len(g.nodes))
		}
	}
}
