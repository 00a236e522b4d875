// Package ui is how both commands talk to whoever started them: errors and
// exit codes, signals, progress, tables, sizes and times.
//
//	func main() { os.Exit(ui.Run("qconv", run)) }
//
//	func run(ctx context.Context) error {
//		...
//		return &ui.ExitError{Code: ui.BadInput, Err: err, Hint: "download it again"}
//	}
//
// Results go to stdout; everything this package prints by itself to stderr.
package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
)

// Exit codes of both commands.
const (
	OK          = 0
	Failure     = 1
	Usage       = 2   // wrong flags or arguments
	Threshold   = 3   // accuracy or speed below what was asked for
	BadInput    = 4   // an input file is bad or corrupt
	Unsupported = 5   // the CPU lacks what was asked for
	Interrupted = 130 // SIGINT or SIGTERM
)

// ExitError is an error with its exit code and, if there is a remedy, a hint.
type ExitError struct {
	Code int
	Err  error
	Hint string
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// Code returns the exit code for an error: that of the ExitError in its chain,
// Interrupted for a cancelled context, else Failure.
func Code(err error) int {
	var e *ExitError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return Failure
}

// Report prints `name: error: ...` and, if there is one, `name: hint: ...`.
func Report(w io.Writer, name string, err error) {
	if Code(err) == Interrupted {
		fmt.Fprintf(w, "%s: interrupted\n", name)
		return
	}
	fmt.Fprintf(w, "%s: error: %s\n", name, strings.TrimSpace(err.Error()))
	var e *ExitError
	if errors.As(err, &e) && e.Hint != "" {
		fmt.Fprintf(w, "%s: hint: %s\n", name, e.Hint)
	}
}

// Run calls run, reports its error on stderr and returns the exit code. The
// context is cancelled by SIGINT and SIGTERM; a second signal calls atKill and
// exits at once.
// A panic becomes a Failure with its stack: Go's own exit code for it, 2,
// would look like a usage error.
func Run(name string, run func(context.Context) error, atKill ...func()) int {
	ctx, stop := signals(context.Background(), func() {
		for _, f := range atKill {
			f()
		}
		os.Exit(Interrupted)
	})
	defer stop()
	err := guard(ctx, run)
	if err != nil {
		Report(os.Stderr, name, err)
	}
	return Code(err)
}

func guard(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &ExitError{
				Code: Failure,
				Err:  fmt.Errorf("internal error: %v\n\n%s", r, debug.Stack()),
				Hint: "this is a bug; please report it with the lines above",
			}
		}
	}()
	return run(ctx)
}

// signals returns a context that the first signal cancels; the second calls again.
func signals(parent context.Context, again func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-c:
				if n > 0 {
					again()
				}
				cancel()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		close(done)
		cancel()
	}
}
