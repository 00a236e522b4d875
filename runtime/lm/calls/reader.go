package calls

import "strings"

// Reader takes one answer apart.
type Reader struct{ segmenter }

// segmenter is what does it.
type segmenter interface {
	Next(text string) []Piece // what is certain after some more text
	End() []Piece             // what was held back
}

// NewReader reads an answer in a format; nil: reasoning and text only. inside: the prompt ended within reasoning, as some
// templates do.
func NewReader(f *Format, inside bool) *Reader {
	if f == nil {
		f = &Format{}
	}
	if f.custom != nil {
		return &Reader{f.custom()}
	}
	think := f.think
	if think[0] == "" {
		think = [2]string{"<think>", "</think>"}
	}
	return &Reader{&reasoning{open: think[0], close: think[1], inside: inside, then: &marked{format: f}}}
}

// Read takes a whole answer apart; pieces of one kind that touch are one.
func Read(f *Format, inside bool, answer string) (list []Piece) {
	r := NewReader(f, inside)
	return Join(append(r.Next(answer), r.End()...))
}

// Join makes one of neighbours of a kind.
func Join(pieces []Piece) (list []Piece) {
	for _, p := range pieces {
		last := len(list) - 1
		switch {
		case last >= 0 && p.Call == nil && p.Text != "" && list[last].Text != "":
			list[last].Text += p.Text
		case last >= 0 && p.Call == nil && p.Reasoning != "" && list[last].Reasoning != "":
			list[last].Reasoning += p.Reasoning
		default:
			list = append(list, p)
		}
	}
	return list
}

// reasoning parts what a model thinks from what follows. It is at the beginning of an answer.
type reasoning struct {
	open, close string
	inside      bool
	done        bool // what follows is no reasoning any more
	trim        bool // line ends stand between the two
	held        string
	then        segmenter
}

func (r *reasoning) Next(text string) (out []Piece) {
	text, r.held = r.held+text, ""
	if !r.inside && !r.done {
		begin := strings.TrimLeft(text, " \n")
		switch {
		case strings.HasPrefix(begin, r.open):
			r.inside, text = true, begin[len(r.open):]
		case strings.HasPrefix(r.open, begin):
			r.held = text
			return nil
		default:
			r.done = true
		}
	}
	if r.inside {
		before, after, found := strings.Cut(text, r.close)
		if !found {
			n := len(text) - partial(text, r.close)
			r.held = text[n:]
			return reason(text[:n])
		}
		out = reason(before)
		r.inside, r.done, r.trim, text = false, true, true, after
	}
	if r.trim {
		text = strings.TrimLeft(text, "\n")
		r.trim = text == ""
	}
	return append(out, r.then.Next(text)...)
}

func (r *reasoning) End() []Piece {
	if r.inside {
		return reason(r.held)
	}
	return append(r.then.Next(r.held), r.then.End()...)
}

func reason(text string) []Piece {
	if text == "" {
		return nil
	}
	return []Piece{{Reasoning: text}}
}

func plain(text string) []Piece {
	if text == "" {
		return nil
	}
	return []Piece{{Text: text}}
}

// partial is the length of the longest end of text with which word begins.
func partial(text, word string) int {
	for n := min(len(word)-1, len(text)); n > 0; n-- {
		if strings.HasSuffix(text, word[:n]) {
			return n
		}
	}
	return 0
}

// marked finds calls between marks.
type marked struct {
	format *Format
	open   string // the mark that is open; "": none
	bare   bool   // the answer is a call without a mark
	began  bool   // text was seen
	trim   bool   // leave out line ends: they stand between calls
	held   string
}

func (m *marked) Next(text string) (out []Piece) {
	m.held += text
	for {
		switch {
		case m.bare, m.open != "" && m.format.Close == "":
			return out
		case m.open != "":
			body, rest, whole := strings.Cut(m.held, m.format.Close)
			if !whole {
				return out
			}
			found := m.calls(body, m.open+body+m.format.Close)
			out = append(out, found...)
			m.open, m.trim, m.held = "", found[0].Call != nil, rest
			continue
		}
		if m.trim {
			m.held = strings.TrimLeft(m.held, " \n")
			m.trim = m.held == ""
		}
		if !m.began {
			switch bare, wait := m.isBare(); {
			case bare:
				m.bare = true
				return out
			case wait:
				return out
			}
		}
		at, open := len(m.held), ""
		for _, o := range m.format.Open { // the first that occurs
			if i := strings.Index(m.held, o); i >= 0 && i < at {
				at, open = i, o
			}
		}
		if open == "" {
			for _, o := range m.format.Open {
				at = min(at, len(m.held)-partial(m.held, o))
			}
		}
		before := m.held[:at]
		m.held = m.held[at+len(open):]
		m.open = open
		m.began = m.began || before != "" || open != ""
		out = append(out, plain(before)...)
		if open == "" {
			return out
		}
	}
}

// isBare tells whether the answer begins like a call without marks, or may still.
func (m *marked) isBare() (is, wait bool) {
	begin := strings.TrimLeft(m.held, " \n")
	for _, b := range m.format.Bare {
		is = is || strings.HasPrefix(begin, b)
		wait = wait || strings.HasPrefix(b, begin)
	}
	return is, wait
}

func (m *marked) End() []Piece {
	switch {
	case m.bare:
		return m.calls(m.held, m.held)
	case m.open != "":
		return m.calls(m.held, m.open+m.held)
	}
	return plain(m.held)
}

// calls are those of a body; whole is the text that it was, should it be none.
func (m *marked) calls(body, whole string) (out []Piece) {
	m.held = ""
	list, ok := m.format.parse(strings.TrimSpace(body))
	if !ok || len(list) == 0 {
		return plain(whole)
	}
	for i := range list {
		out = append(out, Piece{Call: &list[i]})
	}
	return out
}
