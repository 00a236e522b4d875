package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// bertNormalizer cleans a text, puts spaces round Chinese characters, takes
// accents off and lowers capitals, as BERT's own code did.
func bertNormalizer(c *component) (normalizer, error) {
	lower := deref(c.Lowercase, true)
	clean, chinese, strip := deref(c.CleanText, true), deref(c.ChineseChars, true), deref(c.StripAccents, lower)
	control, accents := controlSet(), without(nonspacingSet())
	return pure(func(s string) string {
		if clean || chinese {
			s = bertClean(s, clean, chinese, control)
		}
		if strip && !ascii(s) {
			s = accents(nfd(s))
		}
		if lower {
			s = lowercase(s)
		}
		return s
	}), nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func bertClean(s string, clean, chinese bool, control func(rune) bool) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	for _, r := range s {
		switch {
		case clean && control(r): // \v, \f and U+0085 too
		case clean && unicode.IsSpace(r):
			b.WriteByte(' ')
		case chinese && isChinese(r):
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isChinese is the library's list; U+2B820 to U+2B91F are not in it, unlike BERT's.
func isChinese(r rune) bool {
	return r >= 0x3400 && (r <= 0x4dbf || 0x4e00 <= r && r <= 0x9fff || 0xf900 <= r && r <= 0xfaff || 0x20000 <= r && r <= 0x2a6df ||
		0x2a700 <= r && r <= 0x2b81f || 0x2b920 <= r && r <= 0x2ceaf || 0x2f800 <= r && r <= 0x2fa1f)
}
