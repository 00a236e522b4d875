package ui

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Verbosity says how progress is shown.
type Verbosity int

// The zero value shows a bar on a terminal and lines elsewhere.
const (
	Auto   Verbosity = iota
	Lines            // never a bar (--json)
	Silent           // nothing (--quiet)
)

// Progress shows how far a long job has come, always on stderr: a bar where
// somebody can watch it, otherwise a line per 10 % or 10 s. Its methods may be
// called from several goroutines; a nil Progress shows nothing.
type Progress struct {
	label  string
	total  int64
	format func(int64) string // of done and total; nil: the percentage says it all

	mu    sync.Mutex
	done  int64
	bar   *progressbar.ProgressBar // nil: lines
	w     io.Writer
	now   func() time.Time
	start time.Time
	last  time.Time // of the last line
	shown int64     // tenths shown in the last line
}

// quietFor is how long a job goes on before its first line: short ones need none.
const quietFor = 2 * time.Second

// Count formats a number in groups of three digits, for NewProgress.
func Count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// NewProgress starts showing a job of the given size, whose unit format tells
// (Size, Count; nil for shares). Done must be called at the end, also after an error.
func NewProgress(v Verbosity, label string, total int64, format func(int64) string) *Progress {
	if v == Silent {
		return nil
	}
	p := newLines(os.Stderr, label, total, format, time.Now)
	if v == Auto && watched() {
		p.bar = progressbar.NewOptions64(max(total, 1),
			progressbar.OptionSetWriter(os.Stderr),
			progressbar.OptionSetDescription(label),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

func newLines(w io.Writer, label string, total int64, format func(int64) string, now func() time.Time) *Progress {
	start := now()
	return &Progress{label: label, total: max(total, 1), format: format, w: w, now: now, start: start, last: start}
}

// watched tells whether stderr is a terminal that can draw a bar.
func watched() bool {
	return term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == ""
}

// Add moves the job on by n.
func (p *Progress) Add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(p.done + n)
}

// Set says how much of the job is done.
func (p *Progress) Set(done int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(done)
}

func (p *Progress) set(done int64) {
	p.done = min(max(done, 0), p.total)
	if p.bar != nil {
		p.bar.Set64(p.done) // its errors are those of stderr: nobody to tell
		return
	}
	now := p.now()
	tenths := int64(float64(p.done) / float64(p.total) * 10)
	if tenths <= p.shown && now.Sub(p.last) < 10*time.Second || now.Sub(p.start) < quietFor {
		return
	}
	p.shown, p.last = max(tenths, p.shown), now
	of := ""
	if p.format != nil {
		of = p.format(p.done) + " of " + p.format(p.total) + ", "
	}
	fmt.Fprintf(p.w, "%s: %d %% (%s%s)\n", p.label, int64(float64(p.done)/float64(p.total)*100), of, Duration(now.Sub(p.start)))
}

// Done ends the display: a bar is removed, what is below it stays.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Finish()
	}
}
