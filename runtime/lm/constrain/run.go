package constrain

import "slices"

// A text of bounded length has another state behind each character, so that no subtree of the vocabulary leads back and all of it would be
// walked at each. But the same characters go on everywhere until the bound: how many of them a token has, and where it leaves them, is a matter
// of the vocabulary alone.

// run is a set of characters of the vocabulary: which tokens are made of them, and how far others are.
type run struct {
	set   byteSet // of ASCII
	chars bool    // all characters beyond ASCII too
	ids   []int32 // tokens that are made of them, by their number of characters
	nodes []int32 // of the trie behind some of them that is none, by their number
	// upTo[n] is how many of ids, and of nodes, have n characters at most; one that is cut counts.
	upTo [maxTrie + 1]struct{ ids, nodes int }
	most int // characters
}

// Limits of runs: the fewest bytes that are worth it, and how many a vocabulary keeps, of some 8 bytes a token each.
const (
	leastRun = 16
	mostRuns = 8
)

// run finds the tokens of a set of characters, or returns what it found before.
func (v *Vocab) run(set byteSet, chars bool) *run {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := slices.IndexFunc(v.runs, func(r *run) bool { return r.set == set && r.chars == chars })
	if at >= 0 {
		return v.runs[at]
	}
	r := &run{set: set, chars: chars}
	var ids, nodes [maxTrie + 1][]int32
	type place struct {
		count uint8 // of characters
		in    int8  // a character, see nextInChar
	}
	var path [maxTrie + 1]place
	for at := int32(0); at < int32(len(v.trie)); {
		n := &v.trie[at]
		p := path[n.depth-1]
		switch b := n.byte; {
		case p.in > 0:
			p.in = nextInChar(p.in, b)
		case b < 0x80 && set.has(b):
			p.count++
		case chars && n.chars == begin:
			p.count, p.in = p.count+1, nextInChar(0, b)
		default:
			nodes[p.count] = append(nodes[p.count], at)
			at = n.skip
			continue
		}
		path[n.depth] = p
		for id := n.token; id >= 0; id = v.same[id] {
			ids[p.count] = append(ids[p.count], id)
		}
		at++
	}
	for n := range r.upTo {
		slices.Sort(ids[n]) // for masks are filled in this order
		if len(ids[n])+len(nodes[n]) > 0 {
			r.most = n
		}
		r.ids, r.nodes = append(r.ids, ids[n]...), append(r.nodes, nodes[n]...)
		r.upTo[n].ids, r.upTo[n].nodes = len(r.ids), len(r.nodes)
	}
	if len(v.runs) == mostRuns {
		v.runs = slices.Delete(v.runs, 0, 1)
	}
	v.runs = append(v.runs, r)
	return r
}

// foresee finds the runs that texts of a grammar will ask for, so that no mask waits for them.
func (v *Vocab) foresee(b *builder) {
	n := 0
	for _, t := range b.drawn {
		if set, chars := t.bytes(); set.len() >= leastRun && n < mostRuns/2 {
			v.run(set, chars)
			n++
		}
	}
}

// onward is where most ASCII bytes lead from a state.
type onward struct {
	to    *state
	set   byteSet // of ASCII that leads there
	chars bool    // and each character beyond it
}

func (g *Grammar) onwardOf(s *state) *onward {
	if s.onward != nil {
		return s.onward
	}
	o := &onward{to: dead}
	for _, rep := range g.reps {
		if to := g.step(s, rep); rep < 0x80 && to != dead && to != o.to {
			var set byteSet
			for k, other := range g.reps {
				if other < 0x80 && g.step(s, other) == to {
					set.join(&g.sets[k])
				}
			}
			if set.len() > o.set.len() {
				o.to, o.set = to, set
			}
		}
	}
	if o.set.len() >= leastRun {
		o.chars = g.beyond(s, false, func(to *state) bool { return to == o.to })
	} else {
		o.set = byteSet{}
	}
	s.onward = o
	g.keep(64)
	return o
}

// walkRun goes over the whole trie like walk, if the state goes on by the same characters for as long as it goes on by any of them; done
// tells whether it does.
func (g *Grammar) walkRun(s *state, mask []uint64, end func(int32) bool) (done bool) {
	first := g.onwardOf(s)
	if first.set.len() < leastRun {
		return false
	}
	r := g.vocab.run(first.set, first.chars)
	var states [maxTrie + 1]*state // by the number of characters
	n := 0
	around := g.loopsOf(s).covers(&first.set, first.chars) // no token tells the states behind them apart
	for at := s; ; n++ {
		if states[n] = at; end != nil && at.end {
			return false
		}
		if n == r.most {
			break
		}
		if around {
			continue
		}
		o := g.onwardOf(at)
		if o.set == first.set && o.chars == first.chars {
			at = o.to
			continue
		}
		for _, b := range g.reps {
			if in := b < 0x80 && first.set.has(b) || b >= 0x80 && first.chars; in && g.step(at, b) != dead {
				return false
			}
		}
		break
	}
	for _, id := range r.ids[:r.upTo[n].ids] {
		mask[id>>6] |= 1 << (id & 63)
	}
	last := 0
	for count := range n + 1 {
		at := states[count]
		for _, i := range r.nodes[last:r.upTo[count].nodes] {
			node := &g.vocab.trie[i]
			if g.step(at, node.byte) != dead && !g.walk(at, i, node.skip, node.depth-1, mask, end) {
				return true
			}
		}
		last = r.upTo[count].nodes
	}
	return true
}
