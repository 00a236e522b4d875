package lm

import (
	"bytes"
	"slices"
	"strings"

	"qpt/runtime/lm/tokenizer"
)

// TextOptions of NewText.
type TextOptions struct {
	Stop    []string // the text ends before the first of these, special tokens (which no text shows) among them
	Include bool     // the text ends behind the stop string
	Special bool     // show special tokens
	Visible []string // special tokens that are shown though others are not
}

// Text turns tokens into text and holds back what may be the beginning of a stop string. Without a
// tokenizer all texts are empty.
type Text struct {
	opt    TextOptions
	stream *tokenizer.Stream
	hidden func(id int32) (string, bool) // the spelling of a token that the stream leaves out
	before string                        // text of the prompt that the stream still holds back: bytes of characters
	held   []byte
	show   []bool // of each byte of held: what is not shown is matched nevertheless
	met    string
	ended  bool
}

// NewText starts the text that follows the tokens before: it is no beginning, so its leading space counts.
func (m *Model) NewText(before []int32, opt TextOptions) *Text {
	t := &Text{opt: opt}
	if m.tok == nil {
		return t
	}
	t.stream, t.hidden = m.tok.NewStream(!opt.Special), m.tok.Skipped
	if opt.Special {
		t.hidden = func(int32) (string, bool) { return "", false }
	}
	given := 0
	for _, id := range before {
		given += len(t.stream.Next(id))
	}
	if whole := m.tok.Decode(before, !opt.Special); len(whole) > given && !strings.HasSuffix(whole, "\uFFFD") {
		t.before = whole[given:]
	}
	return t
}

// own leaves out what belongs to the prompt.
func (t *Text) own(s string) string {
	if s == "" || t.before == "" {
		return s
	}
	before := t.before
	t.before = ""
	if rest, ok := strings.CutPrefix(s, before); ok {
		return rest
	}
	return strings.TrimPrefix(s, strings.Repeat("\uFFFD", len(before))) // with what follows it is no text
}

// Next returns the text that is certain after id, and whether a stop string was met, which ends it.
func (t *Text) Next(id int32) (string, bool) {
	if t.stream == nil || t.ended {
		return "", t.ended
	}
	t.hold(t.own(t.stream.Next(id)), true)
	if word, ok := t.hidden(id); ok {
		t.hold(word, slices.Contains(t.opt.Visible, word))
	}
	return t.cut()
}

// Flush ends the text and returns what was held back.
func (t *Text) Flush() string {
	if t.stream == nil || t.ended {
		return ""
	}
	t.hold(t.own(t.stream.Flush()), true)
	out, stop := t.cut()
	if !stop {
		out += t.give(len(t.held))
	}
	t.ended = true
	return out
}

// Stopped is the stop string that was met, "" for none.
func (t *Text) Stopped() string { return t.met }

func (t *Text) hold(s string, shown bool) {
	t.held = append(t.held, s...)
	for range len(s) {
		t.show = append(t.show, shown)
	}
}

// give lets go of the first n bytes and returns those that are shown.
func (t *Text) give(n int) string {
	out := make([]byte, 0, n)
	for i, c := range t.held[:n] {
		if t.show[i] {
			out = append(out, c)
		}
	}
	t.held, t.show = t.held[n:], t.show[n:]
	return string(out)
}

// cut lets go of what no stop string can begin in, or of what comes before one.
func (t *Text) cut() (string, bool) {
	first := -1
	for _, s := range t.opt.Stop {
		if i := bytes.Index(t.held, []byte(s)); s != "" && i >= 0 && (first < 0 || i < first) {
			first, t.met = i, s
		}
	}
	if first >= 0 {
		if t.ended = true; t.opt.Include {
			first += len(t.met)
		}
		return t.give(first), true
	}
	keep := 0
	for _, s := range t.opt.Stop {
		for n := min(len(s)-1, len(t.held)); n > keep; n-- {
			if bytes.HasSuffix(t.held, []byte(s[:n])) {
				keep = n
			}
		}
	}
	return t.give(len(t.held) - keep), false
}
