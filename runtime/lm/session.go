package lm

import (
	"context"
	"fmt"

	"qpt/format/graph"
	"qpt/runtime/exec"
)

// Session is one sequence of tokens: its keys and values, in pages, and nothing else. It
// belongs to one goroutine at a time.
type Session struct {
	m      *Model
	s      *exec.Sequence
	logits []float32 // of the last token appended
	batch  graph.Batch
	rows   []int32
}

// NewSession starts an empty sequence. Its keys and values take memory as it fills.
func (m *Model) NewSession() (*Session, error) { return m.session(m.context), nil }

func (m *Model) session(context int) *Session {
	return &Session{m: m, s: m.NewSequence(context)}
}

// Len is the number of tokens in the sequence.
func (s *Session) Len() int { return s.s.Len() }

// Truncate forgets the tokens from position n on.
func (s *Session) Truncate(n int) { s.s.Truncate(n) }

// Close gives the memory of keys and values back. It is not needed for correctness.
func (s *Session) Close() { s.s.Close() }

// Append runs ids at the end of the sequence and returns the logits [V] that
// follow the last of them, valid until the next call. Between passes over the model other
// sessions have their turn. When ctx ends, within a pass or while waiting, its error comes back
// and the tokens of finished passes stay in the sequence.
func (s *Session) Append(ctx context.Context, ids []int32) ([]float32, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("no tokens to run")
	}
	if n := s.Len(); n+len(ids) > s.s.Limit() {
		return nil, fmt.Errorf("%d tokens do not fit in the context: %d of %d positions are taken", len(ids), n, s.s.Limit())
	}
	for i, id := range ids {
		if n := s.m.Program().Vocab(); id < 0 || int(id) >= n {
			return nil, fmt.Errorf("token %d at position %d is not in the vocabulary of %d", id, s.Len()+i, n)
		}
	}
	if s.logits == nil {
		s.logits = make([]float32, s.m.vocab)
	}
	for end := s.Len() + len(ids); len(ids) > 0; {
		n := min(len(ids), s.m.PassRows())
		s.rows = s.rows[:0]
		if n == len(ids) {
			s.rows = append(s.rows, int32(n-1))
		}
		if err := s.pass(ctx, ids[:n], end, s.keep); err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	return s.logits, nil
}

// keep takes over the logits of a pass.
func (s *Session) keep(logits []float32) { copy(s.logits, logits) }

// pass appends ids in one pass of an append that ends at position end, and shows use the
// logits of s.rows.
func (s *Session) pass(ctx context.Context, ids []int32, end int, use func(logits []float32)) error {
	if s.batch.Inputs == nil {
		s.batch = graph.Batch{Parts: make([]graph.Part, 1), Inputs: map[string]graph.Tensor{}}
	}
	s.batch.Parts[0] = graph.Part{Seq: s.s, N: len(ids), Rows: s.rows, End: end}
	s.batch.Inputs["ids"] = graph.Tensor{Shape: []int{len(ids)}, I: ids}
	return s.m.Pass(ctx, s.m.Program(), &s.batch, func(out []graph.Tensor) error {
		use(out[0].F)
		return nil
	})
}
