package tokenizer

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Byte pair encoding: a word starts as one symbol per character; then, as long
// as some neighbours have a merge, those of the lowest rank are joined, the
// leftmost first among equals.

// mergeTable holds the merges sorted by (left, right), so that a file can hold
// it as it is; those of left are start[left] to start[left+1].
type mergeTable struct {
	start  []uint32 // [tokens+1]
	right  []int32  // [merges]
	rank   []int32  // [merges], a permutation of 0 .. merges-1
	result []int32  // [merges]
}

// merge is one entry of the table while it is being made.
type merge struct{ left, right, rank, result int32 }

// newMergeTable makes the table of list, which it sorts. Of two merges of one
// pair the later counts.
func newMergeTable(tokens int, list []merge) mergeTable {
	slices.SortFunc(list, func(a, b merge) int {
		return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right), cmp.Compare(b.rank, a.rank))
	})
	list = slices.CompactFunc(list, func(a, b merge) bool { return a.left == b.left && a.right == b.right })
	order := make([]int, len(list)) // by rank, to close the gaps
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(list[a].rank, list[b].rank) })
	m := mergeTable{start: make([]uint32, tokens+1), right: make([]int32, len(list)),
		rank: make([]int32, len(list)), result: make([]int32, len(list))}
	for rank, i := range order {
		m.rank[i] = int32(rank)
	}
	for i, e := range list {
		m.right[i], m.result[i] = e.right, e.result
		m.start[e.left+1]++
	}
	for i := range tokens {
		m.start[i+1] += m.start[i]
	}
	return m
}

// find returns the place in the table of the merge of two tokens, -1 if none.
func (m *mergeTable) find(left, right int32) int32 {
	lo, hi := m.start[left], m.start[left+1]
	for lo < hi {
		mid := (lo + hi) / 2
		if m.right[mid] < right {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < m.start[left+1] && m.right[lo] == right {
		return int32(lo)
	}
	return -1
}

// runeIDs is the number of low code points whose ids stand in a table: ASCII,
// Latin and the byte-level alphabet (up to U+0143).
const runeIDs = 512

const metaspace = '▁' // U+2581, the space of SentencePiece

var bpeKind = modelKind{
	check: func(m *model) error {
		if m.Dropout != 0 {
			return unsupported("dropout %g", m.Dropout)
		}
		return nil
	},
	setup: func(t *Tokenizer) error { return t.setBPE() },
	word:  func(e *encoder, word string) error { e.words(word); return nil },
}

// setBPE fills the tables of single characters and bytes and finds out
// whether words may be cut at spaces.
func (t *Tokenizer) setBPE() error {
	for r := range rune(runeIDs) {
		t.runeID[r] = t.vocab.id(string(r))
	}
	t.setBytes()
	if t.setUnk(); t.cfg.Unk != nil && t.unkID < 0 {
		return bad("unk_token %q is not in the vocabulary", *t.cfg.Unk)
	}
	t.affixed = t.cfg.SubwordPre != "" || t.cfg.WordEnd != ""
	t.cutSpace = !t.affixed && t.vocab.id(string(metaspace)) >= 0
	for i := 0; t.cutSpace && i < len(t.vocab.tokens); i++ {
		s := t.vocab.tokens[i]
		t.cutSpace = cut(s) == len(s)
	}
	return nil
}

// setBytes fills the table of tokens <0x00> to <0xFF>.
func (t *Tokenizer) setBytes() {
	for b := range 256 {
		t.byteID[b] = t.vocab.id(byteToken(byte(b)))
	}
}

// cut returns the length of s up to its first U+2581 that follows another character.
func cut(s string) int {
	space := string(metaspace)
	lead := 0
	for strings.HasPrefix(s[lead:], space) {
		lead += len(space)
	}
	if i := strings.Index(s[lead:], space); i >= 0 {
		return lead + i
	}
	return len(s)
}

// words encodes a pre-tokenized piece. Where no token has U+2581 behind
// another character no merge can reach over such a place, so that the pieces
// between can be encoded alone, which spares a SentencePiece tokenizer words
// as long as the text.
func (e *encoder) words(s string) {
	if e.t.cfg.IgnoreMerges {
		if id := e.t.vocab.id(s); id >= 0 {
			e.out = append(e.out, id)
			return
		}
	}
	for e.t.cutSpace {
		n := cut(s)
		if n == len(s) {
			break
		}
		e.bpe(s[:n])
		s = s[n:]
	}
	e.bpe(s)
}

// bpe appends the tokens of one word.
func (e *encoder) bpe(word string) {
	e.symbols(word)
	if len(e.word) <= longWord {
		e.mergeShort()
	} else {
		e.list.merge(&e.t.merges, e.word)
		e.word = slices.DeleteFunc(e.word, func(id int32) bool { return id < 0 })
	}
	e.out = append(e.out, e.word...)
}

// symbols sets e.word to the tokens of word's characters. One that has none
// becomes its bytes' tokens, else the unknown token, else nothing. A waiting
// unknown token goes out when the next known character comes, behind bytes
// that come before that: the library's order.
func (e *encoder) symbols(word string) {
	t := e.t
	e.word = e.word[:0]
	waiting := false
	for i, r := range word {
		c := word[i : i+utf8.RuneLen(r)]
		var id int32
		switch {
		case t.affixed:
			c = t.affix(c, i == 0, i+len(c) == len(word))
			id = t.vocab.id(c)
		case r < runeIDs:
			id = t.runeID[r]
		default:
			id = t.vocab.id(c)
		}
		switch {
		case id >= 0:
			if waiting {
				e.word = append(e.word, t.unkID)
				waiting = false
			}
			e.word = append(e.word, id)
		case t.cfg.ByteFallback && e.bytes(c):
		case t.unkID >= 0:
			if waiting && !t.cfg.FuseUnk {
				e.word = append(e.word, t.unkID)
			}
			waiting = true
		}
	}
	if waiting {
		e.word = append(e.word, t.unkID)
	}
}

// affix spells a character as its token is: the first of a word without the
// prefix of what goes on, the last with the suffix.
func (t *Tokenizer) affix(c string, first, last bool) string {
	if !first {
		c = t.cfg.SubwordPre + c
	}
	if last {
		c += t.cfg.WordEnd
	}
	return c
}

// bytes appends the byte tokens of s unless one of them is missing.
func (e *encoder) bytes(s string) bool {
	n := len(e.word)
	for i := range len(s) {
		id := e.t.byteID[s[i]]
		if id < 0 {
			e.word = e.word[:n]
			return false
		}
		e.word = append(e.word, id)
	}
	return true
}

// longWord is the length from which the heap is faster than looking at all pairs
// each time (measured: 8 symbols 580 to 440 ns, 16 equal, 64 4.9 to 7.2 us).
const longWord = 16

func (e *encoder) mergeShort() {
	m, w := &e.t.merges, e.word
	best := e.best[:0]
	for i := 1; i < len(w); i++ {
		best = append(best, m.find(w[i-1], w[i]))
	}
	for {
		at, low := -1, int32(0)
		for i, b := range best {
			if b >= 0 && (at < 0 || m.rank[b] < low) {
				at, low = i, m.rank[b]
			}
		}
		if at < 0 {
			break
		}
		w[at] = m.result[best[at]]
		w = slices.Delete(w, at+1, at+2)
		best = slices.Delete(best, at, at+1)
		if at > 0 {
			best[at-1] = m.find(w[at-1], w[at])
		}
		if at < len(best) {
			best[at] = m.find(w[at], w[at+1])
		}
	}
	e.word, e.best = w, best
}

// linked merges long words in O(n log n): a list of the living symbols and a
// heap of the possible merges, keyed rank<<32 | position of the left symbol.
type linked struct {
	prev, next []int32
	heap       []uint64
}

// merge joins the symbols of w in place; those swallowed become -1.
func (l *linked) merge(m *mergeTable, w []int32) {
	n := int32(len(w))
	l.prev, l.next, l.heap = l.prev[:0], l.next[:0], l.heap[:0]
	for i := range n {
		l.prev, l.next = append(l.prev, i-1), append(l.next, i+1)
	}
	for i := range n - 1 {
		if at := m.find(w[i], w[i+1]); at >= 0 {
			l.heap = append(l.heap, key(m.rank[at], i))
		}
	}
	for i := len(l.heap)/2 - 1; i >= 0; i-- {
		l.down(i)
	}
	for len(l.heap) > 0 {
		top := l.heap[0]
		last := len(l.heap) - 1
		l.heap[0] = l.heap[last]
		l.heap = l.heap[:last]
		l.down(0)

		i := int32(uint32(top))
		if w[i] < 0 || l.next[i] == n {
			continue
		}
		right := l.next[i]
		at := m.find(w[i], w[right])
		if at < 0 || m.rank[at] != int32(top>>32) {
			continue // one of the two has been merged since
		}
		w[i], w[right] = m.result[at], -1
		if l.next[i] = l.next[right]; l.next[i] < n {
			l.prev[l.next[i]] = i
			l.push(m, w, i, l.next[i])
		}
		if l.prev[i] >= 0 {
			l.push(m, w, l.prev[i], i)
		}
	}
}

func key(rank, pos int32) uint64 { return uint64(rank)<<32 | uint64(pos) }

func (l *linked) push(m *mergeTable, w []int32, left, right int32) {
	at := m.find(w[left], w[right])
	if at < 0 {
		return
	}
	l.heap = append(l.heap, key(m.rank[at], left))
	for i := len(l.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if l.heap[up] <= l.heap[i] {
			break
		}
		l.heap[up], l.heap[i] = l.heap[i], l.heap[up]
		i = up
	}
}

func (l *linked) down(i int) {
	for h := l.heap; ; {
		c := 2*i + 1
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if c >= len(h) || h[i] <= h[c] {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
