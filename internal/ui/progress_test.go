package ui

import (
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestProgressLines(t *testing.T) {
	now := time.Unix(0, 0)
	var b strings.Builder
	p := newLines(&b, "convert", 2048, Size, func() time.Time { return now })
	p.Add(100)  // 4 %
	p.Set(1000) // 48 %, too soon for a line
	now = now.Add(3 * time.Second)
	p.Set(1024)              // 50 %
	p.Set(1100)              // 53 %
	now = now.Add(time.Hour) // slow
	p.Set(1101)
	p.Set(1102)
	p.Set(5000) // too much
	p.Done()
	want := `convert: 50 % (1.00 KiB of 2.00 KiB, 3.00 s)
convert: 53 % (1.08 KiB of 2.00 KiB, 1h00m03s)
convert: 100 % (2.00 KiB of 2.00 KiB, 1h00m03s)
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// A share needs no more than its percentage.
func TestProgressShare(t *testing.T) {
	now := time.Unix(0, 0)
	var b strings.Builder
	p := newLines(&b, "scoring", 1000, nil, func() time.Time { return now })
	now = now.Add(3 * time.Second)
	p.Set(206)
	if want := "scoring: 20 % (3.00 s)\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// Whatever the settings, a bar or lines, nothing goes to stdout; under a test
// stderr is a pipe, so lines it is, and never more than one per 10 %.
func TestProgressStreams(t *testing.T) {
	stdout, stderr := os.Stdout, os.Stderr
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()
	for _, c := range []struct {
		v     Verbosity
		lines int
	}{{Auto, 10}, {Lines, 10}, {Silent, 0}} {
		outR, outW, _ := os.Pipe()
		errR, errW, _ := os.Pipe()
		os.Stdout, os.Stderr = outW, errW
		p := NewProgress(c.v, "job", 1000, Count)
		if p != nil {
			p.start = p.start.Add(-time.Minute)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 250 {
					p.Add(1)
				}
			})
		}
		wg.Wait()
		p.Done()
		outW.Close()
		errW.Close()
		out, _ := io.ReadAll(outR)
		log, _ := io.ReadAll(errR)
		if len(out) > 0 {
			t.Errorf("verbosity %d: %q on stdout", c.v, out)
		}
		if got := strings.Count(string(log), "\n"); got != c.lines || strings.ContainsRune(string(log), '\r') {
			t.Errorf("verbosity %d: %d lines, want %d: %q", c.v, got, c.lines, log)
		}
	}
}
