package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The normal forms of Unicode 9, whose tables the library has. Characters that
// only later tables decompose, order or compose stand for themselves, and
// nothing reaches over them.
var (
	nfc  = oldForm(norm.NFC)
	nfd  = oldForm(norm.NFD)
	nfkc = oldForm(norm.NFKC)
	nfkd = oldForm(norm.NFKD)
)

func normalForm(f func(string) string, growth int) kind[normalizer] {
	return kind[normalizer]{func(*component) (normalizer, error) { return pure(f), nil }, times(growth)}
}

func oldForm(f norm.Form) func(string) string {
	return func(s string) string {
		if ascii(s) {
			return s
		}
		return apart(s, func(s string) string { return form(f, s) })
	}
}

// apart applies f to what stands between the later characters.
func apart(s string, f func(string) string) string {
	later := laterSet()
	var b strings.Builder
	from := 0
	for i, r := range s {
		if r >= 0x530 && later(r) {
			n := utf8.RuneLen(r)
			b.WriteString(f(s[from:i]))
			b.WriteString(s[i : i+n])
			from = i + n
		}
	}
	if from == 0 {
		return f(s)
	}
	b.WriteString(f(s[from:]))
	return b.String()
}

// form is the plain normal form. x/text gives the stream-safe one, which parts
// runs of more than 30 marks by U+034F; texts with such runs go the long way.
func form(f norm.Form, s string) string {
	if longRun(s) {
		return slowForm(f, s)
	}
	return f.String(s)
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
		if p := norm.NFKC.PropertiesString(s[i:]); p.CCC() == 0 && p.BoundaryBefore() {
			run = 0
		} else if run++; run == 10 {
			return true
		}
	}
	return false
}

// slowForm decomposes, orders and composes as the standard's definitions say
// (Unicode 15, section 3.11, D108 to D117).
func slowForm(f norm.Form, s string) string {
	type char struct {
		r   rune
		ccc uint8
	}
	decompose, compose := norm.NFD, f == norm.NFC || f == norm.NFKC
	if f == norm.NFKC || f == norm.NFKD {
		decompose = norm.NFKD
	}
	var chars []char
	for _, r := range s {
		for _, d := range decompose.String(string(r)) {
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
		if compose && starter >= 0 && (last == starter || out[last].ccc < c.ccc) { // not blocked
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
