package ui

import (
	"os"
	"sync"
)

// Stdout is where commands write their results. It keeps the first error, with
// which Run fails: a full disk must never look like success.
var Stdout = &stdout{}

type stdout struct {
	mu  sync.Mutex
	err error
}

// Write implements io.Writer; after an error nothing more is written.
func (s *stdout) Write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		n, s.err = os.Stdout.Write(p)
	}
	return n, s.err
}

// Fd lets a Table find the width of a terminal.
func (s *stdout) Fd() uintptr { return os.Stdout.Fd() }

// close tells the first error of all writes; some file systems report it only here.
func (s *stdout) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := os.Stdout.Close()
	if s.err == nil {
		s.err = err
	}
	return s.err
}
