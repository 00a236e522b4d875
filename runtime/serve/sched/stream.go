package sched

import (
	"context"
	"iter"
	"sync"
)

// Stream is a text under way. Its events are kept until they are taken, a context's worth at most: who
// reads slowly holds nobody up.
type Stream struct {
	mu     sync.Mutex
	events []Event
	wake   chan struct{} // holds one when events came
	cached int
	cancel context.CancelFunc
}

// Events yields the events of the text up to the last, which has Finish or Err. It ends the text when the
// caller breaks or ctx ends.
func (s *Stream) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		defer s.cancel()
		for {
			s.mu.Lock()
			list := s.events
			s.events = nil
			s.mu.Unlock()
			for _, e := range list {
				if !yield(e) || e.Finish != "" || e.Err != nil {
					return
				}
			}
			select {
			case <-s.wake:
			case <-ctx.Done():
				yield(Event{ID: -1, Err: ctx.Err()})
				return
			}
		}
	}
}

// Cached is the number of tokens of the prompt that were taken from a kept prefix: known with the first event.
func (s *Stream) Cached() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cached
}

func (s *Stream) send(e Event) {
	s.mu.Lock()
	s.events = append(s.events, e)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
