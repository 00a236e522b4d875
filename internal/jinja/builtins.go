package jinja

import (
	"math"
	"unicode"
)

// options are bound arguments; each has a default that stands for absent.
type options struct {
	s    *state
	what string
	list []any
}

func (o options) given(i int) bool { return o.list[i] != absent }

func (o options) str(i int, def string) string {
	if !o.given(i) {
		return def
	}
	v, ok := o.list[i].(string)
	if !ok {
		o.s.fail("%s: argument %d is a str, not %s", o.what, i+1, typeName(o.list[i]))
	}
	return v
}

func (o options) int(i, def int) int {
	if !o.given(i) {
		return def
	}
	v, ok := number(o.list[i]).(int)
	if !ok {
		o.s.fail("%s: argument %d is an int, not %s", o.what, i+1, typeName(o.list[i]))
	}
	return v
}

func (o options) bool(i int, def bool) bool {
	if !o.given(i) {
		return def
	}
	return truth(o.list[i])
}

// need is argument i, which must be given.
func (o options) need(i int) any {
	if !o.given(i) {
		o.s.fail("%s: argument %d is missing", o.what, i+1)
	}
	return o.list[i]
}

var globals = map[string]any{
	"range": &function{"range", func(s *state, a args) any {
		o := options{s, "range", a.bind(s, "range", "start", "stop", "step")}
		o.need(0)
		from, to, step := 0, o.int(0, 0), o.int(2, 1)
		if o.given(1) {
			from, to = to, o.int(1, 0)
		}
		if step == 0 {
			s.fail("range: the step is 0")
		}
		var items []any
		for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
			if len(items) == maxRange {
				s.fail("range: more than %d numbers", maxRange)
			}
			items = append(items, i)
			if step > 0 && i > math.MaxInt-step || step < 0 && i < math.MinInt-step {
				break
			}
		}
		return s.list(items)
	}},
	"namespace": &function{"namespace", func(s *state, a args) any { return &namespace{*s.newDict("namespace", a)} }},
	"dict":      &function{"dict", func(s *state, a args) any { return s.newDict("dict", a) }},
}

// newDict is what dict(..) and namespace(..) make: a copy of a dict, then arguments by name.
func (s *state) newDict(what string, a args) *dict {
	d := &dict{}
	if len(a.pos) > 1 {
		s.fail("%s takes at most one dict", what)
	}
	if len(a.pos) == 1 {
		from, ok := a.pos[0].(*dict)
		if !ok {
			s.fail("%s wants a dict, not %s", what, typeName(a.pos[0]))
		}
		s.spend(64 * len(from.keys))
		for i, key := range from.keys {
			d.set(key, from.vals[i])
		}
	}
	for _, k := range a.kw {
		s.spend(64)
		d.set(k.name, k.value)
	}
	return d
}

// compares is a test with one argument.
func compares(holds func(s *state, v, arg any) bool) func(s *state, v any, a args) bool {
	return func(s *state, v any, a args) bool {
		if len(a.pos) != 1 || a.kw != nil {
			s.fail("the test wants one argument")
		}
		return holds(s, v, a.pos[0])
	}
}

// is is a test without arguments.
func is(holds func(s *state, v any) bool) func(s *state, v any, a args) bool {
	return func(s *state, v any, a args) bool {
		if len(a.pos) > 0 || a.kw != nil {
			s.fail("the test takes no arguments")
		}
		return holds(s, v)
	}
}

func ofType[T any](_ *state, v any) bool { _, ok := v.(T); return ok }

// ordered is a test that is an operator.
func ordered(op string) func(s *state, v any, a args) bool {
	return compares(func(s *state, v, arg any) bool { return s.holds(op, v, arg) })
}

// remains reports whether v % by is rest.
func remains(s *state, v, by any, rest int) bool { return s.equal(s.arithmetic("%", v, by), rest) }

// iterable has the answers of Jinja2 for what is undefined, too.
func iterable(_ *state, v any) bool {
	switch v.(type) {
	case string, *list, *dict, undefined:
		return true
	}
	return false
}

func callable(_ *state, v any) bool {
	switch v.(type) {
	case *function, undefined:
		return true
	}
	return false
}

var tests = map[string]func(s *state, v any, a args) bool{
	"defined":     is(func(_ *state, v any) bool { return !ofType[undefined](nil, v) }),
	"undefined":   is(ofType[undefined]),
	"none":        is(func(_ *state, v any) bool { return v == nil }),
	"boolean":     is(ofType[bool]),
	"true":        is(func(_ *state, v any) bool { return v == true }),
	"false":       is(func(_ *state, v any) bool { return v == false }),
	"integer":     is(ofType[int]),
	"float":       is(ofType[float64]),
	"number":      is(func(_ *state, v any) bool { return number(v) != nil }),
	"string":      is(ofType[string]),
	"mapping":     is(ofType[*dict]),
	"callable":    is(callable),
	"iterable":    is(iterable),
	"sequence":    is(iterable),
	"odd":         is(func(s *state, v any) bool { return remains(s, v, 2, 1) }),
	"even":        is(func(s *state, v any) bool { return remains(s, v, 2, 0) }),
	"divisibleby": compares(func(s *state, v, by any) bool { return remains(s, v, by, 0) }),
	"lower":       is(func(s *state, v any) bool { return isCase(s.str(v), unicode.IsLower, unicode.IsUpper) }),
	"upper":       is(func(s *state, v any) bool { return isCase(s.str(v), unicode.IsUpper, unicode.IsLower) }),
	"in":          compares(func(s *state, v, in any) bool { return s.contains(in, v) }),
	"sameas":      compares(func(_ *state, v, w any) bool { return typeName(v) == typeName(w) && v == w }),
	"eq":          ordered("=="), "equalto": ordered("=="), "==": ordered("=="),
	"ne": ordered("!="), "!=": ordered("!="),
	"lt": ordered("<"), "lessthan": ordered("<"), "<": ordered("<"),
	"gt": ordered(">"), "greaterthan": ordered(">"), ">": ordered(">"),
	"le": ordered("<="), "<=": ordered("<="),
	"ge": ordered(">="), ">=": ordered(">="),
}
