package exec

import (
	"qpt/kernels/attn"
)

// Sequence is the state of one sequence: the keys and values of every attention
// that keeps a cache, in pages. An empty one is a few kilobytes. It is not safe
// for concurrent use, but different sequences are, and may be in one pass.
type Sequence struct {
	p     *Program
	kv    []*attn.KV // by cache; nil when released
	len   int
	limit int
}

// NewSequence starts an empty sequence of up to limit positions, whose keys and values are stored as kv.
func (p *Program) NewSequence(kv attn.KVType, limit int) *Sequence {
	s := &Sequence{p: p, limit: limit, kv: make([]*attn.KV, 0, len(p.caches))}
	for _, c := range p.caches {
		s.kv = append(s.kv, attn.NewKV(kv, c.KVHeads, c.HeadDim, limit))
	}
	return s
}

// Len is the number of positions held.
func (s *Sequence) Len() int { return s.len }

// Limit is the number of positions that it can hold.
func (s *Sequence) Limit() int { return s.limit }

// Truncate forgets the positions from n on.
func (s *Sequence) Truncate(n int) {
	if n = max(n, 0); n < s.len {
		s.len = n
		for _, kv := range s.kv {
			kv.Truncate(n)
		}
	}
}

// reserve makes room for n more positions in every cache; on failure all is as before.
func (s *Sequence) reserve(n int) error {
	for _, kv := range s.kv {
		kv.Grow(s.len, n)
	}
	return nil
}

// Close gives the pages back; the sequence cannot be used any more.
func (s *Sequence) Close() { s.kv, s.len = nil, 0 }

// Fork returns a sequence with the same contents.
func (s *Sequence) Fork() *Sequence { panic("exec: Fork") }
