package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// translate returns the expression for regexp2 that matches what re does in
// Oniguruma with Ruby's syntax, which the library uses, and refuses what it
// does not know: back references, named groups, properties inside &&, options
// but (?i:) round ASCII words. Differences that it bridges: ^ and $ stand at
// every line, ++ and the like are possessive, {n,m}+ is a repeat of a repeat,
// classes may hold classes, \w has its own characters.
func translate(re string) (string, error) {
	t := translator{re: re}
	if len(re) > 4096 {
		t.fail("longer than 4096 bytes")
	}
	out := t.alternatives(0)
	if t.err == nil && t.i < len(re) {
		t.fail("unbalanced parenthesis")
	}
	return out, t.err
}

// translator reads re from i on; the first error sticks and ends it.
type translator struct {
	re  string
	i   int
	err error
}

func (t *translator) fail(format string, a ...any) {
	if t.err == nil {
		t.err = unsupported("regex %.200q: "+format, append([]any{t.re}, a...)...)
	}
	t.i = len(t.re)
}

func (t *translator) rest() string { return t.re[t.i:] }

// take skips prefix if it comes next.
func (t *translator) take(prefix string) bool {
	ok := strings.HasPrefix(t.rest(), prefix)
	if ok {
		t.i += len(prefix)
	}
	return ok
}

func (t *translator) alternatives(depth int) string {
	if depth > 20 {
		t.fail("groups nested too deep")
	}
	var out strings.Builder
	for t.i < len(t.re) {
		switch {
		case t.re[t.i] == ')':
			return out.String()
		case t.take("|"):
			out.WriteByte('|')
		default:
			out.WriteString(t.repeats(t.atom(depth)))
		}
	}
	return out.String()
}

// atom is what a repeat behind it would repeat.
func (t *translator) atom(depth int) string {
	switch c := t.re[t.i]; c {
	case '\\':
		return t.escape(false)
	case '[':
		t.i++
		return t.set()
	case '(':
		t.i++
		return t.group(depth)
	case '^': // not behind a line break that ends the text
		t.i++
		return `(?:\A|(?<=\n)(?!\z))`
	case '$':
		t.i++
		return `(?=\n|\z)`
	case '*', '+', '?', '{':
		t.fail("nothing to repeat at %q", string(c))
		return ""
	}
	from := t.i
	_, n := utf8.DecodeRuneInString(t.rest())
	t.i += n
	return t.re[from:t.i]
}

// repeats reads the repeats behind an atom.
func (t *translator) repeats(atom string) string {
	for n := 0; t.i < len(t.re); n++ {
		var repeat string
		braces := t.re[t.i] == '{'
		switch t.re[t.i] {
		case '*', '+', '?':
			repeat = t.re[t.i : t.i+1]
			t.i++
		case '{':
			if repeat = t.braces(); t.err != nil {
				return ""
			}
		default:
			return atom
		}
		if n > 0 {
			atom = "(?:" + atom + ")"
		}
		switch {
		case !braces && t.take("+"):
			atom = "(?>" + atom + repeat + ")"
		case braces && !strings.Contains(repeat, ",") && t.take("?"): // Ruby's (?:a{n})?
			atom = "(?:" + atom + repeat + ")?"
		case t.take("?"):
			atom += repeat + "?"
		default:
			atom += repeat
		}
	}
	return atom
}

// braces reads {n}, {n,}, {n,m} or {,m}.
func (t *translator) braces() string {
	body, _, ok := strings.Cut(t.rest()[1:], "}")
	low, high, _ := strings.Cut(body, ",")
	if !ok || body == "" || body == "," || len(body) > 8 || strings.Trim(low+high, "0123456789") != "" {
		t.fail("brace that is no {n,m}")
		return ""
	}
	t.i += len(body) + 2
	if low == "" {
		body = "0" + body
	}
	return "{" + body + "}"
}

func (t *translator) group(depth int) string {
	if t.take("?i:") {
		words, err := unfold(t.rest())
		if err != "" {
			t.fail("%s", err)
			return ""
		}
		t.i += strings.IndexByte(t.rest(), ')') + 1
		return words
	}
	open := "(?:"
	for _, kind := range []string{"?:", "?=", "?!", "?<=", "?<!", "?>"} {
		if t.take(kind) {
			open = "(" + kind
			break
		}
	}
	if strings.HasPrefix(t.rest(), "?") {
		t.fail("group (%s", t.rest()[:min(3, len(t.rest()))])
	}
	body := t.alternatives(depth + 1)
	if !t.take(")") {
		t.fail("unbalanced parenthesis")
	}
	return open + body + ")"
}

// set reads a character class whose bracket is read. A class inside is part of
// the union, unless it takes something away.
func (t *translator) set() string {
	out := "["
	if t.take("^") {
		out = "[^"
	}
	for depth, from := 1, t.i; t.err == nil; {
		switch rest := t.rest(); {
		case rest == "":
			t.fail("character class without an end")
		case strings.HasPrefix(rest, "&&"), strings.HasPrefix(rest, "[^"), strings.HasPrefix(rest, "[:"), strings.HasPrefix(rest, "-["):
			t.fail("nested character class %s", rest[:2])
		case rest[0] == ']' && t.i == from:
			out += `\]`
			t.i++
		case t.take("["):
			depth++
		case t.take("]"):
			if depth--; depth == 0 {
				return out + "]"
			}
		case rest[0] == '\\':
			out += t.escape(true)
		default:
			_, n := utf8.DecodeRuneInString(rest)
			out += rest[:n]
			t.i += n
		}
	}
	return ""
}

// wordSet is Oniguruma's \w in a character class: UTS 18 without the joiners.
// Outside of one it also holds the other numbers of Latin-1, a quirk.
var wordSet = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}` + "\u24b6-\u24e9\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189"

const latinNumbers = "\u00b2\u00b3\u00b9\u00bc-\u00be"

// escape reads the escape that comes next.
func (t *translator) escape(inSet bool) string {
	from := t.i
	if t.i++; t.i == len(t.re) {
		t.fail("trailing backslash")
		return ""
	}
	c := t.re[t.i]
	t.i++
	switch {
	case strings.IndexByte("sSdDrnt", c) >= 0, !inSet && (c == 'A' || c == 'z'):
	case c == 'w' && inSet:
		return wordSet
	case c == 'w':
		return "[" + wordSet + latinNumbers + "]"
	case c == 'W' && !inSet:
		return "[^" + wordSet + latinNumbers + "]"
	case c == 'p' || c == 'P':
		n := strings.IndexByte(t.rest(), '}')
		if !t.take("{") || n < 0 {
			t.fail("\\p without {name}")
			return ""
		}
		t.i += n
	case c == 'u', c == 'x':
		n := 4
		if c == 'x' {
			n = 2
		}
		digits := t.rest()[:min(n, len(t.rest()))]
		t.i += len(digits)
		if c == 'x' && strings.HasPrefix(digits, "{") {
			t.i = from + len(`\x{`)
			digits, _, _ = strings.Cut(t.rest(), "}")
			t.i = min(t.i+len(digits)+1, len(t.re))
			n = len(digits)
		}
		r, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || len(digits) != n || !utf8.ValidRune(rune(r)) {
			t.fail("\\%c without the number of a character", c)
			return ""
		}
		if r < utf8.RuneSelf {
			return fmt.Sprintf(`\x%02x`, r)
		}
		return string(rune(r))
	case c < utf8.RuneSelf && strings.IndexByte("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", c) >= 0:
	default:
		t.fail("escape \\%c", c)
		return ""
	}
	return t.re[from:t.i]
}

// unfold spells out which characters a (?i: group matches whose inside s starts
// with: regexp2 would forget U+017F (an s) and U+212A (a k).
func unfold(s string) (group, err string) {
	s, _, closed := strings.Cut(s, ")")
	if !closed || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'|[]") != "" {
		return "", "more than ASCII words and classes in a case-folding group"
	}
	var b strings.Builder
	inSet := false
	for i, c := range s {
		for _, pair := range []string{"ss", "st", "ff", "fi", "fl"} { // ß, ﬆ and so on, folded
			if !inSet && strings.HasPrefix(strings.ToLower(s[i:]), pair) {
				return "", fmt.Sprintf("%q in a case-folding group", pair)
			}
		}
		folded := string(unicode.ToLower(c)) + string(unicode.ToUpper(c))
		switch unicode.ToLower(c) {
		case 's':
			folded += "\u017f"
		case 'k':
			folded += "\u212a"
		case '\'', '|', '[', ']':
			if c == '[' && inSet || c == ']' && !inSet || c == '|' && inSet {
				return "", "a class that is none in a case-folding group"
			}
			inSet = c == '[' || inSet && c != ']'
			b.WriteRune(c)
			continue
		}
		if !inSet {
			folded = "[" + folded + "]"
		}
		b.WriteString(folded)
	}
	if inSet {
		return "", "character class without an end"
	}
	return "(?:" + b.String() + ")", ""
}
