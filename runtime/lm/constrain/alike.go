package constrain

// Places of a long repetition differ only in how far its ends are, which no token reaches: they have the same mask. So that
// it is made once, nodes are numbered by what can follow within maxTrie bytes, and a state's mask is that of the state in
// which each node is the first of its number.

// long is the repetition from which on it is worth the work, mostAlike the number of nodes up to which.
const (
	long      = 40
	mostAlike = 1 << 16
)

// alike returns the first node that is like each node for maxTrie bytes; nil if it is not worth it, or where a call may go
// by without a byte, so that bytes do not count steps.
func (b *builder) alike() []int32 {
	if !b.long || len(b.nodes) > mostAlike {
		return nil
	}
	null := b.nullable()
	for i := range b.nodes {
		for _, c := range b.nodes[i].calls {
			if null[c.rule] {
				return nil
			}
		}
	}
	reach := make([][]int32, len(b.nodes)) // by empty edges
	for i := range b.nodes {
		seen := map[int32]bool{int32(i): true}
		list := []int32{int32(i)}
		for k := 0; k < len(list); k++ {
			for _, to := range b.nodes[list[k]].eps {
				if !seen[to] {
					seen[to] = true
					list = append(list, to)
				}
			}
		}
		b.spend(len(list))
		reach[i] = list
	}
	for i := range b.nodes { // what follows takes maxTrie steps for each, of the cheapest
		b.spend(8 * (1 + len(b.nodes[i].edges)))
	}
	number, next := make([]uint64, len(b.nodes)), make([]uint64, len(b.nodes))
	for range maxTrie {
		for i := range b.nodes {
			h := uint64(0)
			for _, at := range reach[i] {
				n := &b.nodes[at]
				if n.final {
					h += 0x9E3779B97F4A7C15
				}
				for _, e := range n.edges {
					h += mix(number[e.to] + mix(uint64(e.lo)<<8|uint64(e.hi)))
				}
				for _, c := range n.calls {
					h += mix(number[c.ret] ^ mix(uint64(c.rule)<<16|1<<63))
				}
			}
			next[i] = mix(h)
		}
		number, next = next, number
	}
	first := map[uint64]int32{}
	like := make([]int32, len(b.nodes))
	for i, h := range number {
		if _, ok := first[h]; !ok {
			first[h] = int32(i)
		}
		like[i] = first[h]
	}
	return like
}

// model is the state whose mask s has, tokens longer than maxTrie apart.
func (g *Grammar) model(s *state) *state {
	if g.like == nil {
		return s
	}
	if s.model != nil {
		return s.model
	}
	list := make([]config, len(s.configs))
	for i, c := range s.configs {
		list[i] = config{g.like[c.node], g.modelStack(c.stack)}
	}
	s.model = g.closure(list)
	return s.model
}

func (g *Grammar) modelStack(s *stack) *stack {
	if s == nil {
		return nil
	}
	m := g.models[s]
	if m == nil {
		m = g.push(g.like[s.ret], g.modelStack(s.under))
		g.models[s] = m
	}
	return m
}
