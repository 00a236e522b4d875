package safetensors

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is the deepest nesting of JSON that skip follows.
const maxDepth = 32

// scanner reads JSON (RFC 8259) to the letter from text that is valid UTF-8.
// encoding/json would keep the last of two equal keys, match keys without
// regard to case, take null for anything and change bad strings in silence.
type scanner struct {
	b []byte
	i int // next byte
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("%w, byte %d: %s", ErrJSON, s.i, fmt.Sprintf(format, args...))
}

// peek skips space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) found() string {
	if s.peek(); s.i >= len(s.b) {
		return "the end"
	}
	r, _ := utf8.DecodeRune(s.b[s.i:])
	return fmt.Sprintf("%q", r)
}

// take consumes c, which must come next.
func (s *scanner) take(c byte) error {
	if s.peek() != c {
		return s.errorf("found %s, want %q", s.found(), c)
	}
	s.i++
	return nil
}

// end makes sure that nothing but space is left.
func (s *scanner) end() error {
	if s.peek(); s.i < len(s.b) {
		return s.errorf("found %s, want the end", s.found())
	}
	return nil
}

// object calls field for every key; field must consume the value.
func (s *scanner) object(field func(key string) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	return s.list('}', func() error {
		key, err := s.str()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("%w: %s", ErrDuplicateKey, clip(key))
		}
		seen[key] = true
		if err := s.take(':'); err != nil {
			return err
		}
		return field(key)
	})
}

// array calls elem for every element; elem must consume it.
func (s *scanner) array(elem func() error) error {
	if err := s.take('['); err != nil {
		return err
	}
	return s.list(']', elem)
}

// list reads what stands between the brackets, and the closing one.
func (s *scanner) list(closing byte, item func() error) error {
	if s.peek() == closing {
		s.i++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if s.peek() == closing {
			s.i++
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}

// str reads a string.
func (s *scanner) str() (string, error) {
	if err := s.take('"'); err != nil {
		return "", err
	}
	start := s.i
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return string(s.b[start : s.i-1]), nil
		case c == '\\':
			return s.escaped(append([]byte(nil), s.b[start:s.i]...))
		case c < ' ':
			return "", s.errorf("control character %#x in a string", c)
		}
	}
	return "", s.errorf("string without an end")
}

// escaped reads on behind head, a string's beginning, where the first escape stands.
func (s *scanner) escaped(head []byte) (string, error) {
	for s.i < len(s.b) {
		c := s.b[s.i]
		s.i++
		switch {
		case c == '"':
			return string(head), nil
		case c < ' ':
			return "", s.errorf("control character %#x in a string", c)
		case c != '\\':
			head = append(head, c)
			continue
		}
		if s.i >= len(s.b) {
			break
		}
		c = s.b[s.i]
		s.i++
		switch c {
		case '"', '\\', '/':
			head = append(head, c)
		case 'b':
			head = append(head, '\b')
		case 'f':
			head = append(head, '\f')
		case 'n':
			head = append(head, '\n')
		case 'r':
			head = append(head, '\r')
		case 't':
			head = append(head, '\t')
		case 'u':
			r, err := s.hex4()
			if err == nil && utf16.IsSurrogate(r) {
				var low rune
				if s.i+2 <= len(s.b) && string(s.b[s.i:s.i+2]) == `\u` {
					s.i += 2
					low, err = s.hex4()
				}
				if r = utf16.DecodeRune(r, low); err == nil && r == utf8.RuneError {
					err = s.errorf("half a surrogate pair in a string")
				}
			}
			if err != nil {
				return "", err
			}
			head = utf8.AppendRune(head, r)
		default:
			return "", s.errorf("unknown escape %q in a string", c)
		}
	}
	return "", s.errorf("string without an end")
}

func (s *scanner) hex4() (rune, error) {
	if s.i+4 <= len(s.b) {
		if n, err := strconv.ParseUint(string(s.b[s.i:s.i+4]), 16, 16); err == nil {
			s.i += 4
			return rune(n), nil
		}
	}
	return 0, s.errorf("\\u needs four hexadecimal digits")
}

// number reads a number and returns it as it is written.
func (s *scanner) number() (string, error) {
	s.peek()
	start := s.i
	next := func(set string) bool {
		for i := range len(set) {
			if s.i < len(s.b) && s.b[s.i] == set[i] {
				s.i++
				return true
			}
		}
		return false
	}
	digits := func() bool {
		first := s.i
		for next("0123456789") {
		}
		return s.i > first
	}
	next("-")
	ok := next("0") || digits()
	if next(".") {
		ok = digits() && ok
	}
	if next("eE") {
		next("+-")
		ok = digits() && ok
	}
	if !ok {
		return "", s.errorf("found %s, want a number", s.found())
	}
	return string(s.b[start:s.i]), nil
}

// int reads a whole number from 0 to the largest int.
func (s *scanner) int() (int, error) {
	lit, err := s.number()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(lit, 10, strconv.IntSize-1)
	if err != nil {
		return 0, s.errorf("found %s, want a whole number from 0 to 1<<%d-1", clip(lit), strconv.IntSize-1)
	}
	return int(n), nil
}

// skip reads a value of any kind.
func (s *scanner) skip(depth int) error {
	if depth >= maxDepth {
		return s.errorf("nested deeper than %d", maxDepth)
	}
	switch c := s.peek(); c {
	case '{':
		return s.object(func(string) error { return s.skip(depth + 1) })
	case '[':
		return s.array(func() error { return s.skip(depth + 1) })
	case '"':
		_, err := s.str()
		return err
	case 't', 'f', 'n':
		for _, word := range []string{"true", "false", "null"} {
			if len(s.b)-s.i >= len(word) && string(s.b[s.i:s.i+len(word)]) == word {
				s.i += len(word)
				return nil
			}
		}
	}
	_, err := s.number()
	return err
}

// note adds key to a list of things to warn of, the first few.
func note(list []string, key string) []string {
	if key = clip(key); len(list) >= 8 || slices.Contains(list, key) {
		return list
	}
	return append(list, key)
}

// appendString appends s, valid UTF-8, as a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
