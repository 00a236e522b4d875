package tokenizer

import "strings"

var (
	marks  = []string{" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m"}
	doNot  = []string{" do not", " don't"}
	shorts = []string{" 's", "'s", " 've", "'ve", " 're", "'re"}
)

// replaceEach makes one replacement after the other over all of s.
func replaceEach(s string, lists ...[]string) string {
	for _, pairs := range lists {
		for i := 0; i < len(pairs); i += 2 {
			s = strings.ReplaceAll(s, pairs[i], pairs[i+1])
		}
	}
	return s
}

// cleanup takes out of a token the spaces that English does not write, as the
// library does; cleanText out of a text, as transformers does.
func cleanup(s string) string   { return replaceEach(s, marks, doNot, shorts) }
func cleanText(s string) string { return replaceEach(s, marks, shorts) }

// whole changes the text as a whole, so that nothing goes out before its end.
type whole struct {
	next decoder
	text strings.Builder
	f    func(string) string
}

func (d *whole) token(s string) { d.text.WriteString(s) }

func (d *whole) end() {
	d.next.token(d.f(d.text.String()))
	d.text.Reset()
	d.next.end()
}

// suffixer is the decoder of BPE with a suffix for the end of a word, which
// becomes a space, but nothing in the last token.
type suffixer struct {
	next   decoder
	suffix string
	held   string
	some   bool
}

func (d *suffixer) token(s string) {
	if d.some {
		d.next.token(strings.ReplaceAll(d.held, d.suffix, " "))
	}
	d.held, d.some = s, true
}

func (d *suffixer) end() {
	if d.some {
		d.next.token(strings.ReplaceAll(d.held, d.suffix, ""))
	}
	d.held, d.some = "", false
	d.next.end()
}

// ctc is the decoder of speech: of equal neighbours one counts, padding is nothing.
type ctc struct {
	next decoder
	c    *component
	last string
	some bool
}

func (d *ctc) token(s string) {
	if d.some && s == d.last {
		return
	}
	d.last, d.some = s, true
	s = strings.ReplaceAll(s, d.c.PadToken, "")
	if d.c.Cleanup {
		s = strings.ReplaceAll(cleanup(s), d.c.WordEnd, " ")
	}
	if s != "" {
		d.next.token(s)
	}
}

func (d *ctc) end() { d.next.end() }
