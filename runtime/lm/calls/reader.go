package calls

import "strings"

// Reader takes one answer apart.
type Reader struct{ segmenter }

// segmenter is what does it.
type segmenter interface {
	Next(text string) []Piece // what is certain after some more text
	End() []Piece             // what was held back
}

// Options say how an answer is written; the zero value is text only.
type Options struct {
	Format    *Format // of calls; nil: there are none
	Reasoning *Reasoning
	Inside    bool   // the prompt ended within reasoning, as some templates do
	Tools     []Tool // those that may be called
	Sure      bool   // a constraint keeps the answer in its form: calls need not be whole to be believed
}

// Special are the special tokens that the reader has to see in the text.
func (o *Options) Special() (list []string) {
	if o.Format != nil {
		list = append(list, o.Format.Special...)
	}
	if o.Reasoning != nil {
		list = append(list, o.Reasoning.Special...)
	}
	return list
}

// NewReader begins an answer.
func NewReader(o Options) *Reader {
	f, r := o.Format, o.Reasoning
	if f != nil && f.channels || r != nil && r.channels && !o.Sure {
		return &Reader{&channels{sure: o.Sure}}
	}
	if f == nil {
		f = &Format{}
	}
	var s segmenter = &marked{Format: f, tools: o.Tools, sure: o.Sure && f.Frame != nil}
	if r != nil && r.Close != "" {
		s = &reasoning{Reasoning: r, inside: o.Inside || r.Inside, then: s}
	}
	return &Reader{s}
}

// Read takes a whole answer apart; pieces that belong together are one.
func Read(o Options, answer string) (list []Piece) {
	r := NewReader(o)
	return Join(append(r.Next(answer), r.End()...))
}

// Join makes one of neighbours of a kind, and calls whole.
func Join(pieces []Piece) (list []Piece) {
	for _, p := range pieces {
		last := len(list) - 1
		switch {
		case last >= 0 && p.Arguments != "" && list[last].Arguments != "":
			list[last].Arguments += p.Arguments
		case last >= 0 && p.Arguments != "" && list[last].Call != nil:
			list[last].Call = &Call{list[last].Call.Name, list[last].Call.Arguments + p.Arguments}
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
	*Reasoning
	inside bool
	begun  bool // whether the answer begins with a mark has been seen
	trim   bool // line ends stand between the two
	held   string
	then   segmenter
}

func (r *reasoning) Next(text string) (out []Piece) {
	text, r.held = r.held+text, ""
	if !r.begun && r.Open != "" { // inside, too: some open it though the prompt did
		begin := strings.TrimLeft(text, " \n")
		switch {
		case strings.HasPrefix(begin, r.Open):
			r.inside, r.begun, text = true, true, begin[len(r.Open):]
		case strings.HasPrefix(r.Open, begin):
			r.held = text
			return nil
		default:
			r.begun = true
		}
	}
	if r.inside {
		before, after, found := strings.Cut(text, r.Close)
		if !found {
			n := len(text) - partial(text, r.Close)
			r.held = text[n:]
			return reason(text[:n])
		}
		out = reason(before)
		r.inside, r.begun, r.trim, text = false, true, true, after
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
	*Format
	tools []Tool
	sure  bool
	open  string   // the mark that is open; "": none
	scan  *scanner // of calls that are sure, when one is open
	fed   string   // to it before the first
	bare  bool     // the answer is a call without a mark
	began bool     // text was seen
	trim  bool     // leave out line ends: they stand between calls
	held  string
}

func (m *marked) Next(text string) (out []Piece) {
	m.held += text
	for {
		if m.open != "" || m.bare {
			list, closed := m.within()
			if out = append(out, list...); !closed {
				return out
			}
			continue
		}
		if m.trim {
			m.held = strings.TrimLeft(m.held, blanks)
			m.trim = m.held == ""
		}
		if !m.began {
			is, wait := m.isBare()
			if m.bare = is; is {
				continue
			} else if wait {
				return out
			}
		}
		at, open := len(m.held), ""
		for _, o := range m.Open { // the first that occurs
			if i := strings.Index(m.held, o); i >= 0 && i < at {
				at, open = i, o
			}
		}
		if open == "" {
			for _, o := range m.Open {
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

// within reads calls that have begun, and tells whether they are closed.
func (m *marked) within() (out []Piece, closed bool) {
	if m.sure {
		return m.surely()
	}
	if m.Close == "" {
		return nil, false
	}
	body, rest, found := strings.Cut(m.held, m.Close)
	if !found {
		return nil, false
	}
	out = m.calls(body, m.open+body+m.Close)
	m.open, m.bare, m.began, m.trim, m.held = "", false, true, out[0].Call != nil, rest
	return out, true
}

// surely reads calls that a constraint keeps in the frame.
func (m *marked) surely() (out []Piece, closed bool) {
	if m.scan == nil {
		m.scan = &scanner{frame: m.Frame, tools: m.tools}
	}
	s := m.scan
	if s.at <= atArguments {
		m.fed += m.held
	}
	s.held, m.held = s.held+m.held, ""
	if s.at < whole {
		out = s.next("")
	}
	switch {
	case s.at < whole:
		return out, false
	case s.at == broken && s.calls == 0: // it only looked like one
		m.sure, m.held, m.scan = false, m.fed, nil
		return m.within()
	}
	if s.at == whole && m.Close != "" && !m.bare { // they are closed by the mark, if it is there
		rest := strings.TrimLeft(s.held, blanks)
		if len(rest) < len(m.Close) && strings.HasPrefix(m.Close, rest) {
			return out, false
		}
		s.held = strings.TrimPrefix(rest, m.Close)
	}
	m.held, m.scan, m.fed, m.open, m.bare, m.began, m.trim = s.held, nil, "", "", false, true, true
	return out, true
}

// isBare tells whether the answer begins like a call without marks, or may still.
func (m *marked) isBare() (is, wait bool) {
	begin := strings.TrimLeft(m.held, " \n")
	for _, b := range m.Bare {
		is = is || strings.HasPrefix(begin, b)
		wait = wait || strings.HasPrefix(b, begin)
	}
	return is, wait
}

func (m *marked) End() []Piece {
	switch {
	case m.scan != nil:
		s := m.scan
		s.last = true
		out := s.next("")
		switch {
		case s.calls == 0:
			return m.calls(m.fed, m.open+m.fed)
		case s.at == broken:
			out = append(out, plain(s.held)...)
		}
		return out
	case m.bare:
		return m.calls(m.held, m.held)
	case m.open != "":
		return m.calls(m.held, m.open+m.held)
	}
	return plain(m.held)
}

// calls are those of a body; text is what it was, should it be none.
func (m *marked) calls(body, text string) (out []Piece) {
	m.held = ""
	body = strings.TrimSpace(body)
	var list []Call
	ok := false
	if m.parse != nil {
		list, ok = m.parse(body)
	} else {
		list, ok = m.Frame.read(body, m.tools)
	}
	if !ok || len(list) == 0 {
		return plain(text)
	}
	for i := range list {
		out = append(out, Piece{Call: &list[i]})
	}
	return out
}
