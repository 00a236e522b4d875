package constrain

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object that knows the order of its keys.
type object struct {
	keys []string
	m    map[string]any
	path string // within the document, as a JSON pointer
}

func (o *object) get(key string) (any, bool) { v, ok := o.m[key]; return v, ok }

// maxDepth bounds the nesting of a schema's document.
const maxDepth = 128

// parse reads JSON: nil, bool, json.Number, string, []any, *object.
func parse(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := parseValue(d, "#", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err == nil {
		return nil, refuse("the schema goes on behind its end")
	}
	return v, nil
}

func parseValue(d *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, refuse("the schema is nested more than %d deep", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, refuse("the schema is no JSON: %w", err)
	}
	switch t {
	case json.Delim('{'):
		o := &object{m: map[string]any{}, path: path}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, refuse("the schema is no JSON: %w", err)
			}
			key := k.(string)
			if _, twice := o.m[key]; twice {
				return nil, refuse("%s has %.60q twice", path, key)
			}
			v, err := parseValue(d, path+"/"+pointerKey(key), depth+1)
			if err != nil {
				return nil, err
			}
			o.keys = append(o.keys, key)
			o.m[key] = v
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, path+"/"+strconv.Itoa(len(list)), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	if n, ok := t.(json.Number); ok && rational(n) == nil {
		return nil, refuse("%s: the number %.60s is out of all measure", path, n)
	}
	return t, nil
}

func pointerKey(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// write is a value as compact JSON.
func write(v any) string {
	switch v := v.(type) {
	case string:
		return quoted(v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = write(v[i])
		}
		return "[" + strings.Join(parts, ",") + "]"
	case *object:
		parts := make([]string, len(v.keys))
		for i, k := range v.keys {
			parts[i] = quoted(k) + ":" + write(v.m[k])
		}
		return "{" + strings.Join(parts, ",") + "}"
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return "null"
}

// identity is the same text for equal values: numbers by value, objects whatever their order.
func identity(v any) string {
	switch v := v.(type) {
	case json.Number:
		return rational(v).RatString()
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = identity(v[i])
		}
		return "[" + strings.Join(parts, ",") + "]"
	case *object:
		parts := make([]string, 0, len(v.keys))
		for _, k := range slices.Sorted(slices.Values(v.keys)) {
			parts = append(parts, quoted(k)+":"+identity(v.m[k]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return write(v)
}

// rational is the exact value of a number; nil if its exponent is out of all measure.
func rational(n json.Number) *big.Rat {
	if _, e, ok := strings.Cut(strings.ToLower(n.String()), "e"); ok && len(strings.TrimLeft(e, "+-0")) > 3 || len(n) > 400 {
		return nil
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		return nil
	}
	return r
}
