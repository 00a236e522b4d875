package serve

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"qpt/runtime/lm/sample"
	"qpt/runtime/lm/tokenizer"
	"qpt/runtime/serve/sched"
)

// maxTexts bounds the texts that wait to be read whole.
const maxTexts = 1 << 14

// batcher reads the whole texts of many requests in shared passes, each request in its turn: one with thousands of
// texts does not keep another's waiting behind all of them.
type batcher struct {
	run  func(ctx context.Context, texts []tokenizer.Encoding, output string) ([][]float32, error)
	rows func() int    // of a pass at most
	gap  time.Duration // see sched.Options, as gate
	gate chan struct{}
	pace sched.Pace // of the loop

	mu      sync.Mutex
	jobs    []*reading
	waiting int // texts
	running int
	closing bool
	abort   context.CancelFunc
	wake    chan struct{}
	ended   chan struct{}
}

// reading are the texts of a request that are to be read.
type reading struct {
	ctx    context.Context
	texts  []tokenizer.Encoding
	output string
	next   int // text to be read
	rows   [][]float32
	err    error
	done   chan struct{}
}

func newBatcher(run func(context.Context, []tokenizer.Encoding, string) ([][]float32, error), rows func() int, gap time.Duration, gate chan struct{}) *batcher {
	ctx, cancel := context.WithCancel(context.Background())
	b := &batcher{run: run, rows: rows, gap: gap, gate: gate, abort: cancel, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go b.loop(ctx)
	return b
}

// read returns the rows of an output, of each text.
func (b *batcher) read(ctx context.Context, texts []tokenizer.Encoding, output string) ([][]float32, error) {
	j := &reading{ctx: ctx, texts: texts, output: output, rows: make([][]float32, len(texts)), done: make(chan struct{})}
	b.mu.Lock()
	switch {
	case b.closing:
		b.mu.Unlock()
		return nil, sched.ErrClosed
	case b.waiting > 0 && b.waiting+len(texts) > maxTexts:
		b.mu.Unlock()
		return nil, fmt.Errorf("%w: %d texts", sched.ErrBusy, b.waiting)
	}
	b.jobs = append(b.jobs, j)
	b.waiting += len(texts)
	b.ring()
	b.mu.Unlock()
	select {
	case <-j.done:
		return j.rows, j.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *batcher) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *batcher) load() (running, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.running, b.waiting
}

// close takes no more texts and reads those that are there, or ends them when ctx ends.
func (b *batcher) close(ctx context.Context) {
	b.mu.Lock()
	b.closing = true
	b.ring()
	b.mu.Unlock()
	defer context.AfterFunc(ctx, b.abort)()
	<-b.ended
	b.abort()
}

func (b *batcher) loop(ctx context.Context) {
	defer close(b.ended)
	for {
		b.mu.Lock()
		part := b.take(ctx.Err())
		b.running = len(part)
		idle, closing := len(b.jobs) == 0, b.closing
		b.mu.Unlock()
		switch {
		case len(part) > 0:
			b.pass(ctx, part)
		case idle && closing:
			return
		case idle:
			<-b.wake
		}
	}
}

// one is a text of a request.
type one struct {
	j *reading
	i int
}

// take drops the jobs that are done, and chooses the texts of the next pass: of each job one in turn until no more fit.
func (b *batcher) take(aborted error) (part []one) {
	b.jobs = slices.DeleteFunc(b.jobs, func(j *reading) bool {
		switch {
		case j.err != nil:
		case j.ctx.Err() != nil:
			j.err = j.ctx.Err()
		case aborted != nil:
			j.err = sched.ErrClosed
		case j.next < len(j.texts):
			return false
		}
		b.waiting -= len(j.texts) - j.next
		close(j.done)
		return true
	})
	left := min(b.rows(), b.pace.Rows(b.gap, 1)) // as if there were texts that go on
	for took := true; took; {
		took = false
		for _, j := range b.jobs {
			if j.next == len(j.texts) || j.output != b.jobs[0].output {
				continue
			}
			if n := len(j.texts[j.next].IDs); n <= left || len(part) == 0 {
				part = append(part, one{j, j.next})
				left -= n
				j.next++
				b.waiting--
				took = true
			}
		}
	}
	if len(b.jobs) > 1 { // another is first in the next pass
		b.jobs = append(b.jobs[1:], b.jobs[0])
	}
	return part
}

// pass reads texts.
func (b *batcher) pass(ctx context.Context, part []one) {
	texts := make([]tokenizer.Encoding, len(part))
	for i, t := range part {
		texts[i] = t.j.texts[t.i]
	}
	n := 0
	for i := range texts {
		n += len(texts[i].IDs)
	}
	b.gate <- struct{}{}
	start := time.Now()
	rows, err := b.guarded(ctx, texts, part[0].j.output)
	took := time.Since(start)
	if <-b.gate; err == nil {
		b.pace.Saw(0, n, took)
	}
	if err != nil && len(part) > 1 && ctx.Err() == nil { // one of them is at fault: each alone
		for i := range part {
			b.pass(ctx, part[i:i+1])
		}
		return
	}
	for i, t := range part {
		if err == nil {
			t.j.rows[t.i] = rows[i]
			if slices.ContainsFunc(rows[i], func(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) }) {
				t.j.err = sample.ErrNaN
			}
		} else if t.j.err == nil {
			t.j.err = err
		}
	}
}

// guarded turns a panic into an error.
func (b *batcher) guarded(ctx context.Context, texts []tokenizer.Encoding, output string) (rows [][]float32, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
		}
	}()
	return b.run(ctx, texts, output)
}
