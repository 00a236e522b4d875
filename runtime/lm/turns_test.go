package lm_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
)

// ending is a context that ends when it has been looked at n times.
type ending struct {
	context.Context
	left atomic.Int64
}

func (c *ending) Err() error {
	if c.left.Add(-1) < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestAppendEnds: wherever in a pass a context ends, its error comes back, the tokens of finished passes stay,
// and the sequence goes on as if nothing had happened.
func TestAppendEnds(t *testing.T) {
	m := lmtest.Open(t, lmtest.Checkpoint, "da8w4", runtime.Options{Threads: 2, Batch: 16})
	ids := make([]int32, 50)
	for i := range ids {
		ids[i] = int32(3 + i*7%500)
	}
	all, err := m.Forward(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	want := all[len(all)-m.Vocab():]
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	ends := 0
	for n := int64(0); s.Len() < len(ids); n += 17 {
		ctx := &ending{Context: t.Context()}
		ctx.left.Store(n % 90)
		before := s.Len()
		logits, err := s.Append(ctx, ids[before:])
		if err == nil {
			lmtest.Same(t, "after contexts that ended", logits, want)
			break
		}
		if ends++; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if s.Len() != before && (s.Len()-before)%16 != 0 {
			t.Fatalf("%d tokens after an append of %d had ended: passes have 16", s.Len()-before, len(ids)-before)
		}
	}
	if ends < 3 {
		t.Errorf("contexts ended %d times: too few", ends)
	}
}

// TestWaitEnds: a context that ends while others have the cores is honoured at once.
func TestWaitEnds(t *testing.T) {
	m := lmtest.Load(t, "f32")
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	busy, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		m.Each(context.Background(), []int32{1, 2}, func(pos int, _ []float32) {
			if pos == 0 {
				close(busy)
				<-ctx.Done()
				time.Sleep(50 * time.Millisecond)
			}
		})
	}()
	<-busy
	if _, err := s.Append(ctx, []int32{1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting under a deadline: %v", err)
	}
	select {
	case <-done:
		t.Error("the wait did not end before the other pass")
	default:
	}
	<-done
	if _, err := s.Append(t.Context(), []int32{1}); err != nil {
		t.Error(err)
	}
}

// TestTurns: a long prompt lets another session in between its passes: no more than two
// of them lie between two tokens of the other.
func TestTurns(t *testing.T) {
	m := lmtest.Open(t, lmtest.Checkpoint, "f32", runtime.Options{Threads: 2, Batch: 8, Context: 512})
	long, _ := m.NewSession()
	short, _ := m.NewSession()
	var done atomic.Int64 // tokens of the long prompt
	rounds, late := 0, 0  // tokens of the other, and those with more than two passes before them
	stop := make(chan error, 1)
	go func() {
		ids := make([]int32, 400)
		for i := range ids {
			ids[i] = 5
		}
		for at := 0; at < len(ids); at += 8 { // one append would do the same, and hide how far it is
			if _, err := long.Append(context.Background(), ids[at:at+8]); err != nil {
				stop <- err
				return
			}
			done.Add(8)
		}
		stop <- nil
	}()
	for {
		before := done.Load()
		if _, err := short.Append(t.Context(), []int32{7}); err != nil {
			t.Fatal(err)
		}
		// The scheduler may hold this goroutine back before it asks for its turn, for more passes of so small a model.
		if rounds++; done.Load()-before > 2*8 {
			late++
		}
		select {
		case err := <-stop:
			if err != nil {
				t.Fatal(err)
			}
			if late > 1+rounds/4 {
				t.Errorf("more than two passes of the long prompt before %d of %d tokens of the other session", late, rounds)
			}
			return
		default:
		}
	}
}

// TestAppendAll: sessions read together as each would alone, however long their pieces are.
func TestAppendAll(t *testing.T) {
	m := lmtest.Open(t, lmtest.Checkpoint, "da8w4", runtime.Options{Threads: 2, Batch: 32})
	var list []lm.Append
	var want [][]float32
	for i, n := range []int{1, 40, 7, 100, 3, 33} {
		ids := make([]int32, n)
		for j := range ids {
			ids[j] = int32((i*31 + j*17) % 512)
		}
		all, err := m.Forward(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, all[len(all)-m.Vocab():])
		s, _ := m.NewSession()
		list = append(list, lm.Append{Session: s, IDs: ids})
	}
	if err := m.AppendAll(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for i, a := range list {
		lmtest.Same(t, "together", a.Session.Logits(), want[i])
	}
	s := list[1].Session
	if s.Truncate(s.Len()); s.Logits() == nil {
		t.Error("nothing was forgotten, but the logits")
	}
	if s.Truncate(3); s.Logits() != nil {
		t.Error("logits of a token that is forgotten")
	}
	if err := m.AppendAll(t.Context(), append(list[:1:1], list[0])); err == nil {
		t.Error("a session twice in one call")
	}
}

func TestClosed(t *testing.T) {
	path, err := lmtest.Convert(lmtest.Checkpoint, "f32")
	if err != nil {
		t.Fatal(err)
	}
	m, err := lm.Load(path, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := m.NewSession()
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Append(t.Context(), []int32{1}); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
