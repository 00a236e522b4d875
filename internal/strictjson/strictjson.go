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

// Check returns an error that names the place unless data is exactly one JSON
// value, in valid UTF-8, in which no object holds a key twice.
func Check(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("json is not valid UTF-8")
	}
	var whole json.RawMessage // finds syntax errors and trailing data
	if err := json.Unmarshal(data, &whole); err != nil {
		if s := (*json.SyntaxError)(nil); errors.As(err, &s) {
			return fmt.Errorf("json, byte %d: %w", s.Offset, err)
		}
		return fmt.Errorf("json: %w", err)
	}
	w := walker{d: json.NewDecoder(bytes.NewReader(data))}
	w.d.UseNumber()
	return w.value()
}

// walker consumes a document whose syntax is good. Where it stands is spelled
// out for messages only: a hostile file may have megabytes of keys above
// millions of values.
type walker struct {
	d  *json.Decoder
	at []place
}

// place is one step of the way to a value: a key, or the index in an array.
type place struct {
	key   string
	index int // -1 for a key
}

func (w *walker) path() string {
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

// value consumes one value.
func (w *walker) value() error {
	open, err := w.d.Token()
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	object := open == json.Delim('{')
	if !object && open != json.Delim('[') {
		return nil
	}
	if len(w.at) >= MaxDepth {
		return fmt.Errorf("json: %s is nested deeper than %d", w.path(), MaxDepth)
	}
	depth := len(w.at)
	w.at = append(w.at, place{})
	var seen map[string]bool
	if object {
		seen = map[string]bool{}
	}
	for i := 0; w.d.More(); i++ {
		w.at[depth].index = i
		if object {
			t, err := w.d.Token()
			if err != nil {
				return fmt.Errorf("json: %w", err)
			}
			key := t.(string)
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
	w.at = w.at[:depth]
	_, err = w.d.Token() // the closing delimiter
	return err
}
