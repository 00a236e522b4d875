// Package jinja renders the part of Jinja2 that chat templates use, with the
// results of Jinja2 (the Python library) as transformers sets it up:
// trim_blocks, lstrip_blocks, break and continue, {% generation %}, and the
// immutable sandbox.
//
//	t, err := jinja.Parse("{{ messages[0]['content'] | trim }}")
//	messages, err := jinja.FromJSON([]byte(`[{"role": "user", "content": " Hi "}]`))
//	text, err := t.Render(map[string]any{"messages": messages}, 1<<20)
//
// Templates may come from strangers. They see the values given to Render and
// nothing else: there are no files, so include, import and extends are errors,
// and no clock. A bound on work, which counts steps and bytes, ends whatever
// takes too long or too much memory; nesting is bounded too. The same template
// and values give the same text or the same error, always.
//
// What would change the text is an error rather than skipped: unknown tags,
// filters, tests, arguments and recursive loops. Known differences: "safe" and "escape" give a
// plain string, whole numbers have 64 bits, generators and views are lists, letters
// change their case one by one (so "ß" stays in upper case).
package jinja

import (
	"fmt"
	"strings"
)

// maxSource bounds a template, in bytes; maxParts the parts of the expressions
// in one tag, maxNesting blocks in blocks, maxCalls macros in macros. Together
// they bound the stack.
const (
	maxSource  = 1 << 20
	maxParts   = 1 << 14
	maxNesting = 100
	maxCalls   = 100
)

// scopeCost is the work that a new scope counts for: about its bytes.
const scopeCost = 256

// maxRange is that of Jinja2's sandbox.
const maxRange = 100_000

// Template is made by Parse. It never changes and may be used by many goroutines.
type Template struct{ body []stmt }

// Parse reads a template. An error names the line.
func Parse(source string) (t *Template, err error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("the template has %d bytes, at most %d are read", len(source), maxSource)
	}
	defer catch(&err)
	p := &parser{toks: lex(source)}
	body, _ := p.body()
	return &Template{body}, nil
}

// Func is a function that a template can call, with its arguments by position.
type Func func(args []any) (any, error)

// Render renders t. The values of vars are nil, bool, int, float64, string,
// Func, or what FromJSON returns. work bounds steps taken plus bytes made. An
// error names the line.
func (t *Template) Render(vars map[string]any, work int) (text string, err error) {
	defer catch(&err)
	s := &state{out: &strings.Builder{}, left: work, work: work, scope: &scope{vars: map[string]any{}}}
	for name, v := range globals {
		s.scope.vars[name] = v
	}
	for name, v := range vars {
		if f, ok := v.(Func); ok {
			v = wrap(name, f)
		}
		s.scope.vars[name] = v
	}
	s.run(t.body)
	return s.out.String(), nil
}

func wrap(name string, f Func) *function {
	return &function{name, func(s *state, a args) any {
		if a.kw != nil {
			s.fail("%s takes no arguments by name", name)
		}
		v, err := f(a.pos)
		if err != nil {
			s.fail("%v", err)
		}
		return v
	}}
}

// stmt does what a tag says; expr returns the value of an expression. Both
// panic with a failure.
type (
	stmt func(s *state) flow
	expr func(s *state) any
)

// flow is how a statement ended.
type flow int

const (
	next flow = iota
	breaks
	continues
)

// state of a Render.
type state struct {
	out   *strings.Builder
	scope *scope
	line  int
	left  int // of work
	work  int
	calls int // of macros, at the moment
}

type scope struct {
	vars map[string]any
	up   *scope
}

func (s *state) fail(format string, a ...any) {
	panic(&failure{s.line, fmt.Sprintf(format, a...)})
}

// spend counts work.
func (s *state) spend(n int) {
	if s.left -= n; s.left < 0 || n < 0 {
		s.fail("the template takes more than %d steps and bytes: it may loop without end", s.work)
	}
}

func (s *state) lookup(name string) any {
	for at := s.scope; at != nil; at = at.up {
		if v, ok := at.vars[name]; ok {
			return v
		}
	}
	return undefined{"'" + name + "'"}
}

func (s *state) run(body []stmt) flow {
	for _, st := range body {
		s.spend(1)
		if f := st(s); f != next {
			return f
		}
	}
	return next
}

// inner runs body with a scope of its own, in which vars are set.
func (s *state) inner(vars map[string]any, body []stmt) flow {
	if vars == nil {
		vars = map[string]any{}
	}
	outer := s.scope
	s.scope = &scope{vars, outer}
	s.spend(scopeCost)
	f := s.run(body)
	s.scope = outer
	return f
}

// capture returns what body writes, run with a scope of its own.
func (s *state) capture(body []stmt) string {
	out := s.out
	s.out = &strings.Builder{}
	if s.inner(nil, body) != next {
		s.fail("break or continue out of a block whose text is kept")
	}
	text := s.out.String()
	s.out = out
	return text
}

func (s *state) write(text string) {
	s.spend(len(text))
	s.out.WriteString(text)
}
