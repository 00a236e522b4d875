package constrain

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// runes is a range of characters.
type runes struct{ lo, hi rune }

// class is one character of the ranges, as UTF-8; surrogates are none.
func class(list ...runes) expr {
	return func(b *builder, from, to int32) { b.chars(from, list, to) }
}

// limits are the last characters of one, two, three and four bytes.
var limits = [...]rune{0x7F, 0x7FF, 0xFFFF, utf8.MaxRune}

// chars draws the characters of ranges.
func (b *builder) chars(from int32, list []runes, to int32) {
	key := fmt.Sprint(list)
	t := b.drawn[key]
	if t == nil {
		t = b.drawing(list)
		b.drawn[key] = t
	}
	at := make([]int32, len(t.nodes))
	for i := range at {
		if at[i] = from; i > 0 {
			at[i] = b.node()
		}
	}
	for i, edges := range t.nodes {
		for _, e := range edges {
			goal := to
			if e.to >= 0 {
				goal = at[e.to]
			}
			b.edge(at[i], e.lo, e.hi, goal)
		}
	}
}

// drawing is how characters lead from the first of its nodes to the goal, which is -1.
type drawing struct {
	list  []runes
	b     *builder
	nodes [][]edge
	ends  map[string]int32 // nodes by what is drawn from them
}

func (b *builder) drawing(list []runes) *drawing {
	var all []span
	add := func(lo, hi rune) {
		for _, limit := range limits {
			if last := min(hi, limit); lo <= last {
				all = append(all, span{string(lo), string(last)})
				lo = limit + 1
			}
		}
	}
	for _, r := range list {
		add(r.lo, min(r.hi, 0xD7FF)) // the surrogates are between
		add(max(r.lo, 0xE000), r.hi)
	}
	t := &drawing{list, b, [][]edge{nil}, map[string]int32{}}
	t.spans(0, all)
	return t
}

// bytes are those of ASCII among the characters, and whether all beyond are.
func (t *drawing) bytes() (set byteSet, chars bool) {
	beyond := rune(0)
	for _, r := range t.list {
		for c := r.lo; c <= min(r.hi, 0x7F); c++ {
			set.add(byte(c))
		}
		beyond += max(r.hi-max(r.lo, 0x80)+1, 0)
	}
	return set, beyond == utf8.MaxRune-0x7F
}

// span is the sequences of bytes from lo to hi, of the same length, the bytes behind the first being 80 to BF.
type span struct{ lo, hi string }

// spans draws sequences; ends that are alike are drawn once.
func (t *drawing) spans(from int32, list []span) {
	edge := func(lo, hi byte, to int32) { t.nodes[from] = append(t.nodes[from], edge{lo, hi, to}) }
	var rest [256][]span // by the first byte
	for _, s := range list {
		if len(s.lo) == 1 {
			edge(s.lo[0], s.hi[0], -1)
			continue
		}
		for c := int(s.lo[0]); c <= int(s.hi[0]); c++ {
			t.b.spend(1)
			r := span{"\x80\x80\x80"[:len(s.lo)-1], "\xbf\xbf\xbf"[:len(s.lo)-1]}
			if c == int(s.lo[0]) {
				r.lo = s.lo[1:]
			}
			if c == int(s.hi[0]) {
				r.hi = s.hi[1:]
			}
			rest[c] = append(rest[c], r)
		}
	}
	for c := 0; c < len(rest); {
		n := c + 1
		for n < len(rest) && slices.Equal(rest[n], rest[c]) {
			n++
		}
		if rest[c] != nil {
			key := fmt.Sprint(rest[c])
			to, ok := t.ends[key]
			if !ok {
				to = int32(len(t.nodes))
				t.nodes, t.ends[key] = append(t.nodes, nil), to
				t.spans(to, rest[c])
			}
			edge(byte(c), byte(n-1), to)
		}
		c = n
	}
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
