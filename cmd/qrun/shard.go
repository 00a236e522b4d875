package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
)

// shard is the part of the work that one of several processes does: of the lines of a file those numbered i, i+n, i+2n ..
type shard struct{ i, n int }

func (s *shard) String() string {
	if s.n == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.i, s.n)
}

func (s *shard) Type() string { return "I/N" }

func (s *shard) Set(text string) error {
	a, b, _ := strings.Cut(text, "/")
	i, err1 := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil || i < 0 || n < 1 || i >= n {
		return fmt.Errorf("%q: want I/N, such as 0/4, with I from 0 to N-1", text)
	}
	*s = shard{i, n}
	return nil
}

// has tells whether a line, counted from 0, belongs to the part.
func (s *shard) has(line int) bool { return s.n == 0 || line%s.n == s.i }

func (s *shard) flag(c *cobra.Command) {
	c.Flags().Var(s, "shard", "only the lines I, I+N, I+2N .., counted from 0: `I/N` of N processes")
}

// growing is a file of results that a later run goes on with.
type growing struct{ *os.File }

// resume opens a file of results, made if it is not there. count reads what it holds and returns how much of that is whole
// results; the rest, of a run that was killed, is cut off.
func resume(path string, count func(r io.Reader) (whole int64, err error)) (*growing, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--output: %w", err)
	}
	whole, err := count(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("--output %s: %w", path, err)
	}
	return &growing{f}, nil
}

// needsOutput refuses --resume without a file.
func needsOutput(resume bool, output string) error {
	if resume && (output == "" || output == "-") {
		return fmt.Errorf("%w: --resume goes on with a file: give --output", cli.ErrUsage)
	}
	return nil
}
