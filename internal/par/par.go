// Package par runs the items of a task on several cores.
//
// Pool is for the hot path: a few hundred fork/joins per token, each of 20 us
// or less. Its workers spin between Begin and End, so a join costs about a
// microsecond where channels cost 50 and more; outside they soon sleep.
//
//	pool := par.New(0)
//	defer pool.Close()
//	pool.Begin() // a token, a prefill
//	pool.Run(task, items)
//	pool.End()
//
// For is for everything else. Neither must be called from within a task.
package par

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// spinPauses is how often a waiting goroutine pauses before it yields to the
// scheduler: about 100 us where a PAUSE takes 140 cycles. Longer than the gaps
// between the operations of a token, short beside a time slice.
const spinPauses = 2000

// lingerPauses is how often a worker pauses after the last Run before it sleeps: passes that follow each other closely find it awake, where waking takes 60 us and more.
const lingerPauses = 3 * spinPauses

// Pool is a set of workers; the goroutine that calls Run is worker 0.
// Its methods may be called from several goroutines: the Runs take turns.
// Workers are not locked to threads; measured, that makes no difference.
type Pool struct {
	job
	mu sync.Mutex // held for one Run

	seq     atomic.Uint32 // number of Runs so far
	open    atomic.Int32  // Begins without their End
	closing atomic.Bool
	_       [cacheLines]byte

	wake    []chan struct{} // one token for each sleeping worker, by worker-1
	stopped sync.WaitGroup
}

// New returns a pool of n workers, the caller of Run included; n <= 0 means
// all the cores this process may use (GOMAXPROCS).
func New(n int) *Pool {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{wake: make([]chan struct{}, n-1)}
	p.slots = make([]slot, n)
	for i := range p.wake {
		p.wake[i] = make(chan struct{}, 1)
		p.stopped.Go(func() { p.serve(i + 1) })
	}
	return p
}

// Workers returns the number of workers, the caller included.
func (p *Pool) Workers() int { return len(p.slots) }

// Begin opens a bracket in which the workers spin, ready for the next Run.
// Brackets nest; each needs its End. Keep serial work of more than a
// millisecond out of them: spinning workers take cycles from it.
func (p *Pool) Begin() {
	if p.open.Add(1) == 1 {
		p.wakeAll()
	}
}

// End closes a bracket; soon after the last one the workers go to sleep.
func (p *Pool) End() { p.open.Add(-1) }

// wakeAll makes every worker look at its state again.
func (p *Pool) wakeAll() {
	for _, c := range p.wake {
		select {
		case c <- struct{}{}:
		default: // it has not taken the last token yet, so it will look
		}
	}
}

// Run calls t.Do for every item in [0, items) and returns when all are done;
// some 4-8 items per worker balance well. It allocates nothing. If a Do
// panics, Run panics with a *Panic on the calling goroutine, after all running
// items have ended. Outside a bracket the workers are woken for this one Run.
// After Close the caller does everything alone.
func (p *Pool) Run(t Task, items int) {
	if items <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.wake) > 0 {
		p.Begin()
		defer p.End()
	}
	p.start(t, items)
	p.seq.Add(1)
	p.work(0)
	for spins := 0; p.done.Load() < int64(items); spins++ {
		wait(spins)
	}
	p.task = nil
	if failed := p.failed.Load(); failed != nil {
		panic(failed)
	}
}

// Close stops the workers and waits until they are gone.
func (p *Pool) Close() {
	p.closing.Store(true)
	p.wakeAll()
	p.stopped.Wait()
}

// serve is the life of worker w.
func (p *Pool) serve(w int) {
	seen := uint32(0)
	for spins := 0; !p.closing.Load(); spins++ {
		switch seq := p.seq.Load(); {
		case seq != seen:
			seen, spins = seq, 0
			p.work(w)
		case p.open.Load() <= 0 && spins >= lingerPauses:
			<-p.wake[w-1]
			spins = 0
		default:
			wait(spins)
		}
	}
}

// wait passes the time until a condition is looked at for the next time.
// It must not be inlined: its stack check is the point where the garbage
// collector can stop a spinning goroutine without a signal.
//
//go:noinline
func wait(spins int) {
	if (spins+1)%spinPauses == 0 {
		runtime.Gosched()
		return
	}
	pause()
}

// For calls f for every item in [0, items) on n goroutines, the caller's
// included (n <= 0: GOMAXPROCS), and returns when all are done. Panics are
// treated as by Run.
func For(n, items int, f func(worker, item int)) {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	j := job{slots: make([]slot, max(1, min(n, items)))}
	j.start(taskFunc(f), items)
	var others sync.WaitGroup
	for w := 1; w < len(j.slots); w++ {
		others.Go(func() { j.work(w) })
	}
	j.work(0)
	others.Wait()
	if failed := j.failed.Load(); failed != nil {
		panic(failed)
	}
}

type taskFunc func(worker, item int)

func (f taskFunc) Do(worker, item int) { f(worker, item) }
