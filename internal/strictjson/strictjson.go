// Package strictjson rejects what encoding/json lets pass in silence:
// duplicate keys, invalid UTF-8, deep nesting. Call Check first, then decode
// with encoding/json.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return walk(d, "", 0)
}

// walk consumes one value, found at path, of a document whose syntax is good.
func walk(d *json.Decoder, path string, depth int) error {
	open, err := d.Token()
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	object := open == json.Delim('{')
	if !object && open != json.Delim('[') {
		return nil
	}
	if depth++; depth > MaxDepth {
		return fmt.Errorf("json: %s is nested deeper than %d", path, MaxDepth)
	}
	seen := map[string]bool{}
	for i := 0; d.More(); i++ {
		at := fmt.Sprintf("%s[%d]", path, i)
		if object {
			t, err := d.Token()
			if err != nil {
				return fmt.Errorf("json: %w", err)
			}
			key := t.(string)
			if at = key; path != "" {
				at = path + "." + key
			}
			if seen[key] {
				return fmt.Errorf("json: key %q appears twice", at)
			}
			seen[key] = true
		}
		if err := walk(d, at, depth); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing delimiter
	return err
}
