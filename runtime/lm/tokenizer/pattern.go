package tokenizer

import (
	"fmt"
	"strings"
	"time"
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

// A finder cuts a text into matches and what is between.
type finder func(s string) ([]span, error)

func (p *pattern) finder() (finder, error) {
	switch {
	case p.String != nil && p.Regex != nil:
		return nil, bad("pattern is both a string and a regex")
	case p.String != nil && *p.String != "":
		return findString(*p.String), nil
	case p.Regex != nil && *p.Regex != "":
		expr, err := translate(*p.Regex)
		if err != nil {
			return nil, err
		}
		re, err := regexp2.Compile(expr, regexp2.None)
		if err != nil {
			return nil, unsupported("regex %.200q: %v", *p.Regex, err)
		}
		re.MatchTimeout = matchTimeout
		return func(s string) ([]span, error) { return findRegex(s, re) }, nil
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

func findString(word string) finder {
	return func(s string) (spans []span, err error) {
		for i := 0; ; {
			at := strings.Index(s[i:], word)
			if at < 0 {
				return rest(spans, len(s)), nil
			}
			spans = cover(spans, i+at, i+at+len(word))
			i += at + len(word)
		}
	}
}

func findRunes(match func(rune) bool) finder {
	return func(s string) (spans []span, err error) {
		for i, r := range s {
			if match(r) {
				spans = cover(spans, i, i+utf8.RuneLen(r))
			}
		}
		return rest(spans, len(s)), nil
	}
}

// matchTimeout bounds one match. Sound patterns take microseconds; hostile ones
// take exponential time on some texts.
const matchTimeout = 5 * time.Second

// findRegex turns rune positions into byte positions as it goes. An empty match
// cuts the text, unless a match ends there.
func findRegex(s string, re *regexp2.Regexp) (spans []span, err error) {
	byteAt, runeAt := 0, 0
	to := func(r int) int {
		for ; runeAt < r; runeAt++ {
			_, n := utf8.DecodeRuneInString(s[byteAt:])
			byteAt += n
		}
		return byteAt
	}
	text := []rune(s)
	for i, r := range text {
		text[i] = standIn(r)
	}
	m, err := re.FindRunesMatch(text)
	for last := -1; m != nil && err == nil; {
		if m.Length > 0 || m.Index != last {
			start := to(m.Index)
			spans = cover(spans, start, to(m.Index+m.Length))
			last = m.Index + m.Length
		}
		m, err = re.FindNextMatch(m)
	}
	if err != nil { // its only error is the time-out
		return nil, fmt.Errorf("%w: %.200q ran %v on a text of %d bytes", ErrPattern, re.String(), matchTimeout, len(s))
	}
	return rest(spans, len(s)), nil
}
