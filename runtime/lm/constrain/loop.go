package constrain

import (
	"math/bits"
	"slices"
)

// Inside of a text most states lead back to themselves by most bytes. Where a subtree of the vocabulary is made of such bytes alone, or
// of whole characters, all of it may come, and need not be walked.

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(b byte) { s[b>>6] |= 1 << (b & 63) }

func (s *byteSet) has(b byte) bool { return s[b>>6]>>(b&63)&1 != 0 }

func (s *byteSet) len() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s *byteSet) join(o *byteSet) {
	for i := range s {
		s[i] |= o[i]
	}
}

// loops is by what a state leads back to itself, or to one that is like it for as long as any token.
type loops struct {
	set   byteSet
	chars bool // by each character beyond ASCII, whose beginnings lead somewhere, and end a text if the state does
}

// covers tells whether the bytes of a subtree lead back, those of characters beyond ASCII by themselves or together.
func (l *loops) covers(set *byteSet, chars bool) bool {
	return set[0]&^l.set[0]|set[1]&^l.set[1] == 0 && (set[2]&^l.set[2]|set[3]&^l.set[3] == 0 || chars && l.chars)
}

// sweep tells whether all tokens from a node on, which has a set, may come: at is the state there, up the one before.
func (g *Grammar) sweep(n *trieNode, up, at *state) bool {
	set := &g.vocab.sets[n.set]
	if n.chars == begin {
		l := g.loopsOf(up)
		return l.chars && l.covers(set, true)
	}
	return g.loopsOf(at).covers(set, n.chars == complete)
}

// loopsOf finds the loops of a state.
func (g *Grammar) loopsOf(s *state) *loops {
	if s.loops != nil {
		return s.loops
	}
	s.loops = &loops{}
	g.keep(48)
	model := g.model(s)
	like := func(t *state) bool { return t != dead && (t == s || g.like != nil && g.model(t) == model) }
	for k, rep := range g.reps {
		if like(g.step(s, rep)) {
			s.loops.set.join(&g.sets[k])
		}
	}
	s.loops.chars = g.beyond(s, s.end, like)
	return s.loops
}

// beyond tells whether each character beyond ASCII leads from a state to a good one, and its beginnings somewhere, where a text may end or not,
// as end says.
func (g *Grammar) beyond(s *state, end bool, good func(*state) bool) bool {
	type place struct {
		in int8
		at *state
	}
	var seen []place
	var follow func(p place) bool
	follow = func(p place) bool {
		if slices.Contains(seen, p) {
			return true
		}
		seen = append(seen, p)
		for _, b := range g.chars[p.in] {
			in, to := nextInChar(p.in, b), g.step(p.at, b)
			if to == dead || in == 0 && !good(to) || in > 0 && (to.end != end || !follow(place{in, to})) {
				return false
			}
		}
		return true
	}
	return follow(place{0, s})
}

// nextInChar is the place in a character of UTF-8 behind a byte: 0 at its end, 1 to 3 with so many bytes to come, 4 to 7 where
// the next byte is bound further; -1 where there is no such character.
func nextInChar(in int8, b byte) int8 {
	lo, hi, then := byte(0x80), byte(0xbf), int8(-1)
	switch {
	case in < 0:
		return -1
	case in > 0 && in < 4:
		then = in - 1
	case in == 4: // behind 0xe0
		lo, then = 0xa0, 1
	case in == 5: // 0xed
		hi, then = 0x9f, 1
	case in == 6: // 0xf0
		lo, then = 0x90, 2
	case in == 7: // 0xf4
		hi, then = 0x8f, 2
	case b < 0x80:
		return 0
	case b < 0xc2 || b > 0xf4:
		return -1
	case b < 0xe0:
		return 1
	case b == 0xe0:
		return 4
	case b == 0xed:
		return 5
	case b < 0xf0:
		return 2
	case b == 0xf0:
		return 6
	case b == 0xf4:
		return 7
	default:
		return 3
	}
	if b < lo || b > hi {
		return -1
	}
	return then
}
