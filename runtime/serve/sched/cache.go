package sched

import (
	"container/list"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"qpt/runtime/lm"
)

// block is the number of tokens by which prefixes are told apart.
const block = 16

// cache keeps what texts have read, for prompts that begin alike. Blocks are found by a chain of hashes,
// each over the one before and the tokens, which are compared as well. Entries share the pages of what they have in common;
// the least recently used one loses its last page first.
type cache struct {
	seed  maphash.Seed
	index map[uint64][]*entry // by the hash of all blocks up to one; each entry in it has that many
	lru   list.List           // of *entry, the one used last in front
	page  int                 // positions of a page
	fixed []*entry            // see Pinned
}

type entry struct {
	salt    string
	tokens  []int32 // whole blocks
	hashes  []uint64
	session *lm.Session
	at      *list.Element // nil: pinned
}

// everyone is the salt of what is pinned: no text's own.
const everyone = "everyone"

// pin takes over a session that has read tokens, for texts of all salts.
func (c *cache) pin(tokens []int32, s *lm.Session) {
	n := len(tokens) / block * block
	e := &entry{salt: everyone, tokens: tokens[:n], hashes: c.chain(everyone, tokens[:n]), session: s}
	for _, h := range e.hashes {
		c.index[h] = append(c.index[h], e)
	}
	c.fixed = append(c.fixed, e)
}

func newCache(page int) *cache {
	return &cache{seed: maphash.MakeSeed(), index: map[uint64][]*entry{}, page: page}
}

// chain returns the hashes of all whole blocks of tokens.
func (c *cache) chain(salt string, tokens []int32) []uint64 {
	hashes := make([]uint64, 0, len(tokens)/block)
	h := maphash.String(c.seed, salt)
	var b [8 + 4*block]byte
	for i := 0; i+block <= len(tokens); i += block {
		binary.LittleEndian.PutUint64(b[:], h)
		for j, id := range tokens[i : i+block] {
			binary.LittleEndian.PutUint32(b[8+4*j:], uint32(id))
		}
		h = maphash.Bytes(c.seed, b[:])
		hashes = append(hashes, h)
	}
	return hashes
}

// find returns the entry that can go on from the longest beginning of tokens, and its length; nil for none. Entries have read known
// of them: more than that length where layers have given up what lies before their windows.
func (c *cache) find(salt string, tokens []int32) (e *entry, n, known int) {
	hashes := c.chain(salt, tokens)
	for i := len(hashes) - 1; i >= 0; i-- {
		n := (i + 1) * block
		for _, e := range c.index[hashes[i]] {
			if e.salt == salt && slices.Equal(e.tokens[:n], tokens[:n]) {
				known = max(known, n)
				if e.session.Holds(n) {
					return e, n, known
				}
			}
		}
	}
	return nil, 0, known
}

// fork returns a session that has read a beginning of tokens, but not all of them; nil for none. Entries have read known of them.
func (c *cache) fork(salt string, tokens []int32) (s *lm.Session, known int) {
	e, n, known := c.find(salt, tokens[:len(tokens)-1])
	if len(c.fixed) > 0 {
		if p, m, seen := c.find(everyone, tokens[:len(tokens)-1]); m > n {
			e, n, known = p, m, max(known, seen)
		}
	}
	if e == nil {
		return nil, known
	}
	if e.at != nil {
		c.lru.MoveToFront(e.at)
	}
	s = e.session.Fork()
	s.Truncate(n)
	return s, known
}

// keep takes over a session that has read tokens, of which whole blocks are kept.
func (c *cache) keep(salt string, tokens []int32, s *lm.Session) {
	n := len(tokens) / block * block
	old, same, _ := c.find(salt, tokens[:n])
	switch {
	case n == 0 || !s.Holds(n):
		s.Close()
		return
	case same == n:
		s.Close()
		c.lru.MoveToFront(old.at)
		return
	case same > 0 && same == len(old.tokens) && s.Holds(same): // the new one holds it all
		c.drop(old)
	}
	s.Truncate(n)
	e := &entry{salt: salt, tokens: slices.Clone(tokens[:n]), hashes: c.chain(salt, tokens[:n]), session: s}
	for _, h := range e.hashes {
		c.index[h] = append(c.index[h], e)
	}
	e.at = c.lru.PushFront(e)
}

// shrink gives up a page of the least recently used entry, which may be one that others hold too. It
// tells whether there was one.
func (c *cache) shrink() bool {
	last := c.lru.Back()
	if last == nil {
		return false
	}
	e := last.Value.(*entry)
	n := (len(e.tokens) - 1) / c.page * c.page
	if !e.session.Holds(n) {
		n = 0
	}
	c.cut(e, n)
	if n == 0 {
		c.drop(e)
	} else {
		e.session.Truncate(n)
	}
	return true
}

// cut leaves an entry its first n tokens.
func (c *cache) cut(e *entry, n int) {
	for _, h := range e.hashes[n/block:] {
		rest := slices.DeleteFunc(c.index[h], func(o *entry) bool { return o == e })
		if c.index[h] = rest; len(rest) == 0 {
			delete(c.index, h)
		}
	}
	e.tokens, e.hashes = e.tokens[:n], e.hashes[:n/block]
}

func (c *cache) drop(e *entry) {
	c.cut(e, 0)
	e.session.Close()
	c.lru.Remove(e.at)
}

func (c *cache) clear() {
	for _, e := range c.fixed {
		e.session.Close()
	}
	for e := c.lru.Front(); e != nil; e = c.lru.Front() {
		c.drop(e.Value.(*entry))
	}
}
