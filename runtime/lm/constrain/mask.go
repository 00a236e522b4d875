package constrain

import (
	"fmt"
	"slices"
)

// local is what a frame, the innermost rule at some place, allows whatever calls it.
type local struct {
	mask []uint64 // tokens that stay within the frame
	ends []int32  // trie nodes at which the frame may end
	wide bool     // there are so many that the state is walked as a whole
}

// maskOf returns the tokens that may come, the end of text apart.
func (g *Grammar) maskOf(s *state) []uint64 {
	if s.mask != nil {
		return s.mask
	}
	m := g.model(s)
	if m.short == nil {
		m.short = g.short(m)
		g.keep(8 * len(m.short))
	}
	s.mask = m.short
	for _, id := range g.vocab.long {
		at := s
		for _, c := range g.vocab.text[id] {
			if at = g.step(at, c); at == dead {
				break
			}
		}
		if at != dead {
			if &s.mask[0] == &m.short[0] {
				s.mask = slices.Clone(m.short)
				g.keep(8 * len(s.mask))
			}
			g.vocab.allow(s.mask, id)
		}
	}
	return s.mask
}

// short returns the tokens of the trie that may come.
func (g *Grammar) short(s *state) []uint64 {
	mask := make([]uint64, g.vocab.Words())
	for i := 0; i < len(s.configs); { // a run of configs with the same stack is one frame
		top := s.configs[i].stack
		n := i
		for n < len(s.configs) && s.configs[n].stack == top {
			n++
		}
		if !g.frame(s.configs[i:n], top, mask) {
			clear(mask)
			g.whole(s, mask, nil)
			break
		}
		i = n
	}
	return mask
}

// frame adds what the frame of configs with this stack allows, or reports that the state has to be walked as a whole.
func (g *Grammar) frame(configs []config, top *stack, mask []uint64) bool {
	alone := make([]config, len(configs))
	for i, c := range configs {
		alone[i] = config{c.node, nil}
	}
	f := g.intern(alone, false)
	if top == nil { // and nothing follows it
		g.whole(f, mask, nil)
		return true
	}
	if f.local == nil {
		l := &local{mask: make([]uint64, g.vocab.Words())}
		total := 0
		g.whole(f, l.mask, func(at int32) bool {
			l.ends = append(l.ends, at)
			total += int(g.vocab.trie[at].skip - at)
			l.wide = total > len(g.vocab.trie)/8
			return !l.wide
		})
		if l.wide {
			l.ends = nil
		}
		f.local = l
		g.keep(8*len(l.mask) + 4*len(l.ends))
	}
	l := f.local
	if l.wide {
		return false
	}
	for i, w := range l.mask {
		mask[i] |= w
	}
	if len(l.ends) == 0 {
		return true
	}
	caller := g.closure([]config{{top.ret, top.under}})
	for _, at := range l.ends {
		n := &g.vocab.trie[at]
		g.walk(caller, at+1, n.skip, n.depth, mask, nil)
	}
	return true
}

// whole goes over all of the trie.
func (g *Grammar) whole(s *state, mask []uint64, end func(int32) bool) {
	if !g.walkRun(s, mask, end) {
		g.walk(s, 0, int32(len(g.vocab.trie)), 0, mask, end)
	}
}

// walk goes over the trie's nodes from first to last, which lie below one of the given depth at which the state is
// s, and sets the bits of tokens. end, if set, sees the nodes at which a text may end, and says whether to go on;
// so does walk.
func (g *Grammar) walk(s *state, first, last int32, depth uint8, mask []uint64, end func(int32) bool) bool {
	var path [maxTrie + 1]*state
	path[depth] = s
	trie := g.vocab.trie
	for at := first; at < last; {
		n := &trie[at]
		up := path[n.depth-1]
		to := up.next[g.class[n.byte]]
		if to == nil {
			to = g.step(up, n.byte)
		}
		if to == dead {
			at = n.skip
			continue
		}
		path[n.depth] = to
		ends := to.end && end != nil
		if !ends && n.set >= 0 && g.sweep(n, up, to) {
			g.vocab.allowFrom(mask, n)
			at = n.skip
			continue
		}
		if id := n.token; id >= 0 {
			mask[id>>6] |= 1 << (id & 63)
			if n.twins {
				g.vocab.allow(mask, g.vocab.same[id])
			}
		}
		if ends && !end(at) {
			return false
		}
		at++
	}
	return true
}

// Constraint follows one text; see Grammar.Start. It belongs to one goroutine at a time.
type Constraint struct {
	g    *Grammar
	at   *state
	done bool
}

// Start begins a text.
func (g *Grammar) Start() *Constraint { return &Constraint{g: g, at: g.first} }

// Mask writes the tokens that may come next: bit id%64 of word id/64. dst has Vocab.Words words. An end-of-text
// token may come where the text is whole. It is an error if nothing may.
func (c *Constraint) Mask(dst []uint64) error {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	copy(dst, g.maskOf(c.at))
	if c.at.end {
		for _, id := range g.vocab.eos {
			dst[id>>6] |= 1 << (id & 63)
		}
	}
	for _, w := range dst {
		if w != 0 {
			return nil
		}
	}
	if g.lost {
		return fmt.Errorf("%w: the grammar is too ambiguous: the text can be read in more than %d ways", ErrSpec, maxConfigs)
	}
	return fmt.Errorf("%w: no token of the vocabulary goes on with the text", ErrSpec)
}

// Accept goes on by a token that Mask allowed.
func (c *Constraint) Accept(id int32) error {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if id < 0 || int(id) >= g.vocab.size {
		return fmt.Errorf("%w: token %d is not in the vocabulary of %d", ErrSpec, id, g.vocab.size)
	}
	for _, e := range g.vocab.eos {
		if id == e && c.at.end {
			c.done = true
			return nil
		}
	}
	s := c.at
	for _, b := range g.vocab.text[id] {
		s = g.step(s, b)
	}
	if s == dead || len(g.vocab.text[id]) == 0 {
		return fmt.Errorf("%w: token %d does not go on with the text", ErrSpec, id)
	}
	c.at = s
	return nil
}

// Whole tells whether the text may end here.
func (c *Constraint) Whole() bool { return c.at.end }

// Done tells that nothing can follow: the text is whole and cannot go on, or an end-of-text token was accepted.
func (c *Constraint) Done() bool { return c.done || c.at.end && len(c.at.configs) == 0 }
