package serve

import "strings"

// piece is a part of an answer: exactly one field is set.
type piece struct {
	text      string
	reasoning string
	call      *madeCall
}

// madeCall is a call that the model makes, whole.
type madeCall struct {
	name      string
	arguments string // JSON
}

// splitter takes an answer apart as it comes.
type splitter interface {
	next(text string) []piece
	end() []piece // what was held back
}

// plain is the splitter of answers that are nothing but text.
type plain struct{}

func (plain) next(text string) []piece {
	if text == "" {
		return nil
	}
	return []piece{{text: text}}
}

func (plain) end() []piece { return nil }

// Reasoning stands between these.
const (
	thinkOpen  = "<think>"
	thinkClose = "</think>"
)

// reasoner parts reasoning from what follows, which the next splitter takes.
type reasoner struct {
	inside bool
	began  bool // something was said: a later <think> is text
	trim   bool // leave out line ends: they follow the reasoning
	held   string
	then   splitter
}

func (r *reasoner) next(text string) (out []piece) {
	text, r.held = r.held+text, ""
	if !r.inside && !r.began {
		if trimmed := strings.TrimLeft(text, " \n"); strings.HasPrefix(trimmed, thinkOpen) {
			r.inside, text = true, trimmed[len(thinkOpen):]
		} else if strings.HasPrefix(thinkOpen, trimmed) {
			r.held = text
			return nil
		}
	}
	r.began = true
	if r.inside {
		before, after, found := strings.Cut(text, thinkClose)
		if !found {
			n := len(text) - partial(text, thinkClose)
			text, r.held = text[:n], text[n:]
			return reason(text)
		}
		r.inside, r.trim = false, true
		out, text = reason(before), after
	}
	if r.trim {
		text = strings.TrimLeft(text, "\n")
		r.trim = text == ""
	}
	return append(out, r.then.next(text)...)
}

func reason(text string) []piece {
	if text == "" {
		return nil
	}
	return []piece{{reasoning: text}}
}

func (r *reasoner) end() []piece {
	if r.inside {
		return reason(r.held)
	}
	return append(r.then.next(r.held), r.then.end()...)
}

// partial is the length of the longest end of text that word begins with.
func partial(text, word string) int {
	for n := min(len(word)-1, len(text)); n > 0; n-- {
		if strings.HasSuffix(text, word[:n]) {
			return n
		}
	}
	return 0
}
