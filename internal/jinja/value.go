package jinja

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Values are nil (None), bool, int, float64, string, *list, *dict, *namespace,
// *loop, *function and undefined. Lists and dicts never change once they are
// made, as in Jinja's immutable sandbox, so none can hold itself.

// undefined stands for what is not there; what says its name, for messages.
type undefined struct{ what string }

type list struct {
	items []any
	tuple bool
	group bool // of groupby: its items have the names grouper and list
}

// dict keeps the order in which keys came. at has the index of a key (see hash).
type dict struct {
	keys, vals []any
	at         map[any]int
}

func (d *dict) get(key any) (any, bool) {
	i, ok := d.at[hash(key)]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

func (d *dict) set(key, val any) {
	h := hash(key)
	if i, ok := d.at[h]; ok {
		d.vals[i] = val
		return
	}
	if d.at == nil {
		d.at = map[any]int{}
	}
	d.at[h] = len(d.keys)
	d.keys, d.vals = append(d.keys, key), append(d.vals, val)
}

// hash makes equal keys the same: 1, 1.0 and True.
func hash(key any) any {
	switch k := key.(type) {
	case bool:
		return number(k)
	case float64:
		if i := int(k); float64(i) == k {
			return i
		}
	}
	return key
}

// hashable reports whether a value may be a key.
func hashable(v any) bool {
	switch v.(type) {
	case nil, bool, int, float64, string:
		return true
	}
	return false
}

// namespace is the one kind of value that a template can change.
type namespace struct{ dict }

// loop is the variable "loop".
type loop struct {
	items []any
	at    int
	last  any // argument of the latest changed()
}

// function is a macro, a method bound to its value, or a function of Go.
type function struct {
	name string
	call func(s *state, a args) any
}

// typeName is the name of v's type in messages.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *list:
		if v.tuple {
			return "tuple"
		}
		return "list"
	case *dict:
		return "dict"
	case *namespace:
		return "namespace"
	case *loop:
		return "loop"
	case *function:
		return "function"
	}
	return "undefined"
}

func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *list:
		return len(v.items) > 0
	case *dict:
		return len(v.keys) > 0
	}
	return true
}

// number is an int or float64 as it is, a bool as 0 or 1, else nil.
func number(v any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return 1
		}
		return 0
	case int, float64:
		return v
	}
	return nil
}

func toFloat(n any) float64 {
	if i, ok := n.(int); ok {
		return float64(i)
	}
	return n.(float64)
}

// size is what reading a value costs, not counting what it holds.
func size(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case *list:
		return len(v.items)
	case *dict:
		return len(v.keys)
	}
	return 0
}

// str is Python's str(v).
func (s *state) str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case undefined:
		return ""
	}
	var b strings.Builder
	s.repr(&b, v)
	return b.String()
}

// repr writes Python's repr(v).
func (s *state) repr(b *strings.Builder, v any) {
	s.spend(8)
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		b.WriteString(map[bool]string{true: "True", false: "False"}[v])
	case int:
		b.WriteString(strconv.Itoa(v))
	case float64:
		b.WriteString(formatFloat(v))
	case string:
		s.spend(len(v))
		quote(b, v)
	case undefined:
		b.WriteString("Undefined")
	case *list:
		open, end := "[", "]"
		if v.tuple {
			open, end = "(", ")"
			if len(v.items) == 1 {
				end = ",)"
			}
		}
		b.WriteString(open)
		for i, item := range v.items {
			if i > 0 {
				b.WriteString(", ")
			}
			s.repr(b, item)
		}
		b.WriteString(end)
	case *dict:
		b.WriteByte('{')
		for i, key := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			s.repr(b, key)
			b.WriteString(": ")
			s.repr(b, v.vals[i])
		}
		b.WriteByte('}')
	default:
		s.fail("a %s cannot be printed", typeName(v))
	}
}

// formatFloat is Python's repr of a float.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return map[bool]string{true: "inf", false: "-inf"}[f > 0]
	}
	e := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	if exp < -4 || exp >= 16 {
		return e
	}
	d := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(d, ".") {
		d += ".0"
	}
	return d
}

// quote writes Python's repr of a string.
func quote(b *strings.Builder, s string) {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	b.WriteRune(q)
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
	}
	b.WriteRune(q)
}

// equal is Python's a == b.
func (s *state) equal(a, b any) bool {
	s.spend(1 + min(size(a), size(b)))
	if x, y := number(a), number(b); x != nil && y != nil {
		if i, ok := x.(int); ok {
			if j, ok := y.(int); ok {
				return i == j
			}
		}
		return toFloat(x) == toFloat(y)
	}
	switch a := a.(type) {
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *list:
		b, ok := b.(*list)
		return ok && a.tuple == b.tuple && slices.EqualFunc(a.items, b.items, s.equal)
	case *dict:
		b, ok := b.(*dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for i, key := range a.keys {
			if v, ok := b.get(key); !ok || !s.equal(a.vals[i], v) {
				return false
			}
		}
		return true
	}
	return a == b // nil, strings, pointers
}

// compare is below 0 if a < b, above if a > b.
func (s *state) compare(a, b any) int {
	s.spend(1 + min(size(a), size(b)))
	if x, y := number(a), number(b); x != nil && y != nil {
		if i, ok := x.(int); ok {
			if j, ok := y.(int); ok {
				return cmp.Compare(i, j)
			}
		}
		return cmp.Compare(toFloat(x), toFloat(y))
	}
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(a, b)
		}
	case *list:
		if b, ok := b.(*list); ok && a.tuple == b.tuple {
			return slices.CompareFunc(a.items, b.items, s.compare)
		}
	}
	s.fail("%s and %s have no order", typeName(a), typeName(b))
	return 0
}

// contains is Python's item in v.
func (s *state) contains(v, item any) bool {
	s.spend(size(v))
	switch v := v.(type) {
	case undefined:
		return false
	case string:
		t, ok := item.(string)
		if !ok {
			s.fail("'in' of a str wants a str, not %s", typeName(item))
		}
		return strings.Contains(v, t)
	case *list:
		return slices.ContainsFunc(v.items, func(x any) bool { return s.equal(x, item) })
	case *dict:
		if !hashable(item) {
			return false
		}
		_, ok := v.get(item)
		return ok
	}
	s.fail("'in' wants a str, list or dict, not %s", typeName(v))
	return false
}

// iterate lists what a loop over v goes through.
func (s *state) iterate(v any) []any {
	switch v := v.(type) {
	case undefined:
		return nil
	case string:
		s.spend(32 * len(v))
		items := make([]any, 0, utf8.RuneCountInString(v))
		for _, r := range v {
			items = append(items, string(r))
		}
		return items
	case *list:
		return v.items
	case *dict:
		return v.keys
	}
	s.fail("a loop wants a str, list or dict, not %s", typeName(v))
	return nil
}

func (s *state) list(items []any) *list {
	s.spend(16 * len(items))
	return &list{items: items}
}

// items are the pairs of a dict.
func (s *state) items(d *dict) *list {
	s.spend(64 * len(d.keys))
	pairs := make([]any, len(d.keys))
	for i, key := range d.keys {
		pairs[i] = &list{items: []any{key, d.vals[i]}, tuple: true}
	}
	return &list{items: pairs}
}

// attr is v.name: a method or field before a key.
func (s *state) attr(v any, name string) any {
	if f := s.field(v, name); f != nil {
		return *f
	}
	if d, ok := v.(*dict); ok {
		if val, ok := d.get(name); ok {
			return val
		}
	}
	return undefined{fmt.Sprintf("'%s' of a %s", name, typeName(v))}
}

// field is a method or field of v, nil if there is none of that name.
func (s *state) field(v any, name string) *any {
	var found any
	bound := func(call func(a args) any) {
		found = &function{name, func(s *state, a args) any {
			s.spend(size(v))
			return call(a)
		}}
	}
	switch v := v.(type) {
	case undefined:
		s.fail("%s is undefined, so it has no '%s'", v.what, name)
	case string:
		if m := methods[name]; m != nil {
			bound(func(a args) any { return m(s, v, a) })
		}
	case *list:
		switch i := slices.Index([]string{"grouper", "list"}, name); {
		case v.group && i >= 0:
			found = v.items[i]
		case name == "count", name == "index":
			bound(func(a args) any { return s.listMethod(v, name, a) })
		}
	case *dict:
		switch name {
		case "items", "keys", "values", "get", "copy":
			bound(func(a args) any { return s.dictMethod(v, name, a) })
		case "pop", "popitem", "update", "setdefault", "clear":
			s.fail("'%s' would change a dict, which templates may not", name)
		}
	case *namespace:
		if val, ok := v.get(name); ok {
			found = val
			return &found
		}
	case *loop:
		return v.field(name)
	case *function:
		if name == "name" {
			found = v.name
		}
	}
	if found == nil {
		return nil
	}
	return &found
}

// item is v[key]: a key or index before a method or field.
func (s *state) item(v, key any) any {
	switch v := v.(type) {
	case *dict:
		if hashable(key) {
			if val, ok := v.get(key); ok {
				return val
			}
		}
	case *list:
		if i, ok := number(key).(int); ok {
			if i < 0 {
				i += len(v.items)
			}
			if i >= 0 && i < len(v.items) {
				return v.items[i]
			}
		}
	case string:
		if i, ok := number(key).(int); ok {
			s.spend(len(v))
			if i < 0 {
				i += utf8.RuneCountInString(v)
			}
			for _, r := range v {
				if i == 0 {
					return string(r)
				}
				i--
			}
		}
	}
	if name, ok := key.(string); ok {
		return s.attr(v, name)
	}
	if u, ok := v.(undefined); ok {
		s.fail("%s is undefined, so it has no items", u.what)
	}
	return undefined{fmt.Sprintf("item %.60s of a %s", s.str(key), typeName(v))}
}

// slice is v[from:to:step]; the three are int or nil.
func (s *state) slice(v, from, to, by any) any {
	s.spend(size(v))
	var items []any
	switch v := v.(type) {
	case string:
		items = s.iterate(v)
	case *list:
		items = v.items
	default:
		s.fail("a %s cannot be sliced", typeName(v))
	}
	n, step := len(items), 1
	bound := func(v any, least, most, def int) int {
		if v == nil {
			return def
		}
		i, ok := number(v).(int)
		if !ok {
			s.fail("the bounds of a slice are int, not %s", typeName(v))
		}
		if i < 0 {
			i += n
		}
		return min(max(i, least), most)
	}
	if by != nil {
		i, ok := number(by).(int)
		if !ok || i == 0 {
			s.fail("the step of a slice is an int other than 0")
		}
		step = min(max(i, -n-1), n+1) // more is no different
	}
	var picked []any
	if step > 0 {
		for i, end := bound(from, 0, n, 0), bound(to, 0, n, n); i < end; i += step {
			picked = append(picked, items[i])
		}
	} else {
		for i, end := bound(from, -1, n-1, n-1), bound(to, -1, n-1, -1); i > end; i += step {
			picked = append(picked, items[i])
		}
	}
	if v, ok := v.(*list); ok {
		r := s.list(picked)
		r.tuple = v.tuple
		return r
	}
	var b strings.Builder
	for _, r := range picked {
		b.WriteString(r.(string))
	}
	return b.String()
}

// field of loop is nil if there is none of that name.
func (l *loop) field(name string) *any {
	n := len(l.items)
	var v any
	switch name {
	case "index":
		v = l.at + 1
	case "index0":
		v = l.at
	case "revindex":
		v = n - l.at
	case "revindex0":
		v = n - l.at - 1
	case "first":
		v = l.at == 0
	case "last":
		v = l.at == n-1
	case "length":
		v = n
	case "depth":
		v = 1
	case "depth0":
		v = 0
	case "previtem", "nextitem":
		at := l.at + 1
		if name == "previtem" {
			at = l.at - 1
		}
		v = undefined{"loop." + name}
		if at >= 0 && at < n {
			v = l.items[at]
		}
	case "cycle":
		v = &function{name, func(s *state, a args) any {
			if len(a.pos) == 0 {
				s.fail("loop.cycle wants values")
			}
			return a.pos[l.at%len(a.pos)]
		}}
	case "changed":
		v = &function{name, func(s *state, a args) any {
			now := s.list(a.pos)
			changed := l.last == nil || !s.equal(now, l.last)
			l.last = now
			return changed
		}}
	default:
		return nil
	}
	return &v
}

// add is a + b.
func (s *state) add(a, b any) any {
	s.spend(size(a) + size(b))
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return x + y
		}
	case *list:
		if y, ok := b.(*list); ok && x.tuple == y.tuple {
			r := s.list(slices.Concat(x.items, y.items))
			r.tuple = x.tuple
			return r
		}
	}
	return s.arithmetic("+", a, b)
}

// arithmetic does what numbers do, and str * int, list * int, str % values.
func (s *state) arithmetic(op string, a, b any) any {
	if n, ok := number(a).(int); ok && op == "*" && number(b) == nil {
		a, b = b, n // the other way round
	}
	if n, ok := number(b).(int); ok && op == "*" {
		n = max(n, 0)
		switch x := a.(type) {
		case string:
			s.spend(s.product(len(x), n))
			return strings.Repeat(x, n)
		case *list:
			s.spend(s.product(16*len(x.items), n))
			return &list{items: slices.Repeat(x.items, n), tuple: x.tuple}
		}
	}
	if x, ok := a.(string); ok && op == "%" {
		l, ok := b.(*list)
		if ok && l.tuple {
			return s.percent(x, l.items, false)
		}
		return s.percent(x, []any{b}, ok || ofType[*dict](s, b) || ofType[undefined](s, b))
	}
	x, y := number(a), number(b)
	if x == nil || y == nil {
		for _, v := range []any{a, b} {
			if u, ok := v.(undefined); ok {
				s.fail("%s is undefined", u.what)
			}
		}
		s.fail("%s %s %s makes no sense", typeName(a), op, typeName(b))
	}
	i, whole := x.(int)
	j, also := y.(int)
	if (op == "/" || op == "//" || op == "%") && toFloat(y) == 0 {
		s.fail("division by zero")
	}
	if whole && also && op != "/" && !(op == "**" && j < 0) {
		return s.integers(op, i, j)
	}
	f, g := toFloat(x), toFloat(y)
	switch op {
	case "+":
		return f + g
	case "-":
		return f - g
	case "*":
		return f * g
	case "/":
		return f / g
	case "//":
		return math.Floor(f / g)
	case "%":
		if m := math.Mod(f, g); m == 0 || m < 0 == (g < 0) {
			return m
		} else {
			return m + g
		}
	}
	return math.Pow(f, g)
}

func (s *state) integers(op string, i, j int) int {
	switch op {
	case "+":
		if r := i + j; r > i == (j > 0) {
			return r
		}
	case "-":
		if r := i - j; r < i == (j > 0) {
			return r
		}
	case "*":
		return s.product(i, j)
	case "//", "%":
		if j == -1 { // the smallest int has no positive
			return map[string]int{"//": s.product(i, j), "%": 0}[op]
		}
		q, r := i/j, i%j
		if r != 0 && r < 0 != (j < 0) {
			q, r = q-1, r+j
		}
		return map[string]int{"//": q, "%": r}[op]
	case "**":
		r := 1
		for range j {
			if r == 0 || i == 1 {
				break
			}
			if i == -1 {
				return 1 - 2*(j&1)
			}
			r = s.product(r, i)
		}
		return r
	}
	s.fail("a whole number is too large")
	return 0
}

// product is i * j, a failure if that is too large.
func (s *state) product(i, j int) int {
	r := i * j
	if i != 0 && (r/i != j || i == -1 && j == math.MinInt) {
		s.fail("a whole number is too large")
	}
	return r
}
