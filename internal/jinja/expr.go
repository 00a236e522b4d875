package jinja

import (
	"slices"
	"strconv"
)

// tuple reads expressions with commas between them: more than one, or a comma, make a tuple.
func (p *parser) tuple(one func() expr) expr {
	first := one()
	if !p.is(tOp, ",") {
		return first
	}
	items := []expr{first}
	for p.skip(tOp, ",") {
		if t := p.peek(); t.kind == tTag || t.kind == tOp && t.text == ")" {
			break
		}
		items = append(items, one())
	}
	return collect(items, true)
}

// collect makes a list.
func collect(items []expr, tuple bool) expr {
	return func(s *state) any {
		values := make([]any, len(items))
		for i, e := range items {
			values[i] = e(s)
		}
		l := s.list(values)
		l.tuple = tuple
		return l
	}
}

// cond reads an expression; the methods below it are in the order of precedence.
func (p *parser) cond() expr {
	p.part()
	e := p.or()
	for p.skip(tName, "if") {
		then, test := e, p.or()
		otherwise := func(*state) any { return undefined{"an if without else"} }
		if p.skip(tName, "else") {
			otherwise = p.cond()
		}
		e = func(s *state) any {
			if truth(test(s)) {
				return then(s)
			}
			return otherwise(s)
		}
	}
	return e
}

func (p *parser) or() expr {
	e := p.and()
	for p.skip(tName, "or") {
		a, b := e, p.and()
		e = func(s *state) any {
			if v := a(s); truth(v) {
				return v
			}
			return b(s)
		}
	}
	return e
}

func (p *parser) and() expr {
	e := p.not()
	for p.skip(tName, "and") {
		a, b := e, p.not()
		e = func(s *state) any {
			if v := a(s); !truth(v) {
				return v
			}
			return b(s)
		}
	}
	return e
}

func (p *parser) not() expr {
	if p.skip(tName, "not") {
		p.part()
		e := p.not()
		return func(s *state) any { return !truth(e(s)) }
	}
	return p.comparison()
}

// comparison reads also a < b < c, which is a < b and b < c.
func (p *parser) comparison() expr {
	type step struct {
		op string
		e  expr
	}
	first := p.sum()
	var steps []step
	for {
		op := p.peek().text
		switch {
		case p.peek().kind == tOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, op), p.is(tName, "in"):
			p.pos++
		case p.is(tName, "not") && p.toks[p.pos+1].kind == tName && p.toks[p.pos+1].text == "in":
			p.pos += 2
			op = "not in"
		case steps == nil:
			return first
		default:
			return func(s *state) any {
				a := first(s)
				for _, st := range steps {
					b := st.e(s)
					if !s.holds(st.op, a, b) {
						return false
					}
					a = b
				}
				return true
			}
		}
		steps = append(steps, step{op, p.sum()})
	}
}

func (s *state) holds(op string, a, b any) bool {
	switch op {
	case "==":
		return s.equal(a, b)
	case "!=":
		return !s.equal(a, b)
	case "in":
		return s.contains(b, a)
	case "not in":
		return !s.contains(b, a)
	case "<":
		return s.compare(a, b) < 0
	case "<=":
		return s.compare(a, b) <= 0
	case ">":
		return s.compare(a, b) > 0
	}
	return s.compare(a, b) >= 0
}

// binary reads operators of one level, from the left.
func (p *parser) binary(below func() expr, ops ...string) expr {
	e := below()
	for {
		op := p.peek()
		if op.kind != tOp || !slices.Contains(ops, op.text) {
			return e
		}
		p.pos++
		a, b := e, below()
		e = func(s *state) any {
			s.spend(1)
			x, y := a(s), b(s)
			switch op.text {
			case "+":
				return s.add(x, y)
			case "~":
				v, w := s.str(x), s.str(y)
				s.spend(len(v) + len(w))
				return v + w
			}
			return s.arithmetic(op.text, x, y)
		}
	}
}

func (p *parser) sum() expr     { return p.binary(p.joined, "+", "-") }
func (p *parser) joined() expr  { return p.binary(p.product, "~") }
func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }
func (p *parser) power() expr   { return p.binary(p.operand, "**") }

// operand reads a value with what follows it, then filters and tests.
func (p *parser) operand() expr {
	e := p.unary()
	for {
		switch {
		case p.skip(tOp, "|"):
			e = p.filter(e)
		case p.skip(tName, "is"):
			e = p.test(e)
		case p.is(tOp, "("):
			e = p.postfix(e)
		default:
			return e
		}
	}
}

// unary reads signs, a value and what follows it.
func (p *parser) unary() expr {
	p.part()
	sign := 1
	switch {
	case p.skip(tOp, "-"):
		sign = -1
	case p.skip(tOp, "+"):
	default:
		return p.postfix(p.primary())
	}
	of := p.unary()
	return p.postfix(func(s *state) any {
		n := number(of(s))
		if n == nil {
			s.fail("a sign before what is no number")
		}
		return s.arithmetic("*", sign, n)
	})
}

func (p *parser) primary() expr {
	p.part()
	constant := func(v any) expr { return func(*state) any { return v } }
	switch t := p.next(); t.kind {
	case tName:
		switch t.text {
		case "true", "True":
			return constant(true)
		case "false", "False":
			return constant(false)
		case "none", "None":
			return constant(nil)
		}
		return func(s *state) any { s.spend(1); return s.lookup(t.text) }
	case tString:
		text := t.text
		for p.peek().kind == tString {
			p.part()
			text += p.next().text
		}
		return constant(text)
	case tInt:
		n, err := strconv.Atoi(t.text)
		if err != nil {
			p.fail("the number %.40s is too large", t.text)
		}
		return constant(n)
	case tFloat:
		f, _ := strconv.ParseFloat(t.text, 64) // too large is infinite, as in Python
		return constant(f)
	case tOp:
		switch t.text {
		case "(":
			if p.skip(tOp, ")") {
				return collect(nil, true)
			}
			e := p.tuple(p.cond)
			p.want(tOp, ")")
			return e
		case "[":
			var items []expr
			p.listed("]", func() { items = append(items, p.cond()) })
			return collect(items, false)
		case "{":
			return p.dict()
		}
		p.pos--
	case tTag:
		p.pos--
	}
	p.fail("expected an expression, found %v", p.peek())
	return nil
}

// listed reads items up to end, with commas between them.
func (p *parser) listed(end string, item func()) {
	for first := true; !p.skip(tOp, end); first = false {
		if !first {
			if p.want(tOp, ","); p.skip(tOp, end) {
				return
			}
		}
		item()
	}
}

func (p *parser) dict() expr {
	var keys, vals []expr
	p.listed("}", func() {
		keys = append(keys, p.cond())
		p.want(tOp, ":")
		vals = append(vals, p.cond())
	})
	return func(s *state) any {
		d := &dict{}
		s.spend(64 * len(keys))
		for i, k := range keys {
			key := k(s)
			if !hashable(key) {
				s.fail("%s cannot be a key", typeName(key))
			}
			d.set(key, vals[i](s))
		}
		return d
	}
}

// postfix reads .name, [item], [from:to] and calls.
func (p *parser) postfix(e expr) expr {
	for {
		of := e
		switch {
		case p.skip(tOp, "."):
			p.part()
			p.last = nil
			if t := p.peek(); t.kind == tInt {
				p.pos++
				i, _ := strconv.Atoi(t.text)
				e = func(s *state) any { return s.item(of(s), i) }
				continue
			}
			name := p.name()
			e = func(s *state) any { s.spend(1); return s.attr(of(s), name) }
		case p.skip(tOp, "["):
			p.part()
			e = p.subscript(of)
			p.last = nil
		case p.is(tOp, "("):
			p.part()
			c := &call{of, p.args()}
			p.last = c
			e = func(s *state) any { return c.invoke(s) }
		default:
			return e
		}
	}
}

// subscript reads what stands in brackets behind a value.
func (p *parser) subscript(of expr) expr {
	var parts [3]expr
	n := 0
	for {
		if !p.is(tOp, ":") && !p.is(tOp, "]") {
			parts[n] = p.cond()
		}
		if n == 2 || !p.skip(tOp, ":") {
			break
		}
		n++
	}
	if n == 0 && parts[0] == nil {
		p.fail("[] without an index")
	}
	p.want(tOp, "]")
	if n == 0 {
		return func(s *state) any {
			s.spend(1)
			v := of(s)
			return s.item(v, parts[0](s))
		}
	}
	return func(s *state) any {
		v := of(s)
		var bounds [3]any
		for i, e := range parts {
			if e != nil {
				bounds[i] = e(s)
			}
		}
		return s.slice(v, bounds[0], bounds[1], bounds[2])
	}
}

// args are evaluated arguments.
type args struct {
	pos []any
	kw  []keyword
}

type keyword struct {
	name  string
	value any
}

// absent is what bind returns for an argument that was not given.
var absent any = &function{name: "absent"}

// bind brings arguments into the order of names; surplus and unknown ones are failures.
func (a args) bind(s *state, what string, names ...string) []any {
	if len(a.pos) > len(names) {
		s.fail("%s takes at most %d arguments, not %d", what, len(names), len(a.pos))
	}
	list := append(make([]any, 0, len(names)), a.pos...)
	for len(list) < len(names) {
		list = append(list, absent)
	}
	for _, k := range a.kw {
		i := slices.Index(names, k.name)
		if i < 0 {
			s.fail("%s takes no argument %s", what, k.name)
		}
		if list[i] != absent {
			s.fail("%s has argument %s twice", what, k.name)
		}
		list[i] = k.value
	}
	return list
}

// argList are arguments before they are evaluated; those by position have the name "", those from a list or a dict "*" or "**".
type argList struct {
	names  []string
	values []expr
}

func (p *parser) args() (l argList) {
	p.want(tOp, "(")
	p.listed(")", func() {
		for _, many := range []string{"*", "**"} { // all of a list, all of a dict
			if p.is(tOp, many) {
				p.pos++
				l.names, l.values = append(l.names, many), append(l.values, p.cond())
				return
			}
		}
		name := ""
		if t := p.toks[p.pos+1]; p.peek().kind == tName && t.kind == tOp && t.text == "=" {
			name = p.name()
			p.pos++
		} else if n := len(l.names); n > 0 && l.names[n-1] != "" && l.names[n-1] != "*" {
			p.fail("an argument without a name behind one with a name")
		}
		l.names, l.values = append(l.names, name), append(l.values, p.cond())
	})
	return l
}

func (l argList) eval(s *state) (a args) {
	for i, e := range l.values {
		v := e(s)
		s.spend(16 + size(v))
		switch l.names[i] {
		case "":
			a.pos = append(a.pos, v)
		case "*":
			a.pos = append(a.pos, s.iterate(v)...)
		case "**":
			d, ok := v.(*dict)
			if !ok {
				s.fail("arguments by name must come from a dict")
			}
			for j, k := range d.keys {
				name, ok := k.(string)
				if !ok {
					s.fail("arguments by name must have texts as names")
				}
				a.kw = append(a.kw, keyword{name, d.vals[j]})
			}
		default:
			a.kw = append(a.kw, keyword{l.names[i], v})
		}
	}
	return a
}

// call is a call in an expression.
type call struct {
	of   expr
	args argList
}

// invoke calls with more arguments by name.
func (c *call) invoke(s *state, more ...keyword) any {
	s.spend(8)
	v := c.of(s)
	f, ok := v.(*function)
	if !ok {
		if u, is := v.(undefined); is {
			s.fail("%s is undefined, so it cannot be called", u.what)
		}
		s.fail("a %s cannot be called", typeName(v))
	}
	a := c.args.eval(s)
	a.kw = append(a.kw, more...)
	return f.call(s, a)
}

// filter reads a filter behind "|".
func (p *parser) filter(of expr) expr {
	p.part()
	name := p.name()
	var l argList
	if p.is(tOp, "(") {
		l = p.args()
	}
	return func(s *state) any {
		v := of(s)
		return s.filter(name, v, l.eval(s))
	}
}

// filter applies a filter to v.
func (s *state) filter(name string, v any, a args) any {
	f := filters[name]
	if f == nil {
		s.fail("unknown filter '%s'", name)
	}
	s.spend(8 + size(v))
	return f(s, v, a)
}

// test reads a test behind "is".
func (p *parser) test(of expr) expr {
	p.part()
	negate := p.skip(tName, "not")
	name := p.name()
	var l argList
	switch t := p.peek(); {
	case p.is(tOp, "("):
		l = p.args()
	case t.kind == tName && !slices.Contains([]string{"else", "or", "and", "is", "if", "in", "not"}, t.text),
		t.kind == tString, t.kind == tInt, t.kind == tFloat, p.is(tOp, "["), p.is(tOp, "{"):
		l = argList{[]string{""}, []expr{p.postfix(p.primary())}}
	}
	return func(s *state) any {
		v := of(s)
		return s.test(name, v, l.eval(s)) != negate
	}
}

// test applies a test to v.
func (s *state) test(name string, v any, a args) bool {
	f := tests[name]
	if f == nil {
		s.fail("unknown test '%s'", name)
	}
	s.spend(4)
	return f(s, v, a)
}
