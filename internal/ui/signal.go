package ui

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// ending are the signals that end a command: its context is cancelled, and the exit code is 128 + the signal's number.
var ending = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

// patience is how long a command may take to stop before it is said how to end it at once.
const patience = 2 * time.Second

// onInterrupt takes interrupts in place of the command's end.
var onInterrupt atomic.Pointer[func()]

// OnInterrupt calls f at each interrupt (SIGINT), which then does not end the command, until restore is called.
func OnInterrupt(f func()) (restore func()) {
	onInterrupt.Store(&f)
	return func() { onInterrupt.Store(nil) }
}

// signals returns a context that the first signal cancels; the second calls
// again. first tells which it was, nil for none so far. A signal that the
// process was started to ignore (nohup) stays ignored.
func signals(parent context.Context, name string, again func(os.Signal)) (ctx context.Context, first func() os.Signal, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	c := make(chan os.Signal, 2)
	for _, s := range ending {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
	done := make(chan struct{})
	var got atomic.Pointer[os.Signal]
	go func() {
		var slow <-chan time.Time
		for {
			select {
			case s := <-c:
				if f := onInterrupt.Load(); f != nil && s == os.Interrupt {
					(*f)()
					continue
				}
				if !got.CompareAndSwap(nil, &s) {
					again(s)
				}
				cancel()
				slow = time.After(patience)
			case <-slow:
				fmt.Fprintf(os.Stderr, "%s: stopping; once more ends it at once\n", name)
			case <-done:
				return
			}
		}
	}()
	first = func() os.Signal {
		if s := got.Load(); s != nil {
			return *s
		}
		return nil
	}
	return ctx, first, func() {
		signal.Stop(c)
		close(done)
		cancel()
	}
}

// signalError is the end of a command by a signal.
type signalError struct {
	signal os.Signal
	err    error
}

func (e *signalError) Error() string {
	if e.signal == os.Interrupt {
		return "interrupted"
	}
	return e.signal.String()
}

func (e *signalError) Unwrap() error { return e.err }

// signalCode is the exit code that shells give a process that a signal has ended.
func signalCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return Interrupted
}
