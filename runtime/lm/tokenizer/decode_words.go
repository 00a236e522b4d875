package tokenizer

import "strings"

// cleanup takes out the spaces that English does not write, one rule after the
// other, as the library does.
func cleanup(s string) string {
	for _, r := range [][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
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
