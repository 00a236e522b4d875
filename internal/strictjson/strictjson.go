// Package strictjson rejects what encoding/json lets pass in silence:
// duplicate keys, invalid UTF-8, deep nesting. Call Check first, then decode
// with encoding/json.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting of arrays and objects that Check accepts, and Rules without a Depth.
const MaxDepth = 32

// ErrUnknownField is matched by errors about a key that the document's type has no place for.
var ErrUnknownField = errors.New("unknown field")

// maxPlainKey bounds the keys of documents with PlainKeys, in bytes.
const maxPlainKey = 64

// Rules are further demands on a document; the zero value has none.
type Rules struct {
	// PlainKeys: keys are 1 to 64 of a-z, 0-9 and _. Package json matches keys
	// without regard to case; this makes "Name" beside "name" an error, where
	// readers in other languages would see another value.
	PlainKeys bool
	// Fields, if not nil, is the type to decode into: the keys of its structs
	// are the names in their fields' json tags. It takes the place of
	// PlainKeys and of json.Decoder.DisallowUnknownFields, and says where.
	Fields reflect.Type
	// NoNull: null stands nowhere.
	NoNull bool
	// Lines: errors begin with "line N: ", for documents that people write.
	Lines bool
	Depth int // of arrays and objects in one another; 0: MaxDepth
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
	w := walker{all: data, b: data, rules: r}
	if !json.Valid(data) {
		var whole json.RawMessage // says where
		err := json.Unmarshal(data, &whole)
		if s := (*json.SyntaxError)(nil); errors.As(err, &s) {
			if w.b = data[s.Offset:]; r.Lines {
				return w.errorf("%w", err)
			}
			return fmt.Errorf("json, byte %d: %w", s.Offset, err)
		}
		return fmt.Errorf("json: %w", err)
	}
	return w.value(r.Fields)
}

// Line is the number of the line, from 1 on, in which data[:offset] ends.
func Line(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte("\n")) }

// walker goes through a document whose syntax is good. Where it stands is
// spelled out for messages only: a hostile file may have megabytes of keys
// above millions of values.
type walker struct {
	all, b []byte // the document, and what is left
	rules  Rules
	at     []place
	values int
}

// place is one step of the way to a value: a key, or the index in an array.
type place struct {
	key   string
	index int // -1 for a key
}

// errorf is an error about what stands before w.b.
func (w *walker) errorf(format string, args ...any) error {
	if w.rules.Lines {
		return fmt.Errorf("line %d: "+format, append([]any{Line(w.all, len(w.all)-len(w.b))}, args...)...)
	}
	return fmt.Errorf("json: "+format, args...)
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

// value goes behind one value, which is for a t; nil: for anything.
func (w *walker) value(t reflect.Type) error {
	if w.values++; w.rules.MaxValues > 0 && w.values > w.rules.MaxValues {
		return w.errorf("more than %d values", w.rules.MaxValues)
	}
	switch c := w.next(); c {
	case '{', '[':
		return w.list(c, t)
	case '"':
		w.str()
	case 'n':
		if w.rules.NoNull {
			return w.errorf("null in %s", w.path())
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
func (w *walker) list(open byte, t reflect.Type) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	most := w.rules.Depth
	if most == 0 {
		most = MaxDepth
	}
	if len(w.at) >= most {
		return w.errorf("%s is nested deeper than %d", w.path(), most)
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
		var elem reflect.Type
		if open == '[' && t != nil && t.Kind() == reflect.Slice {
			elem = t.Elem()
		}
		if open == '{' {
			key, err := w.key()
			if err != nil {
				return err
			}
			w.at[depth] = place{key, -1}
			if seen[key] {
				return w.errorf("key %q appears twice", w.path())
			}
			seen[key] = true
			if t != nil && t.Kind() == reflect.Struct {
				if elem = field(t, key); elem == nil {
					return w.errorf("%w %q", ErrUnknownField, w.path())
				}
			}
		}
		if err := w.value(elem); err != nil {
			return err
		}
	}
}

// field returns the type of the field with this name in its json tag, or nil.
func field(t reflect.Type, key string) reflect.Type {
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name == key && key != "" {
			return f.Type
		}
	}
	return nil
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
			return "", w.errorf("%w", err)
		}
	}
	if w.rules.PlainKeys && (len(key) > maxPlainKey || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "") {
		return "", w.errorf("%w %q", ErrUnknownField, clip(key))
	}
	return key, nil
}
