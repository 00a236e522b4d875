package lm

import (
	"context"
	"fmt"

	"qpt/runtime/exec"
)

// Session is one sequence of tokens: its keys and values, in pages, and nothing else. It
// belongs to one goroutine at a time.
type Session struct {
	m      *Model
	s      *exec.Sequence
	logits []float32 // of the last token appended
	one    [1]Append
}

// NewSession starts an empty sequence. Its keys and values take memory as it fills.
func (m *Model) NewSession() (*Session, error) { return m.session(m.context), nil }

func (m *Model) session(context int) *Session {
	return &Session{m: m, s: m.NewSequence(context)}
}

// Len is the number of tokens in the sequence.
func (s *Session) Len() int { return s.s.Len() }

// Holds tells whether Truncate(n) leaves n tokens. Always if no layer has a window, or n is 0, or at most 128 below the
// greatest Len since it was restored, if it was.
func (s *Session) Holds(n int) bool { return s.s.Holds(n) }

// Truncate forgets the tokens from position n on, and the Logits of the last one if it is among them. Layers with a window may have
// given up what goes before n: then all is forgotten, which Len tells (Holds).
func (s *Session) Truncate(n int) {
	if n < s.Len() {
		s.logits = nil
	}
	s.s.Truncate(n)
}

// Fork returns a session that goes on from the same tokens. The two share the memory of
// what both have read.
func (s *Session) Fork() *Session { return &Session{m: s.m, s: s.s.Fork()} }

// Close gives the memory of keys and values back at once; otherwise the garbage collector does.
func (s *Session) Close() { s.s.Close() }

// Logits are the predictions [V] after the last token; nil where it was not appended last: in an empty, a forked or restored
// session, and after Truncate.
func (s *Session) Logits() []float32 { return s.logits }

// Append runs ids at the end of the sequence and returns the logits [V] that
// follow the last of them, valid until the next call. Between passes over the model other
// sessions have their turn. When ctx ends, within a pass or while waiting, its error comes back
// and the tokens of finished passes stay in the sequence.
func (s *Session) Append(ctx context.Context, ids []int32) ([]float32, error) {
	s.one[0] = Append{s, ids}
	if err := s.m.AppendAll(ctx, s.one[:]); err != nil {
		return nil, err
	}
	return s.logits, nil
}

// Append is what a session is to read.
type Append struct {
	Session *Session
	IDs     []int32 // at least one
}

// AppendAll runs several sessions together, each with its own tokens: as many rows a
// pass as PassRows allows, the weights read once for all of them. Each has its Logits
// then, the same bits as alone. A session may be in the list once. After an error each
// session holds the tokens of the passes that were finished.
func (m *Model) AppendAll(ctx context.Context, list []Append) error {
	for _, a := range list {
		if err := a.check(m); err != nil {
			return err
		}
	}
	var parts []Part
	done := make([]int, len(list))
	for left := len(list); left > 0; {
		parts = parts[:0]
		rows := m.PassRows()
		for i, a := range list {
			n := min(len(a.IDs)-done[i], rows)
			if n == 0 {
				continue
			}
			p := Part{Session: a.Session, IDs: a.IDs[done[i] : done[i]+n], End: a.Session.Len() + len(a.IDs) - done[i]}
			rows -= n
			if done[i] += n; done[i] == len(a.IDs) {
				p.Rows = []int32{int32(n - 1)}
				left--
			}
			parts = append(parts, p)
		}
		err := m.Step(ctx, parts, func(i int, _ int32, logits []float32) {
			s := parts[i].Session
			s.logits = append(s.logits[:0], logits...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// check finds what would fail after some passes.
func (a *Append) check(m *Model) error {
	s := a.Session
	if len(a.IDs) == 0 {
		return fmt.Errorf("no tokens to run")
	}
	if n := s.Len(); n+len(a.IDs) > s.s.Limit() {
		return fmt.Errorf("%d tokens do not fit in the context: %d of %d positions are taken", len(a.IDs), n, s.s.Limit())
	}
	n := m.Program().Vocab()
	for i, id := range a.IDs {
		if id < 0 || int(id) >= n {
			return fmt.Errorf("token %d at position %d is not in the vocabulary of %d", id, s.Len()+i, n)
		}
	}
	return nil
}

// ErrSaved is matched by errors of Restore about bytes that are no session of the same kind of model.
var ErrSaved = exec.ErrSaved

// AppendBinary appends the session, but its logits, to b for Restore in this or another process.
func (s *Session) AppendBinary(b []byte) ([]byte, error) { return s.s.AppendBinary(b) }

// Restore makes the session what AppendBinary wrote: of the same file, with the same storage of keys and
// values. The next Append goes on with the same bits. After an error the session is empty.
func (s *Session) Restore(b []byte) error {
	s.logits = nil
	return s.s.Restore(b)
}
