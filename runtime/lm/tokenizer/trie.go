package tokenizer

import "unicode/utf8"

// trie finds the tokens that a text starts with, character by character. Its
// edges lie in one open-addressing hash table.
type trie struct {
	keys  []uint64             // node<<21 | character, 0: free
	nodes []int32              // where the edge leads
	ids   []int32              // of the token that ends at a node, -1 if none; node 0 is the root
	ascii [utf8.RuneSelf]int32 // the root's edges by ASCII, 0: none
}

// newTrie makes a trie of the vocabulary's tokens that are not empty.
func newTrie(v *vocab) trie {
	t := trie{ids: []int32{-1}}
	t.resize(1024)
	for id, s := range v.tokens {
		if s != "" {
			t.add(s, int32(id))
		}
	}
	return t
}

func (t *trie) add(s string, id int32) {
	node := int32(0)
	for _, r := range s {
		next := t.next(node, r)
		if next < 0 {
			next = int32(len(t.ids))
			t.ids = append(t.ids, -1)
			if node == 0 && r < utf8.RuneSelf {
				t.ascii[r] = next
			} else {
				t.set(edge(node, r), next)
			}
			if 4*len(t.ids) > 3*len(t.keys) {
				t.resize(2 * len(t.keys))
			}
		}
		node = next
	}
	t.ids[node] = id
}

func (t *trie) resize(n int) {
	keys, nodes := t.keys, t.nodes
	t.keys, t.nodes = make([]uint64, n), make([]int32, n)
	for i, k := range keys {
		if k != 0 {
			t.set(k, nodes[i])
		}
	}
}

func edge(node int32, r rune) uint64 { return uint64(node)<<21 | uint64(r) }

// slot is the place of an edge, or the free one where it would go.
func (t *trie) slot(key uint64) uint64 {
	mask := uint64(len(t.keys) - 1)
	for i := key * 0x9e3779b97f4a7c15 >> 32 & mask; ; i = (i + 1) & mask {
		if k := t.keys[i]; k == key || k == 0 {
			return i
		}
	}
}

func (t *trie) set(key uint64, node int32) {
	i := t.slot(key)
	t.keys[i], t.nodes[i] = key, node
}

// next returns the node behind an edge, -1 if there is none.
func (t *trie) next(node int32, r rune) int32 {
	if node == 0 && r < utf8.RuneSelf {
		if n := t.ascii[r]; n > 0 {
			return n
		}
		return -1
	}
	key := edge(node, r)
	if i := t.slot(key); t.keys[i] == key {
		return t.nodes[i]
	}
	return -1
}

// walk follows s from a node on; -1 if no token goes on like that.
func (t *trie) walk(node int32, s string) int32 {
	for _, r := range s {
		if node = t.next(node, r); node < 0 {
			break
		}
	}
	return node
}

// longest returns the longest token that s starts with, seen from a node, and
// its length; -1 if none.
func (t *trie) longest(node int32, s string) (id int32, n int) {
	id = -1
	for i, r := range s {
		if node = t.next(node, r); node < 0 {
			break
		}
		if t.ids[node] >= 0 {
			id, n = t.ids[node], i+utf8.RuneLen(r)
		}
	}
	return id, n
}
