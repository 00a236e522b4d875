package constrain

import (
	"bytes"
	"slices"
	"sync"
)

// Vocab is a model's vocabulary as a trie of bytes. It may be used by many goroutines.
type Vocab struct {
	size int
	text [][]byte // by id; nil: never part of a constrained text
	eos  []int32
	trie []trieNode // in the order of a walk: a node, then all below it
	same []int32    // by id: the next id with the same bytes, -1 at the end

	order []int32   // ids in the order of the trie
	sets  []byteSet // what subtrees are made of

	long []int32 // ids of texts too long for the trie

	mu   sync.Mutex
	runs []*run // found so far
}

// trieNode is a byte after its parent's.
type trieNode struct {
	skip  int32 // the next node that is not below this one
	token int32 // that ends here, -1 for none
	first int32 // the place in the order of the first token from here on
	set   int32 // of bytes below; -1: the subtree is small
	depth uint8 // bytes up to this one, from 1 on
	byte  byte
	chars inChars
	twins bool // other tokens have the token's bytes
}

// inChars tells how a node's subtree lies in characters of UTF-8.
type inChars uint8

const (
	ragged   inChars = iota // some text, up to its end, is no beginning of one
	complete                // none is; at the node a character is at its end
	begin                   // the node begins one of several bytes
	between                 // it goes on with one
)

// smallTree is the size of a subtree that is walked in any case.
const smallTree = 16

// maxTrie bounds the depth of the trie; longer tokens are few (runs of blanks and dashes) and tried one by one.
const maxTrie = 64

// NewVocab makes a vocabulary of the ids below n. text gives the bytes that a token adds to a text, nil for
// tokens that are no text (special ones); eos end a text.
func NewVocab(n int, text func(id int32) []byte, eos []int32) *Vocab {
	v := &Vocab{size: n, text: make([][]byte, n), same: make([]int32, n), eos: eos}
	order := make([]int32, 0, n)
	for id := range int32(n) {
		v.same[id] = -1
		if slices.Contains(eos, id) {
			continue
		}
		v.text[id] = text(id)
		switch t := v.text[id]; {
		case len(t) > maxTrie:
			v.long = append(v.long, id)
		case len(t) > 0:
			order = append(order, id)
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return bytes.Compare(v.text[a], v.text[b]) })
	var path []int32 // the nodes of the last text
	var last []byte
	for i, id := range order {
		t := v.text[id]
		common := 0
		for common < len(last) && common < len(t) && last[common] == t[common] {
			common++
		}
		if i > 0 && common == len(t) && len(t) == len(last) {
			v.same[order[i-1]] = id
			v.trie[len(v.trie)-1].twins = true
			continue
		}
		for _, at := range path[common:] {
			v.trie[at].skip = int32(len(v.trie))
		}
		path = path[:common]
		for d := common; d < len(t); d++ {
			path = append(path, int32(len(v.trie)))
			v.trie = append(v.trie, trieNode{token: -1, depth: uint8(d + 1), byte: t[d]})
		}
		v.trie[len(v.trie)-1].token, last = id, t
	}
	for _, at := range path {
		v.trie[at].skip = int32(len(v.trie))
	}
	v.order = order
	v.summarize()
	return v
}

// summarize notes of each subtree what it is made of.
func (v *Vocab) summarize() {
	sets, chars := make([]byteSet, len(v.trie)), make([]int8, len(v.trie)) // below; in a character
	var path [maxTrie + 1]int8
	first := int32(0)
	for i := range v.trie {
		n := &v.trie[i]
		n.first = first
		for id := n.token; id >= 0; id = v.same[id] {
			first++
		}
		chars[i] = nextInChar(path[n.depth-1], n.byte)
		path[n.depth] = chars[i]
	}
	number := map[byteSet]int32{}
	for i := len(v.trie) - 1; i >= 0; i-- {
		n := &v.trie[i]
		good := chars[i] >= 0
		for c := int32(i) + 1; c < n.skip; c = v.trie[c].skip {
			sets[i].join(&sets[c])
			sets[i].add(v.trie[c].byte)
			good = good && chars[c] >= 0
		}
		switch {
		case !good:
			n.chars, chars[i] = ragged, -1 // and so is what is above
		case chars[i] == 0:
			n.chars = complete
		case n.byte >= 0xc0:
			n.chars = begin
		default:
			n.chars = between
		}
		if n.set = -1; n.skip-int32(i) > smallTree {
			k, ok := number[sets[i]]
			if !ok {
				k = int32(len(v.sets))
				number[sets[i]] = k
				v.sets = append(v.sets, sets[i])
			}
			n.set = k
		}
	}
}

// allowFrom sets the bits of all tokens from a node on, those below it among them.
func (v *Vocab) allowFrom(mask []uint64, n *trieNode) {
	last := int32(len(v.order))
	if int(n.skip) < len(v.trie) {
		last = v.trie[n.skip].first
	}
	for _, id := range v.order[n.first:last] {
		mask[id>>6] |= 1 << (id & 63)
	}
}

// Size is the number of ids.
func (v *Vocab) Size() int { return v.size }

// Words is the length of a mask.
func (v *Vocab) Words() int { return (v.size + 63) / 64 }

// allow sets the bits of a token and of those with the same bytes.
func (v *Vocab) allow(mask []uint64, id int32) {
	for ; id >= 0; id = v.same[id] {
		mask[id>>6] |= 1 << (id & 63)
	}
}

// Cache keeps the grammars last asked for. It may be used by many goroutines.
type Cache struct {
	Vocab *Vocab
	Bytes int // of memory, about; 0: 256 MiB

	mu   sync.Mutex
	list []entry // the latest last
	size int
}

type entry struct {
	key     string
	grammar *Grammar
}

// Compile is Vocab.Compile, or what it returned before.
func (c *Cache) Compile(s Spec) (*Grammar, error) {
	key := s.Key()
	if g := c.find(key); g != nil {
		return g, nil
	}
	g, err := c.Vocab.Compile(s)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list, c.size = append(c.list, entry{key, g}), c.size+g.size()
	most := c.Bytes
	if most == 0 {
		most = 256 << 20
	}
	for c.size > most && len(c.list) > 1 {
		c.size -= c.list[0].grammar.size()
		c.list = slices.Delete(c.list, 0, 1)
	}
	return g, nil
}

func (c *Cache) find(key string) *Grammar {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.list, func(e entry) bool { return e.key == key })
	if at < 0 {
		return nil
	}
	e := c.list[at]
	c.list = append(slices.Delete(c.list, at, at+1), e)
	return e.grammar
}
