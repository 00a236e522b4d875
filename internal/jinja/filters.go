package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// filters cost the size of their value before they start.
var filters map[string]func(s *state, v any, a args) any

func init() { // here, because map and select look filters up
	filters = map[string]func(s *state, v any, a args) any{
		"tojson": tojson,
		"string": plain("string", func(s *state, v any) any { return s.str(v) }),
		"safe":   plain("safe", func(s *state, v any) any { return v }),
		"list":   plain("list", func(s *state, v any) any { return s.list(slices.Clone(s.iterate(v))) }),
		"items": plain("items", func(s *state, v any) any {
			switch v := v.(type) {
			case undefined:
				return &list{}
			case *dict:
				return s.items(v)
			}
			s.fail("items: a %s has no items", typeName(v))
			return nil
		}),
		"upper":      ofText("upper", strings.ToUpper),
		"lower":      ofText("lower", strings.ToLower),
		"capitalize": ofText("capitalize", capitalize),
		"title": ofText("title", func(v string) string {
			return words(v, func(r rune) bool { return !isSpace(r) && !strings.ContainsRune("-({[<", r) })
		}),
		"escape": ofText("escape", escape.Replace),
		"center": func(s *state, v any, a args) any {
			o := options{s, "center", a.bind(s, "center", "width")}
			return methods["center"](s, s.str(v), args{pos: []any{o.int(0, 80)}})
		},
		"truncate": truncate,
		"trim": func(s *state, v any, a args) any {
			return stripMethod("trim", true, true)(s, s.str(v), a)
		},
		"replace": func(s *state, v any, a args) any {
			o := options{s, "replace", a.bind(s, "replace", "old", "new", "count")}
			n := -1
			if o.given(2) && o.list[2] != nil {
				n = o.int(2, -1)
			}
			return s.replace(s.str(v), s.str(o.need(0)), s.str(o.need(1)), n)
		},
		"format": func(s *state, v any, a args) any {
			if a.kw != nil {
				s.fail("format takes no arguments by name")
			}
			return s.percent(s.str(v), a.pos, false)
		},
		"indent": indent,
		"join": func(s *state, v any, a args) any {
			o := options{s, "join", a.bind(s, "join", "d", "attribute")}
			sep := ""
			if o.given(0) {
				sep = s.str(o.list[0])
			}
			return s.join(sep, s.each(o, 1, s.iterate(v)))
		},
		"default": func(s *state, v any, a args) any {
			o := options{s, "default", a.bind(s, "default", "default_value", "boolean")}
			if ofType[undefined](s, v) || o.bool(1, false) && !truth(v) {
				if o.given(0) {
					return o.list[0]
				}
				return ""
			}
			return v
		},
		"length": plain("length", func(s *state, v any) any {
			switch v := v.(type) {
			case string:
				return utf8.RuneCountInString(v)
			case *list, *dict, undefined:
				return size(v)
			}
			s.fail("length: a %s has none", typeName(v))
			return nil
		}),
		"first": plain("first", func(s *state, v any) any {
			for _, item := range s.iterate(v) {
				return item
			}
			return undefined{"the first item of nothing"}
		}),
		"last": plain("last", func(s *state, v any) any {
			if items := s.iterate(v); len(items) > 0 {
				return items[len(items)-1]
			}
			return undefined{"the last item of nothing"}
		}),
		"reverse": plain("reverse", func(s *state, v any) any {
			if text, ok := v.(string); ok {
				return s.slice(text, nil, nil, -1)
			}
			items := slices.Clone(s.iterate(v))
			slices.Reverse(items)
			return s.list(items)
		}),
		"sort": func(s *state, v any, a args) any {
			o := options{s, "sort", a.bind(s, "sort", "reverse", "case_sensitive", "attribute")}
			return s.sorted(s.iterate(v), s.each(o, 2, s.iterate(v)), o.bool(0, false), o.bool(1, false))
		},
		"dictsort": func(s *state, v any, a args) any {
			o := options{s, "dictsort", a.bind(s, "dictsort", "case_sensitive", "by", "reverse")}
			d, ok := v.(*dict)
			if !ok {
				s.fail("dictsort wants a dict, not %s", typeName(v))
			}
			keys := d.keys
			switch by := o.str(1, "key"); by {
			case "key":
			case "value":
				keys = d.vals
			default:
				s.fail("dictsort: by %q, must be key or value", by)
			}
			return s.sorted(s.items(d).items, keys, o.bool(2, false), o.bool(0, false))
		},
		"unique": func(s *state, v any, a args) any {
			o := options{s, "unique", a.bind(s, "unique", "case_sensitive", "attribute")}
			items := s.iterate(v)
			keys := s.folded(s.each(o, 1, items), o.bool(0, false))
			seen := &dict{}
			for i, key := range keys {
				if !hashable(key) {
					s.fail("unique: a %s among the items", typeName(key))
				}
				if _, ok := seen.get(key); !ok {
					s.spend(64)
					seen.set(key, items[i])
				}
			}
			return s.list(seen.vals)
		},
		"max": extreme("max", 1),
		"min": extreme("min", -1),
		"sum": func(s *state, v any, a args) any {
			o := options{s, "sum", a.bind(s, "sum", "attribute", "start")}
			var total any = 0
			if o.given(1) {
				total = o.list[1]
			}
			for _, item := range s.each(o, 0, s.iterate(v)) {
				total = s.add(total, item)
			}
			return total
		},
		"abs": plain("abs", func(s *state, v any) any {
			if n := number(v); n == nil || toFloat(n) >= 0 {
				return s.arithmetic("+", v, 0)
			}
			return s.arithmetic("*", v, -1)
		}),
		"int": func(s *state, v any, a args) any {
			o := options{s, "int", a.bind(s, "int", "default")}
			if text, ok := v.(string); ok {
				text = strip(text, "", true, true)
				if n, err := strconv.Atoi(text); err == nil {
					return n
				}
				if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
					return s.whole(f, nil)
				}
			} else if n := number(v); n != nil && !math.IsInf(toFloat(n), 0) && !math.IsNaN(toFloat(n)) {
				return s.whole(toFloat(n), n)
			}
			return o.int(0, 0)
		},
		"float": func(s *state, v any, a args) any {
			o := options{s, "float", a.bind(s, "float", "default")}
			if text, ok := v.(string); ok {
				if f, err := strconv.ParseFloat(strip(text, "", true, true), 64); err == nil {
					return f
				}
			} else if n := number(v); n != nil {
				return toFloat(n)
			}
			if o.given(0) {
				return o.list[0]
			}
			return 0.0
		},
		"round": round,
		"map":   mapped,
		"select": func(s *state, v any, a args) any {
			return s.selected("select", v, a, false, true)
		},
		"reject": func(s *state, v any, a args) any {
			return s.selected("reject", v, a, false, false)
		},
		"selectattr": func(s *state, v any, a args) any {
			return s.selected("selectattr", v, a, true, true)
		},
		"rejectattr": func(s *state, v any, a args) any {
			return s.selected("rejectattr", v, a, true, false)
		},
	}
	for name, other := range map[string]string{"d": "default", "count": "length", "e": "escape"} {
		filters[name] = filters[other]
	}
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")

// plain is a filter without arguments.
func plain(name string, f func(s *state, v any) any) func(s *state, v any, a args) any {
	return func(s *state, v any, a args) any { none(s, name, a); return f(s, v) }
}

// ofText is a filter of a text that makes a text.
func ofText(name string, f func(string) string) func(s *state, v any, a args) any {
	return plain(name, func(s *state, v any) any {
		text := s.str(v)
		s.spend(6 * len(text))
		return f(text)
	})
}

// whole is a float without its fraction; n is the number as it was, if it may be an int.
func (s *state) whole(f float64, n any) int {
	if i, ok := n.(int); ok {
		return i
	}
	if !(math.Abs(f) < 1<<62) {
		s.fail("a whole number is too large")
	}
	return int(f)
}

// each replaces items by an attribute of theirs if argument i names one: "a.b", or an index.
func (s *state) each(o options, i int, items []any) []any {
	if !o.given(i) || o.list[i] == nil {
		return items
	}
	return s.eachOr(o.list[i], nil, items)
}

// eachOr is an attribute of each item, or def, unless that is nil, for every part of its name that there is not.
func (s *state) eachOr(name, def any, items []any) []any {
	list := make([]any, len(items))
	s.spend(16 * len(items))
	for i, item := range items {
		list[i] = s.attribute(item, name, def)
	}
	return list
}

func (s *state) attribute(v, name, def any) any {
	parts := []any{name}
	if text, ok := name.(string); ok {
		parts = nil
		for part := range strings.SplitSeq(text, ".") {
			s.spend(1 + len(part))
			if n, err := strconv.Atoi(part); err == nil {
				parts = append(parts, n)
			} else {
				parts = append(parts, part)
			}
		}
	}
	for _, part := range parts {
		if v = s.item(v, part); def != nil && ofType[undefined](s, v) {
			v = def
		}
	}
	return v
}

// folded are keys in which letters have one case, unless sensitive.
func (s *state) folded(keys []any, sensitive bool) []any {
	if sensitive {
		return keys
	}
	list := make([]any, len(keys))
	for i, key := range keys {
		if text, ok := key.(string); ok {
			s.spend(16 + len(text))
			key = strings.ToLower(text)
		}
		list[i] = key
	}
	return list
}

// sorted are items in the order of their keys.
func (s *state) sorted(items, keys []any, reverse, sensitive bool) *list {
	keys = s.folded(keys, sensitive)
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if reverse {
			i, j = j, i
		}
		return s.compare(keys[i], keys[j])
	})
	list := make([]any, len(items))
	for i, j := range order {
		list[i] = items[j]
	}
	return s.list(list)
}

func extreme(name string, sign int) func(s *state, v any, a args) any {
	return func(s *state, v any, a args) any {
		o := options{s, name, a.bind(s, name, "case_sensitive", "attribute")}
		items := s.iterate(v)
		keys := s.folded(s.each(o, 1, items), o.bool(0, false))
		best := 0
		for i, key := range keys {
			if s.compare(key, keys[best])*sign > 0 {
				best = i
			}
		}
		if len(items) == 0 {
			return undefined{"the " + name + " of nothing"}
		}
		return items[best]
	}
}

func indent(s *state, v any, a args) any {
	o := options{s, "indent", a.bind(s, "indent", "width", "first", "blank")}
	by, ok := o.list[0].(string)
	if !ok {
		n := o.int(0, 4)
		s.spend(max(n, 0))
		by = strings.Repeat(" ", max(n, 0))
	}
	text, ok := v.(string)
	if !ok {
		s.fail("indent wants a str, not %s", typeName(v))
	}
	lines := splitLines(text+"\n", false)
	for i, line := range lines {
		if i == 0 && o.bool(1, false) || i > 0 && (line != "" || o.bool(2, false)) {
			s.spend(len(by) + len(line))
			lines[i] = by + line
		}
	}
	return strings.Join(lines, "\n")
}

// truncate is a text cut at a word, unless it is hardly too long.
func truncate(s *state, v any, a args) any {
	o := options{s, "truncate", a.bind(s, "truncate", "length", "killwords", "end", "leeway")}
	of, ok := v.(string)
	if !ok {
		s.fail("truncate wants a str, not %s", typeName(v))
	}
	text, end, length := []rune(of), o.str(2, "..."), o.int(0, 255)
	keep, leeway := length-utf8.RuneCountInString(end), 5
	if o.given(3) && o.list[3] != nil {
		leeway = o.int(3, 0)
	}
	if keep < 0 || leeway < 0 {
		s.fail("truncate: length %d, leeway %d", length, leeway)
	}
	if len(text) <= length+leeway {
		return string(text)
	}
	cut := string(text[:keep])
	if i := strings.LastIndexByte(cut, ' '); i >= 0 && !o.bool(1, false) {
		cut = cut[:i]
	}
	return cut + end
}

func round(s *state, v any, a args) any {
	o := options{s, "round", a.bind(s, "round", "precision", "method")}
	n, digits := number(v), o.int(0, 0)
	if n == nil {
		s.fail("round: a %s is no number", typeName(v))
	}
	if digits < 0 || digits > 15 {
		s.fail("round: precision %d, must be 0 to 15", digits)
	}
	f, scale := toFloat(n), math.Pow10(digits)
	switch method := o.str(1, "common"); method {
	case "common":
		if i, ok := n.(int); ok {
			return i
		}
		r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
		return r
	case "ceil":
		return math.Ceil(f*scale) / scale
	case "floor":
		return math.Floor(f*scale) / scale
	default:
		s.fail("round: unknown method %q", method)
		return nil
	}
}

// mapped is the filter map: an attribute of the items, or a filter of each.
func mapped(s *state, v any, a args) any {
	if !truth(v) {
		return &list{}
	}
	items := s.iterate(v)
	list := make([]any, len(items))
	s.spend(16 * len(items))
	if len(a.pos) == 0 {
		o := options{s, "map", a.bind(s, "map", "attribute", "default")}
		o.need(0)
		if o.given(1) {
			return s.list(s.eachOr(o.list[0], o.list[1], items))
		}
		return s.list(s.each(o, 0, items))
	}
	name := options{s, "map", a.pos}.str(0, "")
	for i, item := range items {
		list[i] = s.filter(name, item, args{a.pos[1:], a.kw})
	}
	return s.list(list)
}

// selected are the items, or those with an attribute, for which a test (truth if none is named) is want.
func (s *state) selected(what string, v any, a args, attribute, want bool) any {
	if a.kw != nil {
		s.fail("%s takes no arguments by name", what)
	}
	var of any
	if attribute {
		if len(a.pos) == 0 {
			s.fail("%s wants the name of an attribute", what)
		}
		of, a.pos = a.pos[0], a.pos[1:]
	}
	if !truth(v) {
		return &list{}
	}
	var list []any
	for _, item := range s.iterate(v) {
		value := item
		if s.spend(1); attribute {
			value = s.attribute(item, of, nil)
		}
		holds := truth(value)
		if len(a.pos) > 0 {
			holds = s.test(options{s, what, a.pos}.str(0, ""), value, args{pos: a.pos[1:]})
		}
		if holds == want {
			list = append(list, item)
		}
	}
	return s.list(list)
}
