package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	tData   kind = iota
	tTag         // "{{", "}}", "{%", "%}"
	tName        // a word: also and, or, true, ..
	tString      // decoded
	tInt
	tFloat
	tOp
	tEnd // of the template
)

type token struct {
	kind kind
	text string
	line int
}

func (t token) String() string {
	switch t.kind {
	case tEnd:
		return "the end of the template"
	case tString:
		return strconv.Quote(t.text)
	}
	return "'" + t.text + "'"
}

// failure is what the package panics with; Parse and Render return it as an error.
type failure struct {
	line int
	text string
}

func (f *failure) Error() string { return fmt.Sprintf("line %d: %s", f.line, f.text) }

// catch turns a panic with a failure into an error.
func catch(err *error) {
	switch f := recover().(type) {
	case nil:
	case *failure:
		*err = f
	default:
		panic(f)
	}
}

// isSpace is str.isspace of Python.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// isWord reports whether r may stand in a name.
func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// lexer cuts a template into tokens, with the white space that Jinja leaves out
// with trim_blocks (a line break after a block or comment) and lstrip_blocks
// (what stands before one on its line).
type lexer struct {
	src   string
	pos   int
	line  int
	fresh bool // a line starts at pos
	list  []token
}

func lex(src string) []token {
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, fresh: true}
	for l.pos < len(l.src) {
		l.part()
	}
	l.emit(tEnd, "")
	return l.list
}

func (l *lexer) fail(format string, a ...any) {
	panic(&failure{l.line, fmt.Sprintf(format, a...)})
}

func (l *lexer) emit(k kind, text string) { l.list = append(l.list, token{k, text, l.line}) }

func (l *lexer) rest() string { return l.src[l.pos:] }

// skip moves on by n bytes.
func (l *lexer) skip(n int) {
	passed := l.src[l.pos : l.pos+n]
	l.line += strings.Count(passed, "\n")
	l.fresh = strings.HasSuffix(passed, "\n")
	l.pos += n
}

func (l *lexer) skipSpace() {
	if n := len(l.rest()) - len(strings.TrimLeftFunc(l.rest(), isSpace)); n > 0 {
		l.skip(n)
	}
}

// part reads the text up to a tag, and the tag.
func (l *lexer) part() {
	i := 0
	rest := l.rest()
	for ; i < len(rest); i++ {
		if rest[i] == '{' && i+1 < len(rest) && strings.IndexByte("{%#", rest[i+1]) >= 0 {
			break
		}
	}
	if i == len(rest) {
		l.emit(tData, rest)
		l.pos = len(l.src)
		return
	}
	text, open := rest[:i], rest[i:i+2]
	sign := byte(0)
	if i+2 < len(rest) && (rest[i+2] == '-' || rest[i+2] == '+') {
		sign = rest[i+2]
	}
	if text = l.before(text, open, sign); text != "" {
		l.emit(tData, text)
	}
	l.skip(i + 2)
	if sign != 0 {
		l.skip(1)
	}
	switch {
	case open == "{#":
		n := strings.Index(l.rest(), "#}")
		if n < 0 {
			l.fail("a comment without an end")
		}
		if n > 0 && (l.rest()[n-1] == '-' || l.rest()[n-1] == '+') {
			n--
		}
		l.skip(n)
		l.close("#}")
	case open == "{%" && l.raw():
	default:
		l.emit(tTag, open)
		l.inside(map[string]string{"{{": "}}", "{%": "%}"}[open])
	}
}

// before cuts the white space before a tag.
func (l *lexer) before(text, open string, sign byte) string {
	if sign == '-' {
		return strings.TrimRightFunc(text, isSpace)
	}
	start := strings.LastIndexByte(text, '\n') + 1
	if sign == 0 && open != "{{" && (start > 0 || l.fresh) && strings.TrimLeftFunc(text[start:], isSpace) == "" {
		return text[:start]
	}
	return text
}

// close reads the end of a tag if it is there, and the white space that goes with it.
func (l *lexer) close(end string) bool {
	switch rest := l.rest(); {
	case strings.HasPrefix(rest, "-"+end):
		l.skip(1 + len(end))
		keep := strings.TrimLeftFunc(l.rest(), isSpace)
		if n := len(l.rest()) - len(keep); n > 0 {
			l.skip(n)
		}
	case strings.HasPrefix(rest, "+"+end) && end != "}}":
		l.skip(1 + len(end))
	case strings.HasPrefix(rest, end+"\n") && end != "}}":
		l.skip(len(end) + 1)
	case strings.HasPrefix(rest, end):
		l.skip(len(end))
	default:
		return false
	}
	return true
}

// raw reads {% raw %} to {% endraw %}, if it is there; l stands behind {%.
func (l *lexer) raw() bool {
	word := func(s, word string) (string, bool) {
		s, ok := strings.CutPrefix(strings.TrimLeftFunc(s, isSpace), word)
		return strings.TrimLeftFunc(s, isSpace), ok
	}
	after, ok := word(l.rest(), "raw")
	if !ok || !strings.HasPrefix(after, "%}") && !strings.HasPrefix(after, "-%}") {
		return false
	}
	dash := after[0] == '-'
	l.skip(len(l.rest()) - len(after))
	l.skip(strings.Index(after, "%}") + 2)
	if dash {
		l.skipSpace()
	}
	rest := l.rest()
	for i := 0; i < len(rest); i++ {
		if !strings.HasPrefix(rest[i:], "{%") {
			continue
		}
		tail, sign := rest[i+2:], byte(0)
		if tail != "" && (tail[0] == '-' || tail[0] == '+') {
			tail, sign = tail[1:], tail[0]
		}
		if tail, ok = word(tail, "endraw"); !ok {
			continue
		}
		if text := l.before(rest[:i], "{%", sign); text != "" {
			l.emit(tData, text)
		}
		l.skip(len(rest) - len(tail))
		if l.close("%}") {
			return true
		}
		break
	}
	l.fail("{%% raw %%} without {%% endraw %%}")
	return false
}

// inside reads the tokens of a tag that ends with end.
func (l *lexer) inside(end string) {
	var open []byte // brackets that wait for their ends
	for {
		l.skipSpace()
		at := l.line
		if len(open) == 0 && l.close(end) {
			l.list = append(l.list, token{tTag, end, at})
			return
		}
		rest := l.rest()
		if rest == "" {
			l.fail("a tag without %s", end)
		}
		r, _ := utf8.DecodeRuneInString(rest)
		switch {
		case r == '"' || r == '\'':
			l.quoted(byte(r))
		case r >= '0' && r <= '9':
			l.number()
		case isWord(r):
			n := strings.IndexFunc(rest, func(r rune) bool { return !isWord(r) })
			if n < 0 {
				n = len(rest)
			}
			l.emit(tName, rest[:n])
			l.skip(n)
		default:
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(rest, o) {
					op = o
					break
				}
			}
			switch op {
			case "":
				l.fail("unexpected character %q", r)
			case "(", "[", "{":
				open = append(open, map[string]byte{"(": ')', "[": ']', "{": '}'}[op])
			case ")", "]", "}":
				if len(open) == 0 || open[len(open)-1] != op[0] {
					l.fail("unexpected '%s'", op)
				}
				open = open[:len(open)-1]
			}
			l.emit(tOp, op)
			l.skip(len(op))
		}
	}
}

// operators are in the order in which they are tried.
var operators = strings.Fields("** // == != >= <= + - / * % ~ [ ] ( ) { } > < = . : | ,")

func (l *lexer) number() {
	rest := l.rest()
	digits := func(n int) int {
		for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] == '_' && n > 0) {
			n++
		}
		return n
	}
	n, k := digits(0), tInt
	if n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
		n, k = digits(n+1), tFloat
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		m := n + 1
		if m < len(rest) && (rest[m] == '+' || rest[m] == '-') {
			m++
		}
		if e := digits(m); e > m {
			n, k = e, tFloat
		}
	}
	l.emit(k, strings.ReplaceAll(rest[:n], "_", ""))
	l.skip(n)
}

// quoted reads a string literal.
func (l *lexer) quoted(quote byte) {
	rest := l.rest()
	n := 1
	for ; n < len(rest) && rest[n] != quote; n++ {
		if rest[n] == '\\' {
			n++
		}
	}
	if n >= len(rest) {
		l.fail("a string without an end")
	}
	l.emit(tString, l.unescape(rest[1:n]))
	l.skip(n + 1)
}

// unescape follows Python's string literals.
func (l *lexer) unescape(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+1 == len(s) {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		c := s[i+1]
		s = s[i+2:]
		if j := strings.IndexByte("abfnrtv\\'\"\n", c); j >= 0 {
			if c != '\n' { // a line that goes on
				b.WriteByte("\a\b\f\n\r\t\v\\'\""[j])
			}
			continue
		}
		n, base := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c], 16
		if c >= '0' && c <= '7' { // up to three octal digits
			s, base = string(c)+s, 8
			for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
				n++
			}
		}
		if n == 0 { // no escape at all
			b.WriteByte('\\')
			b.WriteByte(c)
			continue
		}
		if n > len(s) {
			l.fail("a broken \\%c in a string", c)
		}
		v, err := strconv.ParseUint(s[:n], base, 32)
		if err != nil || v > unicode.MaxRune {
			l.fail("a broken \\%c in a string", c)
		}
		b.WriteRune(rune(v))
		s = s[n:]
	}
}
