package tokenizer

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// pattern is what Split and Replace look for: a string or a regular expression.
type pattern struct {
	String *string `json:"String,omitempty"`
	Regex  *string `json:"Regex,omitempty"`
}

// scanner returns the hand-written scanner of a well-known pattern, else nil.
func (p *pattern) scanner() func(string) int {
	if p.Regex == nil {
		return nil
	}
	return scanners[*p.Regex]
}

// finder returns a function that cuts a text into matches and what is between.
func (p *pattern) finder() (func(string) []span, error) {
	switch {
	case p.String != nil && p.Regex != nil:
		return nil, bad("pattern is both a string and a regex")
	case p.String != nil && *p.String != "":
		return func(s string) []span { return findString(s, *p.String) }, nil
	case p.Regex != nil && *p.Regex != "":
		expr, err := translate(*p.Regex)
		if err != nil {
			return nil, err
		}
		re, err := regexp2.Compile(expr, regexp2.None)
		if err != nil {
			return nil, unsupported("regex %.200q: %v", *p.Regex, err)
		}
		return func(s string) []span { return findRegex(s, re) }, nil
	}
	return nil, unsupported("empty pattern")
}

// cover appends a match, after what lies before it.
func cover(spans []span, start, end int) []span {
	done := 0
	if n := len(spans); n > 0 {
		done = spans[n-1].end
	}
	if done < start {
		spans = append(spans, span{done, start, false})
	}
	return append(spans, span{start, end, true})
}

// rest appends what lies behind the last match.
func rest(spans []span, end int) []span {
	done := 0
	if n := len(spans); n > 0 {
		done = spans[n-1].end
	}
	if done < end {
		spans = append(spans, span{done, end, false})
	}
	return spans
}

func findString(s, word string) (spans []span) {
	for i := 0; ; {
		at := strings.Index(s[i:], word)
		if at < 0 {
			return rest(spans, len(s))
		}
		spans = cover(spans, i+at, i+at+len(word))
		i += at + len(word)
	}
}

func findRunes(s string, match func(rune) bool) (spans []span) {
	for i, r := range s {
		if match(r) {
			spans = cover(spans, i, i+utf8.RuneLen(r))
		}
	}
	return rest(spans, len(s))
}

// findRegex turns rune positions into byte positions as it goes.
func findRegex(s string, re *regexp2.Regexp) (spans []span) {
	byteAt, runeAt := 0, 0
	to := func(r int) int {
		for ; runeAt < r; runeAt++ {
			_, n := utf8.DecodeRuneInString(s[byteAt:])
			byteAt += n
		}
		return byteAt
	}
	m, _ := re.FindStringMatch(s) // errors are time-outs; none is set
	for m != nil {
		start := to(m.Index)
		if m.Length > 0 {
			spans = cover(spans, start, to(m.Index+m.Length))
		}
		m, _ = re.FindNextMatch(m)
	}
	return rest(spans, len(s))
}

// foldGroup is (?i: with nothing in it but ASCII words.
var foldGroup = regexp.MustCompile(`\(\?i:[A-Za-z'|]+\)`)

// unfold spells out which characters a foldGroup matches: regexp2 would forget
// U+017F (an s) and U+212A (a k).
func unfold(group string) string {
	var b strings.Builder
	b.WriteString("(?:")
	for _, c := range group[len("(?i:"):] {
		switch lower := unicode.ToLower(c); {
		case lower == 's':
			b.WriteString("[sS\u017f]")
		case lower == 'k':
			b.WriteString("[kK\u212a]")
		case 'a' <= lower && lower <= 'z':
			b.WriteString("[" + string(lower) + string(unicode.ToUpper(lower)) + "]")
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// translate returns the expression for regexp2 that matches what re does in
// Oniguruma, which the library uses. It refuses what means another thing to
// either, and repeats of groups that repeat inside, which can take exponential
// time. What it knows: literals, classes without nesting, \s \d \p{..} \r \n
// \t \uXXXX and their negations, groups (..) (?:..) (?i:..) (?=..) (?!..),
// * + ? {n,m}, lazy or not.
func translate(re string) (string, error) {
	if err := checkRegex(re); err != nil {
		return "", err
	}
	for _, pair := range []string{"ss", "st", "ff", "fi", "fl"} { // one character, folded
		for _, g := range foldGroup.FindAllString(re, -1) {
			if strings.Contains(strings.ToLower(g), pair) {
				return "", unsupported("regex %.200q: %q in a case-folding group", re, pair)
			}
		}
	}
	re = foldGroup.ReplaceAllStringFunc(re, unfold)
	if strings.Contains(re, "(?i:") {
		return "", unsupported("regex %.200q: more than ASCII words in a case-folding group", re)
	}
	return re, nil
}

func checkRegex(re string) error {
	no := func(what string) error { return unsupported("regex %.200q: %s", re, what) }
	if len(re) > 4096 {
		return no("longer than 4096 bytes")
	}
	type group struct{ repeats bool }
	open := []group{{}}
	inner := false // the element before the present one is a group with a repeat inside
	for i := 0; i < len(re); i++ {
		wasInner := inner
		inner = false
		switch c := re[i]; c {
		case '\\':
			if err := checkEscape(re, &i); err != "" {
				return no(err)
			}
		case '[':
			if i++; i < len(re) && re[i] == '^' {
				i++
			}
			for from := i; i < len(re) && (re[i] != ']' || i == from); i++ {
				switch {
				case re[i] == '[' || re[i] == ']' || strings.HasPrefix(re[i:], "&&"):
					return no("nested character class")
				case re[i] == '\\':
					if err := checkEscape(re, &i); err != "" {
						return no(err)
					}
				}
			}
		case '(':
			if rest := re[i+1:]; strings.HasPrefix(rest, "?") {
				n := 0
				for _, p := range []string{"?:", "?i:", "?=", "?!"} {
					if strings.HasPrefix(rest, p) {
						n = len(p)
					}
				}
				if n == 0 {
					return no("group (" + rest[:min(3, len(rest))])
				}
				i += n
			}
			if open = append(open, group{}); len(open) > 20 {
				return no("groups nested too deep")
			}
		case ')':
			if len(open) == 1 {
				return no("unbalanced parenthesis")
			}
			inner = open[len(open)-1].repeats
			open = open[:len(open)-1]
			open[len(open)-1].repeats = open[len(open)-1].repeats || inner
		case '^', '$':
			return no("anchor " + string(c))
		case '*', '+', '?', '{':
			if c == '{' {
				n := strings.IndexByte(re[i:], '}')
				if n < 2 || n > 8 || strings.Trim(re[i+1:i+n], "0123456789,") != "" || re[i+1] == ',' {
					return no("brace that is no {n,m}")
				}
				i += n
			}
			if c != '?' && wasInner {
				return no("repeat of a group that repeats inside")
			}
			if c != '?' {
				open[len(open)-1].repeats = true
			}
			if i+1 < len(re) && re[i+1] == '+' {
				return no("possessive repeat")
			}
			if i+1 < len(re) && re[i+1] == '?' {
				i++
			}
		}
	}
	return nil
}

// checkEscape looks at the escape that starts at re[*i] and sets *i to its
// last byte; it returns what is wrong.
func checkEscape(re string, i *int) string {
	*i++
	if *i == len(re) {
		return "trailing backslash"
	}
	c := re[*i]
	switch {
	case strings.IndexByte("sSdDrnt", c) >= 0:
	case c == 'p' || c == 'P':
		n := strings.IndexByte(re[*i:], '}')
		if *i+1 >= len(re) || re[*i+1] != '{' || n < 0 {
			return "\\p without {name}"
		}
		*i += n
	case c == 'u':
		if *i+4 >= len(re) || strings.Trim(re[*i+1:*i+5], "0123456789abcdefABCDEF") != "" {
			return "\\u without four digits"
		}
		*i += 4
	case c < utf8.RuneSelf && strings.IndexByte("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", c) >= 0:
	default:
		return "escape \\" + string(rune(c))
	}
	return ""
}
