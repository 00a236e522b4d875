package constrain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// grammar is the rule root of a grammar in the notation of llama.cpp (GBNF), which is also xgrammar's EBNF:
//
//	root  ::= "answer: " (word | number)+   # a comment
//	word  ::= [a-z]{1,12}
//	number ::= [0-9]+ ("." [0-9]+)?
//
// Texts and classes know \n \r \t \" \\ \] \- \xHH \uHHHH \UHHHHHHHH; . is any character. A rule ends where the line
// does, unless in parentheses, behind | or before it.
func (b *builder) grammar(text string) int32 {
	if isLark(text) {
		return b.lark(text)
	}
	p := b.newEBNF(text)
	for p.blank(true); p.rest != ""; p.blank(true) {
		name := p.name()
		p.blank(false)
		if !p.take("::=") {
			p.fail("want ::= behind the name of a rule")
		}
		p.blank(true)
		p.set(name, p.alternatives(0))
	}
	return p.root("root")
}

// ebnf reads a grammar's text.
type ebnf struct {
	b         *builder
	all, rest string
	rules     map[string]int32
	defined   map[string]bool
	used      map[string]string // where a rule is first asked for
}

func (b *builder) newEBNF(text string) *ebnf {
	if len(text) > maxSpec {
		b.fail("a grammar of %d bytes, %d at most", len(text), maxSpec)
	}
	if !utf8.ValidString(text) {
		b.fail("the grammar is not UTF-8")
	}
	return &ebnf{b: b, all: text, rest: text, rules: map[string]int32{}, defined: map[string]bool{}, used: map[string]string{}}
}

// set gives a rule its body, behind which the line ends.
func (p *ebnf) set(name string, body expr) {
	if p.defined[name] {
		p.fail("rule %q is there twice", name)
	}
	p.defined[name] = true
	p.b.define(p.rule(name), body)
	if p.rest != "" && p.rest[0] != '\n' && p.rest[0] != '\r' {
		p.fail("want the end of the line")
	}
}

// use reads the name of a rule that is asked for.
func (p *ebnf) use() expr {
	where := p.where()
	name := p.name()
	if p.used[name] == "" {
		p.used[name] = where
	}
	return ref(p.rule(name))
}

// root is the rule that is the text, when all rules that are asked for are there.
func (p *ebnf) root(name string) int32 {
	if !p.defined[name] {
		p.b.fail("grammar: no rule is called %s", name)
	}
	for name, where := range p.used {
		if !p.defined[name] {
			p.b.fail("grammar, %s: there is no rule %q", where, name)
		}
	}
	return p.rules[name]
}

func (p *ebnf) where() string {
	return fmt.Sprintf("line %d", 1+strings.Count(p.all[:len(p.all)-len(p.rest)], "\n"))
}

func (p *ebnf) fail(format string, args ...any) {
	near, _, _ := strings.Cut(p.rest, "\n")
	p.b.fail("grammar, %s, before %.40q: %s", p.where(), near, fmt.Sprintf(format, args...))
}

func (p *ebnf) take(s string) (ok bool) {
	p.rest, ok = strings.CutPrefix(p.rest, s)
	return ok
}

// blank goes over white space and comments, over lines too if asked.
func (p *ebnf) blank(lines bool) {
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == ' ', c == '\t', lines && (c == '\n' || c == '\r'):
			p.rest = p.rest[1:]
		case c == '#':
			if i := strings.IndexByte(p.rest, '\n'); i >= 0 {
				p.rest = p.rest[i:]
			} else {
				p.rest = ""
			}
		default:
			return
		}
	}
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func (p *ebnf) name() string {
	n := 0
	for n < len(p.rest) && isName(p.rest[n]) {
		n++
	}
	if n == 0 {
		p.fail("want the name of a rule")
	}
	name := p.rest[:n]
	p.rest = p.rest[n:]
	return name
}

func (p *ebnf) rule(name string) int32 {
	r, ok := p.rules[name]
	if !ok {
		r = p.b.declare(name)
		p.rules[name] = r
	}
	return r
}

// alternatives reads a | b | c; within tells how many parentheses are open.
func (p *ebnf) alternatives(within int) expr {
	if within > maxDepth {
		p.fail("parentheses nested more than %d deep", maxDepth)
	}
	var alts []expr
	for {
		alts = append(alts, p.sequence(within))
		rest := p.rest
		p.blank(true)
		if !p.take("|") {
			if within == 0 {
				p.rest = rest // the line's end counts
			}
			return alt(alts...)
		}
		p.blank(true)
	}
}

func (p *ebnf) sequence(within int) expr {
	var list []expr
	for {
		p.blank(within > 0)
		p.b.spend(1)
		if p.rest == "" || strings.IndexByte("|)\r\n", p.rest[0]) >= 0 {
			return seq(list...)
		}
		list = append(list, p.repeated(p.item(within)))
	}
}

func (p *ebnf) item(within int) expr {
	switch c := p.rest[0]; {
	case p.take(`"`):
		var text []byte
		for !p.take(`"`) {
			text = utf8.AppendRune(text, p.char(`"`))
		}
		return lit(string(text))
	case p.take("["):
		return p.class()
	case p.take("("):
		e := p.alternatives(within + 1)
		p.blank(true)
		if !p.take(")") {
			p.fail("want )")
		}
		return e
	case p.take("."):
		return class(anything...)
	case isName(c):
		return p.use()
	}
	p.fail("want a text, a class, a name or a parenthesis")
	return nil
}

// repeated reads what may stand behind an item: * + ? {m} {m,} {m,n}.
func (p *ebnf) repeated(e expr) expr {
	for {
		switch {
		case p.take("*"):
			e = rep(e, 0, -1)
		case p.take("+"):
			e = rep(e, 1, -1)
		case p.take("?"):
			e = rep(e, 0, 1)
		case p.take("{"):
			inside, rest, ok := strings.Cut(p.rest, "}")
			lo, hi, two := strings.Cut(inside, ",")
			least, err := strconv.Atoi(strings.TrimSpace(lo))
			most := least
			var err2 error
			if two {
				if most = -1; strings.TrimSpace(hi) != "" {
					most, err2 = strconv.Atoi(strings.TrimSpace(hi))
				}
			}
			if !ok || err != nil || err2 != nil || least < 0 || most >= 0 && most < least || max(least, most) > maxCount {
				p.fail("want {m}, {m,} or {m,n}, with numbers of %d at most", maxCount)
			}
			p.rest = rest
			e = rep(e, least, most)
		default:
			return e
		}
	}
}

// class reads the inside of [...].
func (p *ebnf) class() expr {
	not := p.take("^")
	var list []runes
	for !p.take("]") {
		lo := p.char("]")
		hi := lo
		if strings.HasPrefix(p.rest, "-") && !strings.HasPrefix(p.rest, "-]") {
			p.rest = p.rest[1:]
			hi = p.char("]")
		}
		if hi < lo {
			p.fail("a range that ends before it begins")
		}
		list = append(list, runes{lo, hi})
	}
	slices.SortFunc(list, func(a, b runes) int { return int(a.lo - b.lo) })
	if not {
		list = except(list)
	}
	return class(list...)
}

var escapes = map[byte]rune{'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '[': '[', ']': ']', '-': '-', '^': '^', '\'': '\'', '/': '/'}

// char reads one character of a text or class that end closes.
func (p *ebnf) char(end string) rune {
	r, n := utf8.DecodeRuneInString(p.rest)
	if n == 0 || r == '\n' {
		p.fail("want %s before the end of the line", end)
	}
	p.rest = p.rest[n:]
	if r != '\\' {
		return r
	}
	if p.rest == "" {
		p.fail("want a character behind \\")
	}
	c := p.rest[0]
	if e, ok := escapes[c]; ok {
		p.rest = p.rest[1:]
		return e
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits > 0 && len(p.rest) > digits {
		if v, err := strconv.ParseUint(p.rest[1:1+digits], 16, 32); err == nil && (v < 0xD800 || v > 0xDFFF) && v <= utf8.MaxRune {
			p.rest = p.rest[1+digits:]
			return rune(v)
		}
	}
	p.fail(`\%c is no escape`, c)
	return 0
}
