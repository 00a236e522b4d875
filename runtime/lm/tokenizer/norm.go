package tokenizer

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A normalizer changes a text as a whole.
type normalizer func(s string) (string, error)

// normalizers makes the normalizers that c describes. NFKC and the like are
// left out because the library's tables for them are those of Unicode 9.
func normalizers(c *component) ([]normalizer, error) {
	if c == nil {
		return nil, nil
	}
	one := func(f func(string) string) ([]normalizer, error) {
		return []normalizer{func(s string) (string, error) { return f(s), nil }}, nil
	}
	switch c.Type {
	case "Sequence":
		var all []normalizer
		for i := range c.Normalizers {
			list, err := normalizers(&c.Normalizers[i])
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
		return all, nil
	case "Prepend":
		return one(func(s string) string {
			if s == "" {
				return s
			}
			return c.Prepend + s
		})
	case "Replace":
		if c.Pattern == nil || c.Content == "" {
			return nil, unsupported("normalizer Replace without pattern or content")
		}
		find, err := c.Pattern.finder()
		if err != nil {
			return nil, err
		}
		if w := c.Pattern.String; w != nil {
			return one(func(s string) string { return strings.ReplaceAll(s, *w, c.Content) })
		}
		return []normalizer{func(s string) (string, error) {
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
		}}, nil
	case "NFC":
		return one(nfc)
	case "Lowercase":
		return one(lowercase)
	}
	return nil, unsupported("normalizer %q", c.Type)
}

// lowercase maps character by character; only U+0130 becomes two.
func lowercase(s string) string {
	return strings.Map(unicode.ToLower, strings.ReplaceAll(s, "\u0130", "i\u0307"))
}

// nfc is the plain normal form. x/text gives the stream-safe one, which parts
// runs of more than 30 marks by U+034F; texts with such runs go the long way.
func nfc(s string) string {
	if longRun(s) {
		return slowNFC(s)
	}
	return norm.NFC.String(s)
}

// longRun reports whether s has marks enough to need care: 10, because a
// character may become up to three.
func longRun(s string) bool {
	run := 0
	for i, r := range s {
		if r < 0x300 {
			run = 0
			continue
		}
		if p := norm.NFC.PropertiesString(s[i:]); p.CCC() == 0 && p.BoundaryBefore() {
			run = 0
		} else if run++; run == 10 {
			return true
		}
	}
	return false
}

// slowNFC decomposes, orders and composes as the standard's definitions say
// (Unicode 15, section 3.11, D108 to D117).
func slowNFC(s string) string {
	type char struct {
		r   rune
		ccc uint8
	}
	var chars []char
	for _, r := range s {
		for _, d := range norm.NFD.String(string(r)) {
			chars = append(chars, char{d, norm.NFD.PropertiesString(string(d)).CCC()})
		}
	}
	for i := 0; i < len(chars); i++ {
		from := i
		for i < len(chars) && chars[i].ccc != 0 {
			i++
		}
		slices.SortStableFunc(chars[from:i], func(a, b char) int { return int(a.ccc) - int(b.ccc) })
	}
	out := chars[:0]
	starter := -1 // place in out
	for _, c := range chars {
		last := len(out) - 1
		if starter >= 0 && (last == starter || out[last].ccc < c.ccc) { // not blocked
			pair := string(out[starter].r) + string(c.r)
			if joined := []rune(norm.NFC.String(pair)); len(joined) == 1 {
				out[starter].r = joined[0]
				continue
			}
		}
		if c.ccc == 0 {
			starter = len(out)
		}
		out = append(out, c)
	}
	var b strings.Builder
	for _, c := range out {
		b.WriteRune(c.r)
	}
	return b.String()
}
