// Package strictjson rejects what encoding/json lets pass in silence:
// duplicate keys, invalid UTF-8, deep nesting. Call Check first, then decode
// with encoding/json.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting of arrays and objects that Check accepts.
const MaxDepth = 32

// maxPlainKey bounds the keys of documents with PlainKeys, in bytes.
const maxPlainKey = 64

// Rules are further demands on a document; the zero value has none.
type Rules struct {
	// PlainKeys: keys are 1 to 64 of a-z, 0-9 and _. Package json matches keys
	// without regard to case; this makes "Name" beside "name" an error, where
	// readers in other languages would see another value.
	PlainKeys bool
	// NoNull: null stands nowhere.
	NoNull bool
	// MaxValues bounds the values of the document, 0 is no bound. A few bytes
	// of text, fewer when compressed, can become a struct of some hundred.
	MaxValues int
}

// Check returns an error that names the place unless data is exactly one JSON
// value, in valid UTF-8, in which no object holds a key twice.
func Check(data []byte) error { return Rules{}.Check(data) }

// Check is Check with further rules. Besides the keys it allocates little.
func (r Rules) Check(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("json is not valid UTF-8")
	}
	w := walker{b: data, rules: r}
	if !json.Valid(data) {
		var whole json.RawMessage // says where
		err := json.Unmarshal(data, &whole)
		if s := (*json.SyntaxError)(nil); errors.As(err, &s) {
			return fmt.Errorf("json, byte %d: %w", s.Offset, err)
		}
		return fmt.Errorf("json: %w", err)
	}
	return w.value()
}

// walker goes through a document whose syntax is good. Where it stands is
// spelled out for messages only: a hostile file may have megabytes of keys
// above millions of values.
type walker struct {
	b      []byte // what is left
	rules  Rules
	at     []place
	values int
}

// place is one step of the way to a value: a key, or the index in an array.
type place struct {
	key   string
	index int // -1 for a key
}

func (w *walker) path() string {
	if len(w.at) == 0 {
		return "the document"
	}
	var b strings.Builder
	for i, p := range w.at {
		switch {
		case p.index >= 0:
			fmt.Fprintf(&b, "[%d]", p.index)
		case i > 0:
			b.WriteString("." + clip(p.key))
		default:
			b.WriteString(clip(p.key))
		}
	}
	return b.String()
}

// clip shortens a key.
func clip(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:60], ""), len(s))
	}
	return s
}

// next skips white space, commas and colons and returns the byte behind them.
func (w *walker) next() byte {
	w.b = bytes.TrimLeft(w.b, " \t\r\n,:")
	return w.b[0]
}

// value goes behind one value.
func (w *walker) value() error {
	if w.values++; w.rules.MaxValues > 0 && w.values > w.rules.MaxValues {
		return fmt.Errorf("json: more than %d values", w.rules.MaxValues)
	}
	switch c := w.next(); c {
	case '{', '[':
		return w.list(c)
	case '"':
		w.str()
	case 'n':
		if w.rules.NoNull {
			return fmt.Errorf("json: null in %s", w.path())
		}
		fallthrough
	default: // up to the end of the number or word
		n := bytes.IndexAny(w.b, " \t\r\n,:]}")
		if n < 0 {
			n = len(w.b)
		}
		w.b = w.b[n:]
	}
	return nil
}

// list goes behind an object or array.
func (w *walker) list(open byte) error {
	if len(w.at) >= MaxDepth {
		return fmt.Errorf("json: %s is nested deeper than %d", w.path(), MaxDepth)
	}
	depth := len(w.at)
	w.at = append(w.at, place{})
	w.b = w.b[1:]
	var seen map[string]bool
	if open == '{' {
		seen = map[string]bool{}
	}
	for i := 0; ; i++ {
		if c := w.next(); c == '}' || c == ']' {
			w.b = w.b[1:]
			w.at = w.at[:depth]
			return nil
		}
		w.at[depth].index = i
		if open == '{' {
			key, err := w.key()
			if err != nil {
				return err
			}
			w.at[depth] = place{key, -1}
			if seen[key] {
				return fmt.Errorf("json: key %q appears twice", w.path())
			}
			seen[key] = true
		}
		if err := w.value(); err != nil {
			return err
		}
	}
}

// str goes behind a string and returns it as written, with its quotes.
func (w *walker) str() []byte {
	for i := 1; ; i++ {
		switch w.b[i] {
		case '\\':
			i++
		case '"':
			s := w.b[:i+1]
			w.b = w.b[i+1:]
			return s
		}
	}
}

func (w *walker) key() (string, error) {
	quoted := w.str()
	key := string(quoted[1 : len(quoted)-1])
	if strings.ContainsRune(key, '\\') {
		if err := json.Unmarshal(quoted, &key); err != nil {
			return "", fmt.Errorf("json: %w", err)
		}
	}
	if w.rules.PlainKeys && (len(key) > maxPlainKey || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "") {
		return "", fmt.Errorf("json: unknown field %q", clip(key))
	}
	return key, nil
}
