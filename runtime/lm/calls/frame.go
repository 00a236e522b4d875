package calls

import (
	"encoding/json"
	"slices"
	"strings"
)

// scanner reads calls in a frame as they come.
type scanner struct {
	frame *Frame
	tools []Tool
	at    stage
	held  string
	name  string
	last  bool // nothing more comes
	calls int  // that have begun

	depth   int // of the arguments' braces and brackets
	quoted  bool
	escaped bool
}

// stage is what a scanner waits for.
type stage int

const (
	atBegin stage = iota
	atHead
	atName
	atArguments
	within // the arguments
	atTail
	between // calls, or at their end
	whole
	broken // what came is none of the frame's
)

const blanks = " \t\r\n"

// next takes more text. When the calls are whole or broken, what was not read stays in held.
func (s *scanner) next(text string) (out []Piece) {
	s.held += text
	for {
		was := s.at
		switch s.at {
		case atBegin:
			s.expect(s.frame.Begin, atHead)
		case atHead:
			s.expect(s.frame.Head, atName)
		case atName:
			s.held = strings.TrimLeft(s.held, blanks)
			n := strings.IndexAny(s.held, blanks+"`\"<>[]{}(),:=")
			if n < 0 && s.last {
				n = len(s.held)
			}
			if n > 0 {
				s.name = s.held[:n]
				s.expectAt(n, s.frame.Middle, atArguments)
			} else if n == 0 && s.held != "" {
				s.at = broken
			}
		case atArguments:
			s.held = strings.TrimLeft(s.held, blanks)
			switch {
			case s.frame.Pairs != nil:
				out = append(out, s.pairs()...)
			case s.held == "":
			case s.held[0] == '{':
				s.at, s.depth = within, 0
				s.calls++
				out = append(out, Piece{Call: &Call{Name: s.name}})
			default:
				s.at = broken
			}
		case within:
			if n := s.object(); n > 0 {
				out = append(out, Piece{Arguments: s.held[:n]})
				s.held = s.held[n:]
			}
		case atTail:
			s.expect(s.frame.Tail, between)
		case between:
			f := s.frame
			if s.expect(f.End, whole); f.Many && (s.at == broken || f.End == "") {
				if s.at = between; s.expect(f.Sep+f.Head, atName) == broken && f.End == "" {
					s.at = whole
				}
			}
		}
		if s.at == was || s.at >= whole {
			return out
		}
	}
}

// expect goes over a text of the frame, to the stage behind it, if it is there, whole; if not it may come yet.
func (s *scanner) expect(word string, then stage) stage { return s.expectAt(0, word, then) }

// expectAt is expect behind n bytes, which are gone over with the text.
func (s *scanner) expectAt(n int, word string, then stage) stage {
	rest := s.held[n:]
	for i := range len(word) {
		if strings.IndexByte(blanks, word[i]) >= 0 {
			continue
		}
		rest = strings.TrimLeft(rest, blanks)
		behind := strings.TrimPrefix(rest, word[i:i+1])
		if word[i] == Number[0] {
			if behind = strings.TrimLeft(rest, "0123456789"); behind == "" {
				return s.at
			}
		}
		switch {
		case rest == "":
			return s.at
		case behind == rest:
			s.at = broken
			return broken
		}
		rest = behind
	}
	s.held, s.at = rest, then
	return then
}

// object goes over what is held of a JSON object, and returns how much of it there is.
func (s *scanner) object() int {
	for i := range len(s.held) {
		switch c := s.held[i]; {
		case s.escaped:
			s.escaped = false
		case c == '\\':
			s.escaped = s.quoted
		case c == '"':
			s.quoted = !s.quoted
		case s.quoted:
		case c == '{', c == '[':
			s.depth++
		case c == '}', c == ']':
			if s.depth--; s.depth == 0 {
				s.at = atTail
				return i + 1
			}
		}
	}
	return len(s.held)
}

// pairs reads the arguments up to the tail, when they are there.
func (s *scanner) pairs() []Piece {
	p := s.frame.Pairs
	var text func(string) bool
	if i := slices.IndexFunc(s.tools, func(t Tool) bool { return t.Name == s.name }); i >= 0 {
		text = s.tools[i].Text
	}
	var args pairs
	rest := s.held
	for {
		rest = strings.TrimLeft(rest, blanks)
		after, more := strings.CutPrefix(rest, p.Key)
		if !more {
			if strings.HasPrefix(p.Key, rest) && !s.last {
				return nil
			}
			break
		}
		key, after, ok1 := strings.Cut(after, strings.TrimSpace(p.KeyEnd))
		_, after, ok2 := strings.Cut(after, strings.TrimSpace(p.Value))
		value, after, ok3 := strings.Cut(after, strings.TrimSpace(p.ValueEnd))
		if !ok1 || !ok2 || !ok3 {
			return nil
		}
		key = strings.TrimSpace(key)
		args.add(key, strings.TrimSuffix(strings.TrimPrefix(value, "\n"), "\n"), text != nil && text(key))
		rest = after
	}
	if tail := strings.TrimSpace(s.frame.Tail); len(rest) < len(tail) && strings.HasPrefix(tail, rest) {
		return nil // it may be a key yet
	}
	s.held, s.at = rest, atTail
	s.calls++
	return []Piece{{Call: &Call{s.name, args.String()}}}
}

// read takes the body of calls apart, which is whole.
func (f *Frame) read(body string, tools []Tool) (list []Call, ok bool) {
	s := &scanner{frame: f, tools: tools, last: true}
	for _, p := range Join(s.next(body)) {
		if p.Call == nil || !json.Valid([]byte(p.Call.Arguments)) {
			return nil, false
		}
		list = append(list, *p.Call)
	}
	done := s.at == whole || s.at == between && s.frame.End == ""
	return list, done && strings.TrimSpace(s.held) == ""
}
