package constrain

import "unicode/utf8"

// runes is a range of characters.
type runes struct{ lo, hi rune }

// continuation names a node from which n bytes 80 to BF lead to another.
type continuation struct {
	to int32
	n  int
}

// class is one character of the ranges, as UTF-8; surrogates are none.
func class(list ...runes) expr {
	return func(b *builder, from, to int32) {
		for _, r := range list {
			b.chars(from, r.lo, r.hi, to)
		}
	}
}

// limits are the last characters of one, two, three and four bytes.
var limits = [...]rune{0x7F, 0x7FF, 0xFFFF, utf8.MaxRune}

// chars draws the characters lo to hi: cut at what takes more bytes, and at the surrogates.
func (b *builder) chars(from int32, lo, hi rune, to int32) {
	if lo <= 0xDFFF && hi >= 0xD800 {
		b.chars(from, lo, 0xD7FF, to)
		lo = 0xE000
	}
	for _, limit := range limits {
		if lo <= min(hi, limit) {
			b.bytes(from, utf8.AppendRune(nil, lo), utf8.AppendRune(nil, min(hi, limit)), to)
			lo = limit + 1
		}
	}
}

// bytes draws the sequences from lo to hi, of the same length, the bytes behind the first being 80 to BF.
func (b *builder) bytes(from int32, lo, hi []byte, to int32) {
	if len(lo) == 1 {
		b.edge(from, lo[0], hi[0], to)
		return
	}
	rest := len(lo) - 1
	first, last := lo[0], hi[0]
	if first == last {
		next := b.node()
		b.edge(from, first, first, next)
		b.bytes(next, lo[1:], hi[1:], to)
		return
	}
	all := func(s []byte, with byte) bool {
		for _, c := range s {
			if c != with {
				return false
			}
		}
		return true
	}
	fill := func(with byte) []byte {
		s := make([]byte, rest)
		for i := range s {
			s[i] = with
		}
		return s
	}
	if !all(lo[1:], 0x80) {
		next := b.node()
		b.edge(from, first, first, next)
		b.bytes(next, lo[1:], fill(0xBF), to)
		first++
	}
	if !all(hi[1:], 0xBF) {
		next := b.node()
		b.edge(from, last, last, next)
		b.bytes(next, fill(0x80), hi[1:], to)
		last--
	}
	if first <= last {
		b.edge(from, first, last, b.continued(to, rest))
	}
}

// continued is the node from which any n bytes 80 to BF lead to a node.
func (b *builder) continued(to int32, n int) int32 {
	if n == 0 {
		return to
	}
	key := continuation{to, n}
	at, ok := b.cont[key]
	if !ok {
		at = b.node()
		b.edge(at, 0x80, 0xBF, b.continued(to, n-1))
		b.cont[key] = at
	}
	return at
}

// except are the characters that are not in the ranges, which are sorted.
func except(list []runes) (out []runes) {
	next := rune(0)
	for _, r := range list {
		if r.lo > next {
			out = append(out, runes{next, r.lo - 1})
		}
		next = max(next, r.hi+1)
	}
	if next <= utf8.MaxRune {
		out = append(out, runes{next, utf8.MaxRune})
	}
	return out
}
