package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A normalizer changes a text as a whole.
type normalizer func(s string) (string, error)

// pure is a normalizer that cannot fail.
func pure(f func(string) string) normalizer {
	return func(s string) (string, error) { return f(s), nil }
}

var normalizerKinds = map[string]kind[normalizer]{
	"NFC":            normalForm(nfc, 3),
	"NFD":            normalForm(nfd, 3),
	"NFKC":           normalForm(nfkc, 11), // U+FDFA
	"NFKD":           normalForm(nfkd, 11),
	"Lowercase":      {func(*component) (normalizer, error) { return pure(lowercase), nil }, times(2)},
	"StripAccents":   {func(*component) (normalizer, error) { return pure(without(markSet())), nil }, nil},
	"Nmt":            {func(*component) (normalizer, error) { return pure(nmt), nil }, times(3)},
	"BertNormalizer": {bertNormalizer, times(6)},
	"Precompiled":    {precompiledNormalizer, precompiledGrowth},
	"ByteLevel":      {func(*component) (normalizer, error) { return pure(spell), nil }, times(2)},
	"Prepend": {func(c *component) (normalizer, error) {
		return pure(func(s string) string {
			if s == "" {
				return s
			}
			return c.Prepend + s
		}), nil
	}, func(c *component) int { return len(c.Prepend) + 1 }},
	"Replace": {replaceNormalizer, func(c *component) int { return max(len(c.Content), 1) }},
	"Strip": {func(c *component) (normalizer, error) {
		return pure(func(s string) string {
			if deref(c.StripLeft, true) {
				s = strings.TrimLeftFunc(s, unicode.IsSpace)
			}
			if deref(c.StripRight, true) {
				s = strings.TrimRightFunc(s, unicode.IsSpace)
			}
			return s
		}), nil
	}, nil},
}

func deref[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// without drops the characters of a set.
func without(set func(rune) bool) func(string) string {
	return func(s string) string {
		return strings.Map(func(r rune) rune {
			if set(r) {
				return -1
			}
			return r
		}, s)
	}
}

func replaceNormalizer(c *component) (normalizer, error) {
	if c.Pattern == nil {
		return nil, bad("normalizer Replace has no pattern")
	}
	if w := c.Pattern.String; w != nil && *w != "" {
		return pure(func(s string) string { return strings.ReplaceAll(s, *w, c.Content) }), nil
	}
	find, err := c.Pattern.finder()
	if err != nil {
		return nil, err
	}
	return func(s string) (string, error) {
		var b strings.Builder
		spans, err := find(s)
		for _, p := range spans {
			if p.match {
				b.WriteString(c.Content)
			} else {
				b.WriteString(s[p.start:p.end])
			}
		}
		return b.String(), err
	}, nil
}

// lowercase maps character by character; only U+0130 becomes two.
func lowercase(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return strings.Map(lower, strings.ReplaceAll(s, "\u0130", "i\u0307"))
		}
	}
	return s
}

func lower(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	if l := unicode.ToLower(r); l != r || r < 0x1c89 {
		return l
	}
	if l, ok := laterLower()[r]; ok {
		return l
	}
	return r
}

// nmt is SentencePiece's first rule for translation: control characters go, odd spaces become plain.
func nmt(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 1 && r <= 8, r == 0xb, r >= 0xe && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
			return -1
		case r == 9, r == 0xa, r == 0xc, r == 0xd, r == 0x1680, r >= 0x200b && r <= 0x200f, r == 0x2028, r == 0x2029,
			r == metaspace, r == 0xfeff, r == 0xfffd:
			return ' '
		}
		return r
	}, s)
}
