package tokenizer

import (
	"fmt"
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

// translate returns the expression for regexp2 that matches what re does in
// Oniguruma, which the library uses. It refuses what means another thing to
// either, and repeats of groups that repeat inside, which can take exponential
// time. What it knows: literals, classes without nesting, \s \d \p{..} \r \n
// \t \uXXXX and their negations, groups (..) (?:..) (?=..) (?!..) and (?i:..)
// with ASCII words in it, * + ? {n,m}, lazy or not.
func translate(re string) (string, error) {
	no := func(what string) (string, error) { return "", unsupported("regex %.200q: %s", re, what) }
	if len(re) > 4096 {
		return no("longer than 4096 bytes")
	}
	var out strings.Builder
	copied := 0                     // of re, to out
	repeats := []bool{false}        // for each open group: something in it repeats
	inner, wasInner := false, false // what ends here, or ended before, is a group with a repeat inside
	for i := 0; i < len(re); i++ {
		wasInner, inner = inner, false
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
			rest := re[i+1:]
			switch {
			case strings.HasPrefix(rest, "?i:"):
				words, err := unfold(rest[len("?i:"):])
				if err != "" {
					return no(err)
				}
				out.WriteString(re[copied:i] + words)
				i += len("(?i:") + strings.IndexByte(rest[len("?i:"):], ')')
				copied = i + 1
				continue
			case strings.HasPrefix(rest, "?:"), strings.HasPrefix(rest, "?="), strings.HasPrefix(rest, "?!"):
				i += len("?:")
			case strings.HasPrefix(rest, "?"):
				return no("group (" + rest[:min(3, len(rest))])
			}
			if repeats = append(repeats, false); len(repeats) > 20 {
				return no("groups nested too deep")
			}
		case ')':
			n := len(repeats) - 1
			if n == 0 {
				return no("unbalanced parenthesis")
			}
			inner = repeats[n]
			repeats = repeats[:n]
			repeats[n-1] = repeats[n-1] || inner
		case '^', '$':
			return no("anchor " + string(c))
		case '*', '+', '?', '{':
			if c == '{' {
				n := strings.IndexByte(re[i:], '}')
				if n < 2 || n > 8 || strings.Trim(re[i+1:i+n], "0123456789,") != "" || re[i+1] == ',' || strings.Count(re[i:i+n], ",") > 1 {
					return no("brace that is no {n,m}")
				}
				i += n
			}
			if c != '?' && wasInner {
				return no("repeat of a group that repeats inside")
			}
			if c != '?' {
				repeats[len(repeats)-1] = true
			}
			if i+1 < len(re) && re[i+1] == '+' {
				return no("possessive repeat")
			}
			if i+1 < len(re) && re[i+1] == '?' {
				i++
			}
		}
	}
	out.WriteString(re[copied:])
	return out.String(), nil
}

// unfold spells out which characters a (?i: group matches whose inside s starts
// with: regexp2 would forget U+017F (an s) and U+212A (a k).
func unfold(s string) (group, err string) {
	s, _, closed := strings.Cut(s, ")")
	if !closed || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'|") != "" {
		return "", "more than ASCII words in a case-folding group"
	}
	for _, pair := range []string{"ss", "st", "ff", "fi", "fl"} { // ß, ﬆ and so on, folded
		if strings.Contains(strings.ToLower(s), pair) {
			return "", fmt.Sprintf("%q in a case-folding group", pair)
		}
	}
	var b strings.Builder
	for _, c := range s {
		switch lower := unicode.ToLower(c); lower {
		case '\'', '|':
			b.WriteRune(c)
		case 's':
			b.WriteString("[sS\u017f]")
		case 'k':
			b.WriteString("[kK\u212a]")
		default:
			b.WriteString("[" + string(lower) + string(unicode.ToUpper(lower)) + "]")
		}
	}
	return "(?:" + b.String() + ")", ""
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
