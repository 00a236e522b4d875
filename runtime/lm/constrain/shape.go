package constrain

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strconv"
)

// kind is a set of JSON types.
type kind uint8

const (
	typeNull kind = 1 << iota
	typeBoolean
	typeInteger
	typeNumber // that are no integers, in a set
	typeString
	typeArray
	typeObject
	types
)

var typeNames = map[string]kind{
	"null": typeNull, "boolean": typeBoolean, "integer": typeInteger, "number": typeInteger | typeNumber,
	"string": typeString, "array": typeArray, "object": typeObject,
}

// shape is what the keywords of several objects ask together.
type shape struct {
	s     *schema
	nodes []*object

	types                kind
	enum                 []any // nil: no enum or const
	num                  interval
	minLength, maxLength int // -1: no bound, as with the others
	patterns             []*dfa
	minItems, maxItems   int
	minProps, maxProps   int
}

// shape reads the keywords of some objects; $ref, allOf, anyOf and oneOf are expand's.
func (s *schema) shape(nodes []*object) *shape {
	all := make([]any, len(nodes))
	for i := range nodes {
		all[i] = nodes[i]
	}
	key := s.key(all)
	if f := s.shapes[key]; f != nil {
		return f
	}
	f := &shape{s: s, nodes: nodes, types: types - 1, maxLength: -1, maxItems: -1, maxProps: -1}
	for _, o := range nodes {
		f.add(o)
	}
	s.shapes[key] = f // before values, which may come back here
	f.enum = f.values()
	return f
}

// free tells whether any JSON value is of the shape.
func (f *shape) free() bool {
	for _, o := range f.nodes {
		for _, k := range o.keys {
			if slices.Contains(keywords[4:], k) {
				return false
			}
		}
	}
	return true
}

// path is where the shape comes from.
func (f *shape) path() string { return f.nodes[0].path }

func (f *shape) add(o *object) {
	s := f.s
	if v, ok := o.get("type"); ok {
		names, list := v.([]any)
		if !list {
			names = []any{v}
		}
		var set kind
		for _, n := range names {
			name, _ := n.(string)
			if typeNames[name] == 0 {
				s.fail(o, "type %.60s is none of JSON's", write(v))
			}
			set |= typeNames[name]
		}
		f.types &= set
	}
	for key, raise := range map[string]*int{"minLength": &f.minLength, "minItems": &f.minItems, "minProperties": &f.minProps} {
		if n, ok := s.count(o, key); ok {
			*raise = max(*raise, n)
		}
	}
	for key, lower := range map[string]*int{"maxLength": &f.maxLength, "maxItems": &f.maxItems, "maxProperties": &f.maxProps} {
		if n, ok := s.count(o, key); ok && (*lower < 0 || n < *lower) {
			*lower = n
		}
	}
	for _, key := range []string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"} {
		v, ok := o.get(key)
		if !ok {
			continue
		}
		n, ok := v.(json.Number)
		if !ok {
			s.fail(o, "%s must be a number", key)
		}
		x := rational(n)
		switch key {
		case "minimum", "exclusiveMinimum":
			f.num.above(x, key != "minimum")
		case "maximum", "exclusiveMaximum":
			f.num.below(x, key != "maximum")
		default:
			if x.Sign() <= 0 {
				s.fail(o, "multipleOf must be above 0")
			}
			f.num.multiple(x)
		}
	}
	for _, key := range []string{"pattern", "format"} {
		v, ok := o.get(key)
		if !ok {
			continue
		}
		text, ok := v.(string)
		if !ok {
			s.fail(o, "%s must be a text", key)
		}
		if key == "pattern" || !slices.Contains(anyText, text) {
			f.patterns = append(f.patterns, s.pattern(o, key, text))
		}
	}
	s.checkLists(o)
}

// pattern is the automaton of a pattern or a format.
func (s *schema) pattern(o *object, key, text string) *dfa {
	if key == "pattern" {
		return s.b.regex(text, false)
	}
	form, ok := formats[text]
	if !ok {
		s.fail(o, "format %.60q is not supported; these are: %s", text, formatNames)
	}
	return s.b.regex(form, true)
}

// maxCount bounds lengths and numbers of items and properties.
const maxCount = 1 << 16

func (s *schema) count(o *object, key string) (int, bool) {
	v, ok := o.get(key)
	if !ok {
		return 0, false
	}
	n, ok := v.(json.Number)
	if ok {
		if x := rational(n); x.IsInt() && x.Sign() >= 0 {
			if x.Cmp(big.NewRat(maxCount, 1)) > 0 {
				s.fail(o, "%s is %s, %d at most", key, n, maxCount)
			}
			return int(x.Num().Int64()), true
		}
	}
	s.fail(o, "%s must be a whole number", key)
	return 0, false
}

// checkLists finds keywords of the wrong type.
func (s *schema) checkLists(o *object) {
	for _, key := range []string{"properties", "patternProperties", "$defs", "definitions"} {
		if v, ok := o.get(key); ok {
			if _, ok := v.(*object); !ok {
				s.fail(o, "%s must be an object", key)
			}
		}
	}
	if v, ok := o.get("required"); ok {
		list, good := v.([]any)
		for _, name := range list {
			_, text := name.(string)
			good = good && text
		}
		if !good {
			s.fail(o, "required must be a list of names")
		}
	}
	if v, ok := o.get("items"); ok {
		if _, list := v.([]any); list {
			s.fail(o, "items must be one schema; a list of them is called prefixItems")
		}
	}
	s.list(o, "prefixItems")
}

// values are the values of enum and const that all keywords allow, nil if there is neither.
func (f *shape) values() []any {
	var list []any
	given := false
	for _, o := range f.nodes {
		if v, ok := o.get("const"); ok {
			list, given = []any{v}, true
		}
	}
	for _, o := range f.nodes {
		if v, ok := o.get("enum"); ok && !given {
			if list, ok = v.([]any); !ok {
				f.s.fail(o, "enum must be a list")
			}
			given = true
		}
	}
	if !given {
		return nil
	}
	good := []any{}
	for _, v := range list {
		if f.holds(v) {
			good = append(good, v)
		}
	}
	return good
}

// enum are the identities of the values of an object's enum.
func (s *schema) enum(o *object) map[string]bool {
	if s.enums[o] == nil {
		s.enums[o] = map[string]bool{}
		list, _ := o.m["enum"].([]any)
		for _, v := range list {
			s.enums[o][identity(v)] = true
		}
	}
	return s.enums[o]
}

// valid tells whether a value is valid under every schema of a list.
func (s *schema) valid(v any, all []any) bool {
	return slices.ContainsFunc(s.expand(all), func(nodes []*object) bool { return s.shape(nodes).holds(v) })
}

// holds tells whether a value is of the shape.
func (f *shape) holds(v any) bool {
	f.s.b.spend(1)
	for _, o := range f.nodes {
		if c, ok := o.get("const"); ok && identity(c) != identity(v) {
			return false
		}
		if _, ok := o.get("enum"); ok && !f.s.enum(o)[identity(v)] {
			return false
		}
	}
	if f.types&kindOf(v) == 0 {
		return false
	}
	switch v := v.(type) {
	case json.Number:
		return f.num.holds(rational(v))
	case string:
		n := len([]rune(v))
		if n < f.minLength || f.maxLength >= 0 && n > f.maxLength {
			return false
		}
		return !slices.ContainsFunc(f.patterns, func(d *dfa) bool { return !d.matches(v) })
	case []any:
		if len(v) < f.minItems || f.maxItems >= 0 && len(v) > f.maxItems {
			return false
		}
		for i := range v {
			if !f.s.valid(v[i], f.item(i)) {
				return false
			}
		}
	case *object:
		if len(v.keys) < f.minProps || f.maxProps >= 0 && len(v.keys) > f.maxProps {
			return false
		}
		for name := range f.required() {
			if _, ok := v.get(name); !ok {
				return false
			}
		}
		for name, value := range v.m {
			if !f.s.valid(value, f.property(name)) {
				return false
			}
		}
	}
	return true
}

func kindOf(v any) kind {
	switch v := v.(type) {
	case bool:
		return typeBoolean
	case json.Number:
		if rational(v).IsInt() {
			return typeInteger
		}
		return typeNumber
	case string:
		return typeString
	case []any:
		return typeArray
	case *object:
		return typeObject
	}
	return typeNull
}

// prefixes is the number of items that have schemas of their own.
func (f *shape) prefixes() (n int) {
	for _, o := range f.nodes {
		n = max(n, len(f.s.list(o, "prefixItems")))
	}
	return n
}

// item are the schemas of item i.
func (f *shape) item(i int) (all []any) {
	for _, o := range f.nodes {
		if list := f.s.list(o, "prefixItems"); i < len(list) {
			all = append(all, list[i])
		} else if v, ok := o.get("items"); ok {
			all = append(all, v)
		}
	}
	return all
}

// required are the names of the properties that must be there.
func (f *shape) required() map[string]bool {
	names := map[string]bool{}
	for _, o := range f.nodes {
		list, _ := o.m["required"].([]any)
		for _, n := range list {
			names[n.(string)] = true
		}
	}
	return names
}

// names are the properties that are spelled out, in the schema's order, and then those that only required names.
func (f *shape) names() (list []string) {
	seen := map[string]bool{}
	for _, o := range f.nodes {
		if p, ok := o.m["properties"].(*object); ok {
			for _, name := range p.keys {
				if !seen[name] {
					seen[name], list = true, append(list, name)
				}
			}
		}
	}
	var rest []string
	for name := range f.required() {
		if !seen[name] {
			rest = append(rest, name)
		}
	}
	sort.Strings(rest)
	return append(list, rest...)
}

// property are the schemas of the property with a name.
func (f *shape) property(name string) (all []any) {
	for _, o := range f.nodes {
		all = append(all, f.under(o, name, func(pattern string) bool { return f.s.b.regex(pattern, false).matches(name) })...)
	}
	return all
}

// under are the schemas that one object has for a property's name ("" for one that it does not spell out).
func (f *shape) under(o *object, name string, matches func(pattern string) bool) (all []any) {
	known := false
	if p, ok := o.m["properties"].(*object); ok {
		if v, ok := p.get(name); ok {
			all, known = append(all, v), true
		}
	}
	if p, ok := o.m["patternProperties"].(*object); ok {
		for _, pattern := range p.keys {
			if matches(pattern) {
				all, known = append(all, p.m[pattern]), true
			}
		}
	}
	if v, ok := o.get("additionalProperties"); ok && !known {
		all = append(all, v)
	}
	return all
}

// label is for messages.
func (f *shape) label(name string) string {
	return fmt.Sprintf("%s/properties/%s", f.path(), strconv.Quote(name))
}
