package constrain

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// schema is the rule of the JSON values that are valid under a JSON Schema.
func (b *builder) schema(text []byte) int32 {
	s, root := b.parseSchema(text)
	return s.rule([]any{root}, "#")
}

func (b *builder) parseSchema(text []byte) (s *schema, root any) {
	if len(text) > maxSpec {
		b.fail("a schema of %d bytes, %d at most", len(text), maxSpec)
	}
	if !json.Valid(text) {
		var v any
		b.fail("the schema is no JSON: %v", json.Unmarshal(text, &v))
	}
	root, err := parse(text)
	b.check(err)
	return &schema{b: b, root: root, number: map[*object]int{}, rules: map[string]int32{}, shapes: map[string]*shape{}, checked: map[*object]bool{}, enums: map[*object]map[string]bool{}}, root
}

// schema turns a document of JSON Schema 2020-12 into rules. A value may be under several subschemas at once (those of
// allOf, of a $ref with keywords beside it, of a property that a pattern matches too): whatever is built is built for
// a list of them, which all must hold.
type schema struct {
	b       *builder
	root    any
	number  map[*object]int // for keys
	rules   map[string]int32
	shapes  map[string]*shape
	checked map[*object]bool // by exclusive
	enums   map[*object]map[string]bool
}

// annotations say nothing about a value.
var annotations = []string{"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema", "$comment", "$defs", "definitions", "discriminator"}

// keywords are those that do.
var keywords = []string{
	"$ref", "allOf", "anyOf", "oneOf", "type", "enum", "const",
	"properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties",
	"items", "prefixItems", "minItems", "maxItems",
	"pattern", "format", "minLength", "maxLength",
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
}

// dialect is a $schema whose keywords mean what they mean here.
var dialect = regexp.MustCompile(`^"https?://json-schema\.org/`)

// fail refuses a subschema.
func (s *schema) fail(o *object, format string, args ...any) {
	s.b.fail("schema, %s: "+format, append([]any{o.path}, args...)...)
}

// known refuses keywords that are not supported.
func (s *schema) known(o *object) {
	if _, seen := s.number[o]; seen {
		return
	}
	s.number[o] = len(s.number)
	for _, k := range o.keys {
		switch {
		case k == "$schema" && !dialect.MatchString(write(o.m[k])):
			s.fail(o, "$schema %.100s is not supported: only the drafts of json-schema.org are", write(o.m[k]))
		case slices.Contains(keywords, k), slices.Contains(annotations, k), strings.HasPrefix(k, "x-"), k == "$id" && o.path == "#", k == "uniqueItems" && o.m[k] == false:
		default:
			s.fail(o, "keyword %.60q is not supported", k)
		}
	}
}

// rule is the rule of the values that are valid under every schema of a list.
func (s *schema) rule(all []any, name string) int32 {
	key := s.key(all)
	if r, ok := s.rules[key]; ok {
		return r
	}
	r := s.b.declare(name)
	s.rules[key] = r
	var alts []expr
	for _, nodes := range s.expand(all) {
		alts = append(alts, s.values(nodes))
	}
	s.b.define(r, alt(alts...))
	return r
}

// key names a list of schemas.
func (s *schema) key(all []any) string {
	parts := make([]string, 0, len(all))
	for _, a := range all {
		switch a := a.(type) {
		case bool:
			parts = append(parts, strconv.FormatBool(a))
		case *object:
			s.known(a)
			parts = append(parts, strconv.Itoa(s.number[a]))
		default:
			s.b.fail("a schema must be an object, true or false, not %.60s", write(a))
		}
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), " ")
}

// pending is a schema that is still to hold, and the way to it through keywords that mean the same value.
type pending struct {
	schema  any
	within  *chain
	choices []any // any of them, in place of schema
}

type chain struct {
	at *object
	up *chain
}

func (c *chain) has(o *object) bool {
	for ; c != nil; c = c.up {
		if c.at == o {
			return true
		}
	}
	return false
}

// maxAlternatives bounds the combinations of anyOf of one value.
const maxAlternatives = 1024

// expand follows $ref, allOf, anyOf and oneOf: a value is valid under all schemas if for one of the lists that are
// returned the other keywords of all objects hold.
func (s *schema) expand(all []any) (alts [][]*object) {
	var todo []pending
	for _, a := range all {
		todo = append(todo, pending{schema: a})
	}
	var run func(todo []pending, have []*object)
	run = func(todo []pending, have []*object) {
		s.b.spend(1 + len(todo) + len(have))
		if len(todo) == 0 {
			if alts = append(alts, have); len(alts) > maxAlternatives {
				s.b.fail("schema: more than %d combinations of anyOf", maxAlternatives)
			}
			return
		}
		p, todo := todo[0], todo[1:]
		if p.choices != nil {
			for _, c := range p.choices {
				run(append([]pending{{schema: c, within: p.within}}, todo...), slices.Clone(have))
			}
			return
		}
		switch a := p.schema.(type) {
		case bool:
			if a {
				run(todo, have)
			}
		case *object:
			s.known(a)
			if p.within.has(a) { // it is valid if it is valid: no finite reason
				return
			}
			within := &chain{a, p.within}
			if !slices.Contains(have, a) {
				have = append(have, a)
			}
			if r, ok := a.get("$ref"); ok {
				todo = append([]pending{{schema: s.resolve(a, r), within: within}}, todo...)
			}
			for _, sub := range s.list(a, "allOf") {
				todo = append(todo, pending{schema: sub, within: within})
			}
			if list := s.list(a, "anyOf"); list != nil {
				todo = append(todo, pending{choices: list, within: within})
			}
			if list := s.list(a, "oneOf"); list != nil {
				s.exclusive(a, list)
				todo = append(todo, pending{choices: list, within: within})
			}
			run(todo, have)
		default:
			s.b.fail("a schema must be an object, true or false, not %.60s", write(a))
		}
	}
	run(todo, nil)
	return alts
}

// exclusive refuses a oneOf of which two may hold: that neither does more than once is not followed.
func (s *schema) exclusive(o *object, list []any) {
	if s.checked[o] {
		return
	}
	s.checked[o] = true
	for i := range list {
		for j := range i {
			if !s.disjoint(o, list[i], list[j], 0) {
				s.fail(o, "oneOf whose schemas %d and %d may both hold is not supported: use anyOf, or give each a property with a const", j+1, i+1)
			}
		}
	}
}

// disjoint tells whether surely no value is valid under two schemas, and under the keywords of o.
func (s *schema) disjoint(o *object, a, b any, depth int) bool {
	for _, x := range s.expand([]any{a}) {
		for _, y := range s.expand([]any{b}) {
			if !s.empty(slices.Concat([]*object{o}, x, y), depth) {
				return false
			}
		}
	}
	return true
}

// empty tells whether surely no value is of a shape.
func (s *schema) empty(nodes []*object, depth int) bool {
	f := s.shape(nodes)
	if f.enum != nil {
		return len(f.enum) == 0
	}
	for t := typeNull; t < types; t <<= 1 {
		if f.types&t == 0 {
			continue
		}
		none := false
		switch t {
		case typeInteger, typeNumber:
			none = f.num.empty()
		case typeString:
			none = f.maxLength >= 0 && f.minLength > f.maxLength
		case typeArray:
			none = f.maxItems >= 0 && f.minItems > f.maxItems
		case typeObject:
			for name := range f.required() {
				if depth < 4 && !slices.ContainsFunc(s.expand(f.property(name)), func(n []*object) bool { return !s.empty(n, depth+1) }) {
					none = true
				}
			}
		}
		if !none {
			return false
		}
	}
	return true
}

// list is a keyword's list of schemas, nil if it is not there.
func (s *schema) list(o *object, key string) []any {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		s.fail(o, "%s must be a list of schemas", key)
	}
	return list
}

// resolve finds what a $ref within the document means.
func (s *schema) resolve(o *object, ref any) any {
	text, ok := ref.(string)
	if !ok || !strings.HasPrefix(text, "#") {
		s.fail(o, "$ref %.100s: only references within the schema, such as #/$defs/name, are supported; nothing is fetched", write(ref))
	}
	pointer, err := url.PathUnescape(text[1:])
	if err != nil || pointer != "" && pointer[0] != '/' {
		s.fail(o, "$ref %.100q is no JSON pointer", text)
	}
	at := s.root
	if pointer != "" {
		for _, step := range strings.Split(pointer[1:], "/") {
			step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
			var next any
			found := false
			switch v := at.(type) {
			case *object:
				next, found = v.get(step)
			case []any:
				if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v) {
					next, found = v[i], true
				}
			}
			if !found {
				s.fail(o, "$ref %.100q leads nowhere", text)
			}
			at = next
		}
	}
	switch at.(type) {
	case bool, *object:
		return at
	}
	s.fail(o, "$ref %.100q is no schema", text)
	return nil
}

// values are the values for which the keywords of all objects hold.
func (s *schema) values(nodes []*object) expr {
	f := s.shape(nodes)
	if f.enum != nil {
		var texts []string
		for _, v := range f.enum {
			texts = append(texts, write(v))
		}
		return anyOf(texts)
	}
	if len(nodes) == 0 || f.free() {
		return s.b.jsonValue()
	}
	var alts []expr
	for t := typeNull; t < types; t <<= 1 {
		if f.types&t == 0 || t == typeInteger && f.types&typeNumber != 0 {
			continue
		}
		switch t {
		case typeNull:
			alts = append(alts, lit("null"))
		case typeBoolean:
			alts = append(alts, boolean)
		case typeInteger, typeNumber:
			if !f.num.empty() {
				alts = append(alts, s.b.number(f.num, t == typeInteger))
			}
		case typeString:
			alts = append(alts, s.str(f))
		case typeArray:
			alts = append(alts, s.array(f))
		case typeObject:
			alts = append(alts, s.object(f))
		}
	}
	return alt(alts...)
}

// str is the strings of a shape.
func (s *schema) str(f *shape) expr {
	if f.maxLength >= 0 && f.minLength > f.maxLength {
		return alt()
	}
	if len(f.patterns) == 0 {
		return s.b.jsonLengths(f.minLength, f.maxLength)
	}
	d := f.patterns[0]
	for _, p := range f.patterns[1:] {
		d = s.b.both(d, p, false)
	}
	if f.minLength > 0 || f.maxLength >= 0 {
		d = s.b.both(d, s.b.lengths(f.minLength, f.maxLength), false)
	}
	return seq(lit(`"`), s.b.text(d, inString), lit(`"`))
}

// array is the arrays of a shape.
func (s *schema) array(f *shape) expr {
	return func(b *builder, from, to int32) {
		prefix := f.prefixes()
		last := max(prefix, f.minItems, f.maxItems)
		b.long = b.long || last >= long
		at := b.node()
		b.edge(from, '[', '[', at)
		for i := 0; ; i++ {
			if i >= f.minItems {
				b.edge(at, ']', ']', to)
			}
			if f.maxItems >= 0 && i >= f.maxItems {
				return
			}
			item := ref(s.rule(f.item(i), fmt.Sprintf("%s/items/%d", f.path(), min(i, prefix))))
			if i > 0 {
				item = seq(comma, item)
			}
			if i > last || i == last && i > 0 { // all further ones are alike
				item(b, at, at)
				return
			}
			next := b.node()
			item(b, at, next)
			at = next
		}
	}
}
