package jinja

import (
	"fmt"
	"slices"
)

// parser turns tokens into functions.
type parser struct {
	toks  []token
	pos   int
	parts int // of the tag at hand
	nest  int // blocks that are open
	loops int // of which loops
	last  *call
}

func (p *parser) fail(format string, a ...any) {
	panic(&failure{p.peek().line, fmt.Sprintf(format, a...)})
}

func (p *parser) peek() token { return p.toks[p.pos] }

func (p *parser) next() token {
	t := p.toks[p.pos]
	if t.kind != tEnd {
		p.pos++
	}
	return t
}

// is reports whether a token of that kind and text comes.
func (p *parser) is(k kind, text string) bool { t := p.peek(); return t.kind == k && t.text == text }

// skip reads a token if it comes.
func (p *parser) skip(k kind, text string) bool {
	if !p.is(k, text) {
		return false
	}
	p.pos++
	return true
}

func (p *parser) want(k kind, text string) {
	if !p.skip(k, text) {
		p.fail("expected '%s', found %v", text, p.peek())
	}
}

func (p *parser) name() string {
	t := p.peek()
	if t.kind != tName {
		p.fail("expected a name, found %v", t)
	}
	p.pos++
	return t.text
}

// part counts the parts of a tag; its calls are where recursion goes.
func (p *parser) part() {
	if p.parts++; p.parts > maxParts {
		p.fail("more than %d parts in one tag", maxParts)
	}
}

// body reads statements until a tag named one of ends, or the end of the template if there are none.
func (p *parser) body(ends ...string) (list []stmt, end string) {
	if p.nest++; p.nest > maxNesting {
		p.fail("more than %d blocks in one another", maxNesting)
	}
	defer func() { p.nest-- }()
	for {
		t := p.next()
		p.parts = 0
		switch {
		case t.kind == tData:
			list = append(list, func(s *state) flow { s.write(t.text); return next })
		case t.kind == tEnd && ends == nil:
			return list, ""
		case t.kind == tEnd:
			p.fail("the template ends where {%% %s %%} should come", ends[len(ends)-1])
		case t.text == "{{":
			e := p.tuple(p.cond)
			p.want(tTag, "}}")
			list = append(list, func(s *state) flow { s.line = t.line; s.write(s.str(e(s))); return next })
		default:
			name := p.name()
			if slices.Contains(ends, name) {
				return list, name
			}
			st := p.statement(name)
			list = append(list, func(s *state) flow { s.line = t.line; return st(s) })
		}
	}
}

// block reads the end of a tag, and statements to a tag that ends them.
func (p *parser) block(end string) []stmt {
	p.want(tTag, "%}")
	list, _ := p.body(end)
	p.want(tTag, "%}")
	return list
}

// statement reads a tag, and all up to its end tag; its name was read.
func (p *parser) statement(name string) (st stmt) {
	switch name {
	case "if":
		return p.ifTag()
	case "for":
		return p.forTag()
	case "macro":
		name := p.name()
		f := p.macro(p.params(), "endmacro")
		return func(s *state) flow { s.scope.vars[name] = f(s, name); return next }
	case "call":
		return p.callTag()
	case "generation": // marks what the model is trained on
		body := p.block("endgeneration")
		return func(s *state) flow { return s.inner(nil, body) }
	case "filter":
		var body []stmt
		e := p.filter(func(s *state) any { return s.capture(body) })
		for p.skip(tOp, "|") {
			e = p.filter(e)
		}
		body = p.block("endfilter")
		return func(s *state) flow { s.write(s.str(e(s))); return next }
	case "with":
		var names []string
		var values []expr
		for !p.is(tTag, "%}") {
			if names != nil {
				p.want(tOp, ",")
			}
			names = append(names, p.name())
			p.want(tOp, "=")
			values = append(values, p.cond())
		}
		body := p.block("endwith")
		return func(s *state) flow {
			vars := map[string]any{}
			for i, e := range values {
				vars[names[i]] = e(s)
			}
			return s.inner(vars, body)
		}
	case "set":
		return p.setTag()
	case "break", "continue":
		if p.loops == 0 {
			p.fail("%s outside of a loop", name)
		}
		f := map[string]flow{"break": breaks, "continue": continues}[name]
		st = func(s *state) flow { return f }
	case "include", "import", "from", "extends", "block":
		p.fail("{%% %s %%} is not allowed: a chat template is one text", name)
	default:
		p.fail("unknown tag {%% %s %%}", name)
	}
	p.want(tTag, "%}")
	return st
}

func (p *parser) ifTag() stmt {
	var conds []expr
	var bodies [][]stmt
	for word := "if"; word != "endif"; {
		if word == "else" {
			bodies = append(bodies, p.block("endif"))
			break
		}
		conds = append(conds, p.tuple(p.or))
		p.want(tTag, "%}")
		var body []stmt
		body, word = p.body("elif", "else", "endif")
		if bodies = append(bodies, body); word == "endif" {
			p.want(tTag, "%}")
		}
	}
	return func(s *state) flow {
		for i, body := range bodies {
			if i == len(conds) || truth(conds[i](s)) {
				return s.run(body)
			}
			s.spend(1)
		}
		return next
	}
}

func (p *parser) forTag() stmt {
	target := p.target()
	p.want(tName, "in")
	over := p.tuple(p.or)
	var test expr
	if p.skip(tName, "if") {
		test = p.cond()
	}
	if p.is(tName, "recursive") {
		p.fail("recursive loops are not supported")
	}
	p.want(tTag, "%}")
	p.loops++
	body, word := p.body("else", "endfor")
	p.loops--
	var otherwise []stmt
	if word == "else" {
		otherwise = p.block("endfor")
	} else {
		p.want(tTag, "%}")
	}
	return func(s *state) flow {
		items := s.iterate(over(s))
		outer := s.scope
		enter := func(item any) {
			s.spend(scopeCost)
			s.scope = &scope{map[string]any{}, outer}
			target(s, item)
		}
		if test != nil {
			var picked []any
			for _, item := range items {
				if enter(item); truth(test(s)) {
					s.spend(16)
					picked = append(picked, item)
				}
			}
			items = picked
		}
		loop, through := &loop{items: items}, false
		for i, item := range items {
			loop.at = i
			enter(item)
			s.scope.vars["loop"] = loop
			f := s.run(body)
			if through = through || f == next; f == breaks {
				break
			}
		}
		if s.scope = outer; !through { // as in Jinja2, also if every pass ended by break or continue
			return s.inner(nil, otherwise)
		}
		return next
	}
}

// target reads what a value is assigned to: names, more than one of them
// for the items of a list.
func (p *parser) target() func(s *state, v any) {
	p.part()
	var list []func(s *state, v any)
	for {
		if p.skip(tOp, "(") {
			list = append(list, p.target())
			p.want(tOp, ")")
		} else {
			name := p.name()
			list = append(list, func(s *state, v any) { s.scope.vars[name] = v })
		}
		if !p.skip(tOp, ",") {
			break
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return func(s *state, v any) {
		items := s.iterate(v)
		if len(items) != len(list) {
			s.fail("%d values for %d names", len(items), len(list))
		}
		for i, assign := range list {
			assign(s, items[i])
		}
	}
}

func (p *parser) setTag() stmt {
	var assign func(s *state, v any)
	if dot := p.toks[min(p.pos+1, len(p.toks)-1)]; dot.kind == tOp && dot.text == "." {
		name := p.name()
		p.want(tOp, ".")
		field := p.name()
		assign = func(s *state, v any) {
			ns, ok := s.lookup(name).(*namespace)
			if !ok {
				s.fail("set %s.%s: %s is no namespace", name, field, name)
			}
			s.spend(64)
			ns.set(field, v)
		}
	} else {
		assign = p.target()
	}
	if p.skip(tOp, "=") {
		e := p.tuple(p.cond)
		p.want(tTag, "%}")
		return func(s *state) flow { assign(s, e(s)); return next }
	}
	var body []stmt
	e := expr(func(s *state) any { return s.capture(body) })
	for p.skip(tOp, "|") {
		e = p.filter(e)
	}
	body = p.block("endset")
	return func(s *state) flow { assign(s, e(s)); return next }
}

// params of a macro; defaults are nil where there is none.
type params struct {
	names    []string
	defaults []expr
}

// params reads parameters in parentheses, if any.
func (p *parser) params() (ps params) {
	if !p.skip(tOp, "(") {
		return ps
	}
	for !p.skip(tOp, ")") {
		if ps.names != nil {
			p.want(tOp, ",")
		}
		name := p.name()
		if slices.Contains(ps.names, name) {
			p.fail("parameter %s comes twice", name)
		}
		ps.names, ps.defaults = append(ps.names, name), append(ps.defaults, nil)
		if p.skip(tOp, "=") {
			ps.defaults[len(ps.defaults)-1] = p.cond()
		}
	}
	return ps
}

// macro reads the body of a macro to its end tag. What it returns makes the macro.
func (p *parser) macro(ps params, end string) func(s *state, name string) *function {
	loops, from := p.loops, p.pos
	p.loops = 0 // no break out of a macro
	body := p.block(end)
	p.loops = loops
	uses := map[string]bool{} // caller, varargs, kwargs: what else it takes is by the names in its body, as in Jinja2
	for _, t := range p.toks[from:p.pos] {
		uses[t.text] = t.kind == tName && !slices.Contains(ps.names, t.text) || uses[t.text]
	}
	return func(s *state, name string) *function {
		home := s.scope
		return &function{name, func(s *state, a args) any {
			vars := map[string]any{}
			if uses["caller"] {
				vars["caller"] = undefined{"'caller'"}
				if n := len(a.kw) - 1; n >= 0 && a.kw[n].name == "caller" {
					vars["caller"], a.kw = a.kw[n].value, a.kw[:n]
				}
			}
			if more := max(len(a.pos)-len(ps.names), 0); uses["varargs"] {
				vars["varargs"] = &list{items: slices.Clone(a.pos[len(a.pos)-more:]), tuple: true}
				a.pos = a.pos[:len(a.pos)-more]
			}
			if uses["kwargs"] {
				rest, known := &dict{}, args{pos: a.pos}
				for _, k := range a.kw {
					if s.spend(64); slices.Contains(ps.names, k.name) {
						known.kw = append(known.kw, k)
					} else {
						rest.set(k.name, k.value)
					}
				}
				vars["kwargs"], a = rest, known
			}
			given := a.bind(s, name, ps.names...)
			if s.calls++; s.calls > maxCalls {
				s.fail("more than %d macros in one another", maxCalls)
			}
			line, from := s.line, s.scope
			s.scope = &scope{vars, home}
			s.spend(scopeCost + 16*len(given))
			for i, param := range ps.names {
				switch {
				case given[i] != absent:
					vars[param] = given[i]
				case ps.defaults[i] != nil:
					vars[param] = ps.defaults[i](s)
				default:
					vars[param] = undefined{"'" + param + "'"}
				}
			}
			text := s.capture(body)
			s.line, s.scope = line, from
			s.calls--
			return text
		}}
	}
}

// callTag calls a macro that can call the body of the tag.
func (p *parser) callTag() stmt {
	ps := p.params()
	p.last = nil
	p.postfix(p.primary())
	c := p.last
	if c == nil {
		p.fail("{%% call %%} wants a call")
	}
	body := p.macro(ps, "endcall")
	return func(s *state) flow {
		s.write(s.str(c.invoke(s, keyword{"caller", body(s, "caller")})))
		return next
	}
}
