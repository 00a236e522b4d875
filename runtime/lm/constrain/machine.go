package constrain

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
)

// Limits while running.
const (
	maxKept    = 16 << 20 // bytes of states and masks; then all is forgotten, and built again where it is met
	maxConfigs = 1 << 10  // of one state: above, a grammar is too ambiguous to follow
)

// Grammar is a compiled Spec over a vocabulary. It may be used by many goroutines.
type Grammar struct {
	vocab *Vocab
	nodes []node
	start []int32 // of the rules
	class [256]uint8
	reps  []byte    // one byte of each class
	sets  []byteSet // its bytes: ASCII or not
	chars [8][]byte // by place in a character, see nextInChar: of the bytes beyond ASCII that may follow one for each class and next place
	like  []int32   // see alike; nil: every node is like itself only

	mu     sync.Mutex
	stacks map[stack]*stack
	states map[string]*state
	fresh  []state           // not used yet
	models map[*stack]*stack // see model
	kept   int               // bytes
	number int64
	first  *state
	lost   bool // some text can be read in too many ways
}

// stack is the calls that are open: where the innermost returns to, and those around it; nil: none.
type stack struct {
	ret   int32
	under *stack
	id    int64 // for keys; no part of what is equal
}

// config is a node within open calls.
type config struct {
	node  int32
	stack *stack
}

// state is all configs that a text may have led to, those from which a byte goes on.
type state struct {
	configs []config
	end     bool     // the text may end here
	next    []*state // by class; nil: not known yet

	model  *state   // see Grammar.model; nil: not found yet
	mask   []uint64 // nil: not made yet
	short  []uint64 // of tokens in the trie
	local  *local   // of a state without open calls: what its frame allows
	loops  *loops   // nil: not found yet
	onward *onward  // nil: not found yet
}

// dead is the state that no text leads to.
var dead = &state{}

func newGrammar(v *Vocab, b *builder, root int32) (*Grammar, error) {
	if !b.trim(root) {
		return nil, refuse("no text satisfies it")
	}
	b.leftRecursion()
	g := &Grammar{vocab: v, nodes: b.nodes, like: b.alike()}
	for _, r := range b.rules {
		g.start = append(g.start, r.start)
	}
	g.classes()
	v.foresee(b)
	g.forget()
	g.first = g.closure([]config{{g.start[root], nil}})
	return g, nil
}

// newState makes one that is not known yet, of many at once.
func (g *Grammar) newState(configs []config, end bool) *state {
	if len(g.fresh) == 0 {
		g.fresh = make([]state, 32)
		next := make([]*state, len(g.fresh)*len(g.reps))
		for i := range g.fresh {
			g.fresh[i].next, next = next[:len(g.reps):len(g.reps)], next[len(g.reps):]
		}
	}
	s := &g.fresh[0]
	g.fresh = g.fresh[1:]
	s.configs, s.end = configs, end
	return s
}

// forget drops what was built; states in use stay good, and are built again where they are met.
func (g *Grammar) forget() {
	g.stacks, g.models, g.states, g.kept = map[stack]*stack{}, map[*stack]*stack{}, map[string]*state{}, 0
}

// keep counts what is to be kept.
func (g *Grammar) keep(bytes int) {
	if g.kept += bytes; g.kept > maxKept {
		g.forget()
	}
}

// size is the most memory that the grammar takes, in bytes.
func (g *Grammar) size() int { return 128*len(g.nodes) + maxKept }

// classes finds the bytes that no edge tells apart.
func (g *Grammar) classes() {
	var cut [257]bool
	cut[0], cut[0x80] = true, true
	for i := range g.nodes {
		for _, e := range g.nodes[i].edges {
			cut[e.lo], cut[int(e.hi)+1] = true, true
		}
	}
	for c := range 256 {
		if cut[c] {
			g.reps, g.sets = append(g.reps, byte(c)), append(g.sets, byteSet{})
		}
		k := len(g.reps) - 1
		g.class[c] = uint8(k)
		g.sets[k].add(byte(c))
		for in := range g.chars {
			if b := byte(c); b >= 0x80 && nextInChar(int8(in), b) >= 0 && (cut[c] || nextInChar(int8(in), b) != nextInChar(int8(in), b-1)) {
				g.chars[in] = append(g.chars[in], b)
			}
		}
	}
}

// push opens a call.
func (g *Grammar) push(ret int32, under *stack) *stack {
	if n := &g.nodes[ret]; n.final && len(n.eps) == 0 && len(n.edges) == 0 && len(n.calls) == 0 {
		return under // a call at a rule's end: the caller is not needed any more
	}
	key := stack{ret: ret, under: under}
	s := g.stacks[key]
	if s == nil {
		g.number++
		s = &stack{ret, under, g.number}
		g.stacks[key] = s
	}
	return s
}

// closure is the state of configs and of all that they reach without a byte.
func (g *Grammar) closure(start []config) *state {
	all := make([]config, 0, 8) // met so far; the first of them are seen to
	var met map[config]bool     // the same, of many
	add := func(n int32, s *stack) {
		c := config{n, s}
		if met == nil && slices.Contains(all, c) || met[c] {
			return
		}
		if all = append(all, c); met != nil {
			met[c] = true
		} else if len(all) == fewConfigs {
			met = make(map[config]bool, 2*fewConfigs)
			for _, c := range all {
				met[c] = true
			}
		}
	}
	for _, c := range start {
		add(c.node, c.stack)
	}
	end, edges := false, 0
	for i := 0; i < len(all); i++ {
		if len(all) > 64*maxConfigs {
			g.lost = true
			return dead
		}
		c := all[i]
		n := &g.nodes[c.node]
		for _, to := range n.eps {
			add(to, c.stack)
		}
		for _, call := range n.calls {
			add(g.start[call.rule], g.push(call.ret, c.stack))
		}
		switch {
		case !n.final:
		case c.stack == nil:
			end = true
		default:
			add(c.stack.ret, c.stack.under)
		}
		if len(n.edges) > 0 { // what has been seen to is not looked at again, but for whether it was met
			all[i], all[edges] = all[edges], all[i]
			edges++
		}
	}
	if edges > maxConfigs {
		g.lost = true
		return dead
	}
	return g.intern(all[:edges:edges], end)
}

// fewConfigs are compared one by one.
const fewConfigs = 32

func (s *stack) number() int64 {
	if s == nil {
		return 0
	}
	return s.id
}

// intern is the one state with these configs.
func (g *Grammar) intern(configs []config, end bool) *state {
	if len(configs) == 0 && !end {
		return dead
	}
	slices.SortFunc(configs, func(a, b config) int {
		return cmp.Or(cmp.Compare(a.stack.number(), b.stack.number()), cmp.Compare(a.node, b.node))
	})
	key := make([]byte, 0, 12*len(configs)+1)
	for _, c := range configs {
		key = binary.LittleEndian.AppendUint64(key, uint64(c.stack.number()))
		key = binary.LittleEndian.AppendUint32(key, uint32(c.node))
	}
	if end {
		key = append(key, 1)
	}
	s := g.states[string(key)]
	if s == nil {
		g.keep(200 + 24*len(configs) + 8*len(g.reps))
		s = g.newState(configs, end)
		g.states[string(key)] = s
	}
	return s
}

// step is the state behind a byte.
func (g *Grammar) step(s *state, c byte) *state {
	if s == dead {
		return dead
	}
	k := g.class[c]
	if s.next[k] == nil {
		var to []config
		lo, hi := byte(0), byte(0xff) // of the bytes that no edge tells from c
		for _, at := range s.configs {
			for _, e := range g.nodes[at.node].edges {
				switch {
				case c < e.lo:
					hi = min(hi, e.lo-1)
				case c > e.hi:
					lo = max(lo, e.hi+1)
				default:
					lo, hi = max(lo, e.lo), min(hi, e.hi)
					to = append(to, config{e.to, at.stack})
				}
			}
		}
		behind := g.closure(to)
		for k := int(g.class[lo]); k <= int(g.class[hi]); k++ {
			s.next[k] = behind
		}
	}
	return s.next[k]
}

// Matches tells whether a whole text is one of the grammar's.
func (g *Grammar) Matches(text string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.first
	for i := range len(text) {
		s = g.step(s, text[i])
	}
	return s.end
}
