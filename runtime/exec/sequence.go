package exec

import (
	"encoding/binary"
	"fmt"
	"runtime"

	"qpt/kernels/attn"
)

// Sequence is the state of one sequence: the keys and values of every attention
// that keeps a cache, in pages. An empty one is a few kilobytes. It is not safe
// for concurrent use, but different sequences are, and may be in one pass.
type Sequence struct {
	p     *Program
	kv    []*attn.KV // by cache; nil when closed
	len   int
	limit int
}

// NewSequence starts an empty sequence of up to limit positions. Its pages come from pool
// and hold keys and values of type kv. Without Close they go back when the garbage collector finds the sequence.
func (p *Program) NewSequence(pool *attn.Pool, kv attn.KVType, limit int) *Sequence {
	list := make([]*attn.KV, 0, len(p.caches))
	for _, c := range p.caches {
		list = append(list, newKV(pool, kv, c))
	}
	return newSequence(p, list, 0, limit)
}

func newSequence(p *Program, kv []*attn.KV, n, limit int) *Sequence {
	s := &Sequence{p: p, kv: kv, len: n, limit: limit}
	runtime.AddCleanup(s, release, kv)
	return s
}

func release(kv []*attn.KV) {
	for _, kv := range kv {
		kv.Release()
	}
}

// Len is the number of positions held.
func (s *Sequence) Len() int { return s.len }

// Limit is the number of positions that it can hold.
func (s *Sequence) Limit() int { return s.limit }

// Holds tells whether Truncate(n) leaves n positions: layers with a window give up what no position from Len-attn.Slack on sees.
func (s *Sequence) Holds(n int) bool {
	if n > s.len {
		return false
	}
	for _, kv := range s.kv {
		if !kv.Holds(n) {
			return false
		}
	}
	return true
}

// Truncate forgets the positions from n on, or all if it does not hold what goes before n (Holds): Len tells what is left.
func (s *Sequence) Truncate(n int) {
	if n = max(n, 0); n < s.len {
		if !s.Holds(n) {
			n = 0
		}
		s.len = n
		for _, kv := range s.kv {
			kv.Truncate(n)
		}
	}
}

// Fork returns a sequence with the same contents. They share their pages; who adds to a page that is
// shared gets a copy of it first. It panics after Close.
func (s *Sequence) Fork() *Sequence {
	if s.kv == nil {
		panic("exec: Fork of a closed sequence")
	}
	list := make([]*attn.KV, 0, len(s.kv))
	for _, kv := range s.kv {
		list = append(list, kv.Fork())
	}
	return newSequence(s.p, list, s.len, s.limit)
}

// Close gives the pages back; the sequence is empty then and cannot be used in a pass.
func (s *Sequence) Close() {
	release(s.kv)
	s.kv, s.len = nil, 0
}

// ErrSaved is matched by errors of Restore about bytes that no sequence of this program wrote.
var ErrSaved = attn.ErrSaved

// savedSequence begins the bytes of a sequence; the number changes with what the bits of a state mean.
const savedSequence = "qptseq\x00\x02"

// AppendBinary appends the sequence to b: "qptseq", a version, the number of positions and of
// caches (uint32, little-endian), then the keys and values of each. It never fails.
func (s *Sequence) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, savedSequence...)
	b = binary.LittleEndian.AppendUint32(b, uint32(s.len))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.kv)))
	for _, kv := range s.kv {
		b, _ = kv.AppendBinary(b)
	}
	return b, nil
}

// Restore replaces the contents by those that AppendBinary wrote, of a sequence of the
// same program with keys and values of the same type. That it was the same model is for the caller to know.
// Errors match ErrSaved, or attn.ErrBudget where pages are short; the sequence is empty after one.
func (s *Sequence) Restore(b []byte) error {
	s.Truncate(0)
	bad := func(f string, a ...any) error { return fmt.Errorf("%w: "+f, append([]any{ErrSaved}, a...)...) }
	head := len(savedSequence) + 8
	if len(b) < head || string(b[:len(savedSequence)]) != savedSequence {
		return bad("the bytes do not begin as a sequence does")
	}
	n, caches := binary.LittleEndian.Uint32(b[head-8:]), binary.LittleEndian.Uint32(b[head-4:])
	switch {
	case int(caches) != len(s.kv):
		return bad("%d caches, the model has %d", caches, len(s.kv))
	case int64(n) > int64(s.limit):
		return bad("%d positions, the context has %d", n, s.limit)
	}
	b = b[head:]
	var err error
	for _, kv := range s.kv {
		if b, err = kv.Restore(b); err == nil && kv.Len() != int(n) {
			err = bad("a cache of %d positions in a sequence of %d", kv.Len(), n)
		}
		if err != nil {
			break
		}
	}
	if err == nil && len(b) > 0 {
		err = bad("%d bytes follow the sequence", len(b))
	}
	if err != nil {
		for _, kv := range s.kv {
			kv.Truncate(0)
		}
		return err
	}
	s.len = int(n)
	return nil
}

// reserve makes room for n more positions in every cache.
func (s *Sequence) reserve(n int) error {
	for _, kv := range s.kv {
		if err := kv.Grow(s.len, n); err != nil {
			return err
		}
	}
	return nil
}

// took takes up n positions for which reserve made room.
func (s *Sequence) took(n int) {
	s.len += n
	for _, kv := range s.kv {
		kv.Forget()
	}
}

// drop gives back what reserve took.
func (s *Sequence) drop() {
	for _, kv := range s.kv {
		kv.Truncate(s.len)
	}
}
