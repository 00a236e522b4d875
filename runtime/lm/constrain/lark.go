package constrain

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// isLark tells a grammar in Lark's notation, in which a colon stands behind the name of a rule.
func isLark(text string) bool {
	return !strings.Contains(text, "::=") && larkRule.MatchString(text)
}

var larkRule = regexp.MustCompile(`(?m)^\s*[?!]{0,2}[A-Za-z_][A-Za-z0-9_]*(\.-?[0-9]+)?\s*:`)

// lark reads grammars in the notation of Lark, whose rule start is the text:
//
//	start: "let" NAME "=" expr   // a comment
//	?expr: expr "+" term | term
//	term: NUMBER | "(" expr ")"
//	NAME: /[a-z]+/
//	%import common.NUMBER
//	%ignore " "
//
// Priorities, aliases and the marks ? and ! are about trees, which there are none of. What is ignored is written as one space at
// most, if a space is.
type lark struct {
	*ebnf
	space bool   // one may stand between the items of a rule
	own   string // the rule that is read
}

// common are the terminals of Lark's library that can be imported. Those without bound have one.
var common = map[string]string{
	"DIGIT": `[0-9]`, "HEXDIGIT": `[a-fA-F0-9]`, "INT": `[0-9]{1,15}`, "SIGNED_INT": `[+-]?[0-9]{1,15}`, "DECIMAL": `[0-9]{1,15}\.[0-9]{0,15}|\.[0-9]{1,15}`,
	"FLOAT": `[0-9]{1,15}\.[0-9]{1,15}`, "SIGNED_FLOAT": `[+-]?[0-9]{1,15}\.[0-9]{1,15}`, "NUMBER": `[0-9]{1,15}(\.[0-9]{1,15})?`, "SIGNED_NUMBER": `[+-]?[0-9]{1,15}(\.[0-9]{1,15})?`,
	"ESCAPED_STRING": `"([^"\\\n]|\\[^\n])*"`, "LCASE_LETTER": `[a-z]`, "UCASE_LETTER": `[A-Z]`, "LETTER": `[a-zA-Z]`, "WORD": `[a-zA-Z]+`, "CNAME": `[_a-zA-Z][_a-zA-Z0-9]*`,
	"WS": ` `, "WS_INLINE": ` `, "NEWLINE": `\n`, "CR": `\r`, "LF": `\n`,
}

func (b *builder) lark(text string) int32 {
	p := &lark{ebnf: b.newEBNF(text)}
	// What is ignored concerns every rule, those before it too.
	for line := range strings.Lines(text) {
		if word, ok := strings.CutPrefix(strings.TrimSpace(line), "%ignore"); ok {
			word, _, _ = strings.Cut(word, "//")
			p.space = p.space || p.isSpace(strings.TrimSpace(word), 0)
		}
	}
	for p.skip(true); p.rest != ""; p.skip(true) {
		if p.take("%") {
			p.directive()
			continue
		}
		p.rest = strings.TrimLeft(p.rest, "?!")
		name := p.name()
		if p.take(".") {
			p.rest = strings.TrimLeft(p.rest, "-0123456789")
		}
		p.skip(false)
		if !p.take(":") {
			p.fail("want : behind the name of a rule")
		}
		p.own = name
		body := p.alternatives(0)
		p.skip(false)
		p.set(name, body)
	}
	return p.root("start")
}

// isSpace tells whether what is ignored may be a space: by its name, behind so many others, or as an expression or a text.
func (p *lark) isSpace(word string, names int) bool {
	switch {
	case names > maxDepth: // which stand for each other
		return false
	case strings.HasPrefix(word, `"`):
		return word == `" "`
	case strings.HasPrefix(word, "/"):
		word = strings.Trim(word, "/imsux")
	default:
		for line := range strings.Lines(p.all) {
			name, body, ok := strings.Cut(line, ":")
			if ok && strings.TrimSpace(name) == word {
				return p.isSpace(strings.TrimSpace(body), names+1)
			}
		}
		return word == "WS" || word == "WS_INLINE"
	}
	e, err := regexp.Compile("^(" + word + ")$")
	return err == nil && e.MatchString(" ")
}

// skip goes over white space and comments.
func (p *lark) skip(lines bool) {
	for {
		p.blank(lines)
		if !strings.HasPrefix(p.rest, "//") {
			return
		}
		if _, after, ok := strings.Cut(p.rest, "\n"); ok {
			p.rest = "\n" + after
		} else {
			p.rest = ""
		}
	}
}

// directive reads %import and %ignore.
func (p *lark) directive() {
	switch word := p.name(); word {
	case "ignore":
		_, p.rest, _ = strings.Cut(p.rest, "\n")
	case "import":
		p.skip(false)
		if !p.take("common") {
			p.fail("only terminals of common can be imported")
		}
		names := func(name, as string) {
			form, ok := common[name]
			if !ok {
				p.fail("common.%.40s is not supported", name)
			}
			if p.defined[as] {
				p.fail("rule %q is there twice", as)
			}
			p.defined[as] = true
			p.b.define(p.rule(as), p.b.text(p.b.regex(form, true), plain))
		}
		if p.take(".") {
			name := p.name()
			as := name
			if p.skip(false); p.take("->") {
				p.skip(false)
				as = p.name()
			}
			names(name, as)
			return
		}
		p.skip(false)
		if !p.take("(") {
			p.fail("want common.NAME, or common (NAME, ..)")
		}
		for {
			p.skip(true)
			name := p.name()
			names(name, name)
			if p.skip(true); p.take(")") {
				return
			}
			if !p.take(",") {
				p.fail("want , or )")
			}
		}
	default:
		p.fail("%%%.40s is not supported", word)
	}
}

// alternatives reads a | b -> alias | c; within tells how many brackets are open.
func (p *lark) alternatives(within int) expr {
	if within > maxDepth {
		p.fail("brackets nested more than %d deep", maxDepth)
	}
	var base, more []expr // more: behind a beginning that is the rule itself
	for {
		e, again := p.sequence(within)
		if again {
			more = append(more, e)
		} else {
			base = append(base, e)
		}
		if p.take("->") {
			p.skip(false)
			p.name()
		}
		rest := p.rest
		p.skip(true)
		if !p.take("|") {
			if within == 0 {
				p.rest = rest
			}
			break
		}
	}
	if more == nil {
		return alt(base...)
	}
	return seq(alt(base...), rep(alt(more...), 0, -1))
}

// sequence reads items, and tells whether the first is the rule itself: that one is left out.
func (p *lark) sequence(within int) (e expr, again bool) {
	var list []expr
	for first := true; ; first = false {
		p.skip(within > 0)
		p.b.spend(1)
		if p.rest == "" || strings.IndexByte("|)]\r\n", p.rest[0]) >= 0 || strings.HasPrefix(p.rest, "->") {
			return seq(list...), again
		}
		if first && within == 0 && p.itself() {
			again = true
			continue
		}
		if !first {
			list = append(list, p.between())
		}
		list = append(list, p.times(p.item(within)))
	}
}

// between is what is ignored; terminals are whole.
func (p *lark) between() expr {
	if p.space && p.own != strings.ToUpper(p.own) {
		return opt(lit(" "))
	}
	return seq()
}

// itself goes over the name of the rule that is read, if it stands here and is not repeated.
func (p *lark) itself() bool {
	rest, ok := strings.CutPrefix(p.rest, p.own)
	if ok = ok && (rest == "" || !isName(rest[0]) && strings.IndexByte("*+?~", rest[0]) < 0); ok {
		p.rest = rest
	}
	return ok
}

func (p *lark) item(within int) expr {
	switch c := p.rest[0]; {
	case c == '"':
		text := p.text()
		if p.take("..") {
			last := ""
			if strings.HasPrefix(p.rest, `"`) {
				last = p.text()
			}
			if utf8.RuneCountInString(text) != 1 || utf8.RuneCountInString(last) != 1 || last < text {
				p.fail(`want a range such as "a".."z"`)
			}
			lo, _ := utf8.DecodeRuneInString(text)
			hi, _ := utf8.DecodeRuneInString(last)
			return class(runes{lo, hi})
		}
		if p.take("i") {
			return p.b.text(p.b.regex("(?i)"+regexp.QuoteMeta(text), true), plain)
		}
		return lit(text)
	case c == '/':
		return p.expression()
	case p.take("("):
		e := p.alternatives(within + 1)
		if p.skip(true); !p.take(")") {
			p.fail("want )")
		}
		return e
	case p.take("["):
		e := p.alternatives(within + 1)
		if p.skip(true); !p.take("]") {
			p.fail("want ]")
		}
		return opt(e)
	case isName(c):
		return p.use()
	}
	p.fail("want a text, an expression, a name or a bracket")
	return nil
}

// text reads "..".
func (p *lark) text() string {
	p.take(`"`)
	var text []byte
	for !p.take(`"`) {
		text = utf8.AppendRune(text, p.char(`"`))
	}
	return string(text)
}

// expression reads /../ with its flags.
func (p *lark) expression() expr {
	end := 1
	for end < len(p.rest) && p.rest[end] != '/' && p.rest[end] != '\n' {
		if p.rest[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.rest) || p.rest[end] != '/' {
		p.fail("want / before the end of the line")
	}
	text := p.rest[1:end]
	n := end + 1
	for n < len(p.rest) && strings.IndexByte("ims", p.rest[n]) >= 0 {
		n++
	}
	if flags := p.rest[end+1 : n]; flags != "" {
		text = "(?" + flags + ")" + text
	}
	p.rest = p.rest[n:]
	return p.b.text(p.b.regex(text, true), plain)
}

// times reads what may stand behind an item: * + ? ~n ~n..m.
func (p *lark) times(e expr) expr {
	if rest := strings.TrimLeft(p.rest, " \t"); strings.HasPrefix(rest, "~") {
		p.rest = strings.TrimLeft(rest[1:], " \t")
		number := func() int {
			digits := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
			n, err := strconv.Atoi(p.rest[:digits])
			if err != nil || n > maxCount {
				p.fail("want a number of %d at most", maxCount)
			}
			p.rest = p.rest[digits:]
			return n
		}
		least := number()
		most := least
		if p.take("..") {
			most = number()
		}
		if most < least {
			p.fail("a range that ends before it begins")
		}
		return p.spaced(e, least, most)
	}
	switch {
	case p.take("*"):
		return p.spaced(e, 0, -1)
	case p.take("+"):
		return p.spaced(e, 1, -1)
	case p.take("?"):
		return opt(e)
	}
	return e
}

// spaced repeats an item with what is ignored between.
func (p *lark) spaced(e expr, least, most int) expr {
	more := seq(p.between(), e)
	switch {
	case most == 0:
		return seq()
	case least == 0:
		return opt(p.spaced(e, 1, most))
	case most < 0:
		return seq(e, rep(more, least-1, -1))
	}
	return seq(e, rep(more, least-1, most-1))
}
