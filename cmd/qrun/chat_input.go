package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// lines are what somebody types, or a pipe holds, line by line.
type lines interface {
	// read returns a line; more: it goes on with the message before; pasted: others were pasted with it.
	read(more bool) (line string, pasted bool, err error)
	close()
}

// quotes stand round a message of several lines.
const quotes = `"""`

// nextMessage puts together the lines of a message: those between lines that begin and end with """, those before which
// one ends with a backslash, and those that were pasted.
func nextMessage(in lines) (string, error) {
	var b strings.Builder
	quoted, more := false, false
	for {
		line, pasted, err := in.read(more || quoted)
		if err != nil {
			if more && errors.Is(err, io.EOF) && strings.TrimSpace(b.String()) != "" {
				return b.String(), nil
			}
			return "", err
		}
		if rest, ok := strings.CutPrefix(line, quotes); ok && !quoted && !more {
			line, quoted = rest, true
		}
		switch before, end := strings.CutSuffix(line, quotes); {
		case quoted && end:
			b.WriteString(before)
			return b.String(), nil
		case quoted && line == "" && b.Len() == 0: // the quotes stood alone
		case quoted || pasted:
			b.WriteString(line + "\n")
		case strings.HasSuffix(line, `\`):
			b.WriteString(strings.TrimSuffix(line, `\`) + "\n")
		case more || strings.TrimSpace(line) != "":
			b.WriteString(line)
			return b.String(), nil
		}
		more = b.Len() > 0
	}
}

// stream reads a pipe or a file.
type stream struct{ *bufio.Reader }

func (s stream) read(bool) (string, bool, error) {
	line, err := s.ReadString('\n')
	if err == io.EOF && line != "" {
		err = nil
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if err == nil {
		line, err = utf8Text("stdin", []byte(line))
	}
	return line, false, err
}

func (stream) close() {}

// console reads a terminal, with history and pasted lines; it is raw only while it reads.
type console struct {
	t   *term.Terminal
	old *term.State
}

func newConsole() *console {
	return &console{t: term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stderr}, "")}
}

func (c *console) read(more bool) (line string, pasted bool, err error) {
	if c.old, err = term.MakeRaw(int(os.Stdin.Fd())); err != nil {
		return "", false, fmt.Errorf("terminal: %w", err)
	}
	defer c.close()
	c.t.SetBracketedPasteMode(true)
	if w, h, err := term.GetSize(int(os.Stderr.Fd())); err == nil && w > 0 {
		_ = c.t.SetSize(w, h) // else it wraps where it did
	}
	c.t.SetPrompt(map[bool]string{true: "... ", false: ">>> "}[more])
	line, err = c.t.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		return line, true, nil
	}
	return line, false, err
}

// close makes the terminal what it was.
func (c *console) close() {
	if c.old != nil {
		c.t.SetBracketedPasteMode(false)
		_ = term.Restore(int(os.Stdin.Fd()), c.old) // there is nothing else to try
		c.old = nil
	}
}

// heard is a message, or the end of them.
type heard struct {
	text string
	err  error
}

// listen reads messages one at a time, when asked to; waiting for one ends with the context.
func listen(ctx context.Context, in lines) (next func() (string, error)) {
	ask, answers := make(chan bool), make(chan heard, 1)
	go func() {
		for range ask {
			text, err := nextMessage(in)
			answers <- heard{text, err}
		}
	}()
	return func() (string, error) {
		ask <- true
		select {
		case h := <-answers:
			return h.text, h.err
		case <-ctx.Done():
			in.close()
			return "", ctx.Err()
		}
	}
}
