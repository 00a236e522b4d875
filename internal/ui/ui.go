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
	"runtime/debug"
	"strings"
	"time"
)

// Exit codes of both commands. One that a signal ends has 128 + its number: 130 after SIGINT, 143 after SIGTERM.
const (
	OK          = 0
	Failure     = 1
	Usage       = 2  // wrong flags or arguments
	Threshold   = 3  // accuracy or speed below what was asked for
	BadInput    = 4  // an input file is bad or corrupt
	Unsupported = 5  // the CPU lacks what was asked for
	Crash       = 70 // a bug in this program
	Interrupted = 130
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
// that of the signal, Interrupted for a context cancelled otherwise, else Failure.
func Code(err error) int {
	var e *ExitError
	var s *signalError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &s):
		return signalCode(s.signal)
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return Failure
}

// Report prints `name: error: ...` and, if there is one, `name: hint: ...`.
func Report(w io.Writer, name string, err error) {
	var s *signalError
	switch {
	case errors.As(err, &s):
		fmt.Fprintf(w, "%s: %s\n", name, s)
		return
	case Code(err) == Interrupted:
		fmt.Fprintf(w, "%s: interrupted\n", name)
		return
	}
	fmt.Fprintf(w, "%s: error: %s\n", name, strings.TrimSpace(err.Error()))
	var e *ExitError
	if errors.As(err, &e) && e.Hint != "" {
		fmt.Fprintf(w, "%s: hint: %s\n", name, e.Hint)
	}
}

// Note tells on stderr what whoever started the command should know.
func Note(name, format string, args ...any) {
	fmt.Fprintf(os.Stderr, name+": note: "+format+"\n", args...)
}

// begin is about when the process started.
var begin = time.Now()

// Elapsed is how long the process has been running.
func Elapsed() time.Duration { return time.Since(begin) }

// Run calls run, reports its error on stderr and returns the exit code; an
// error of Stdout is one too. The context is cancelled by SIGINT, SIGTERM,
// SIGHUP and SIGQUIT; a second signal calls atKill and exits at once.
// A panic becomes a Crash with its stack: Go's own exit code for it, 2, would
// look like a usage error.
func Run(name string, run func(context.Context) error, atKill ...func()) int {
	ctx, first, stop := signals(context.Background(), name, func(s os.Signal) {
		for _, f := range atKill {
			f()
		}
		os.Exit(signalCode(s))
	})
	defer stop()
	err := guard(ctx, run)
	if s := first(); s != nil && errors.Is(err, context.Canceled) {
		err = &signalError{s, err}
	}
	if failed := Stdout.close(); err == nil && failed != nil {
		err = failed
	}
	if err != nil {
		Report(os.Stderr, name, err)
	}
	return Code(err)
}

func guard(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &ExitError{
				Code: Crash,
				Err:  fmt.Errorf("internal error: %v\n\n%s", r, debug.Stack()),
				Hint: "this is a bug; please report it with the lines above",
			}
		}
	}()
	return run(ctx)
}
