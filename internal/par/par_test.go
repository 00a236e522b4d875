package par

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counter counts how often each item was done and notes shared worker numbers.
type counter struct {
	items   []atomic.Int32
	busy    []atomic.Bool
	clashes atomic.Int32
	before  func(worker, item int) // may panic; nil: nothing
}

func newCounter(workers, items int) *counter {
	return &counter{items: make([]atomic.Int32, items), busy: make([]atomic.Bool, workers)}
}

func (c *counter) Do(worker, item int) {
	if c.busy[worker].Swap(true) {
		c.clashes.Add(1)
	}
	defer c.busy[worker].Store(false)
	if c.before != nil {
		c.before(worker, item)
	}
	c.items[item].Add(1)
}

// check fails unless each item was done exactly want times.
func (c *counter) check(t *testing.T, want int32) {
	t.Helper()
	for i := range c.items {
		if got := c.items[i].Load(); got != want {
			t.Fatalf("item %d done %d times, want %d", i, got, want)
		}
	}
	if n := c.clashes.Load(); n > 0 {
		t.Fatalf("%d times two goroutines had the same worker number", n)
	}
}

// More workers than cores, fewer items than workers, brackets or none.
func TestEveryItemOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8} {
		for _, bracket := range []bool{true, false} {
			t.Run(fmt.Sprintf("workers=%d/bracket=%v", workers, bracket), func(t *testing.T) {
				p := New(workers)
				defer p.Close()
				if p.Workers() != workers {
					t.Fatalf("Workers() = %d", p.Workers())
				}
				if bracket {
					p.Begin()
					defer p.End()
				}
				for items := range 40 {
					c := newCounter(workers, items)
					for range 5 {
						p.Run(c, items)
					}
					c.check(t, 5)
				}
			})
		}
	}
}

// Two goroutines can only meet if a worker really runs beside the caller.
func TestRunsInParallel(t *testing.T) {
	p := New(2)
	defer p.Close()
	met := make(chan struct{})
	c := newCounter(2, 2)
	c.before = func(worker, item int) {
		select {
		case met <- struct{}{}:
		case <-met:
		case <-time.After(30 * time.Second):
			panic("the other worker never came")
		}
	}
	p.Run(c, 2)
	c.check(t, 1)
}

func TestRunDoesNotAllocate(t *testing.T) {
	p := New(2)
	defer p.Close()
	c := newCounter(2, 16)
	for _, bracket := range []bool{false, true} {
		if bracket {
			p.Begin()
			defer p.End()
		}
		if n := testing.AllocsPerRun(200, func() { p.Run(c, 16) }); n != 0 {
			t.Errorf("bracket %v: %v allocations per Run, want 0", bracket, n)
		}
	}
}

// catch returns the *Panic that f ends with.
func catch(t *testing.T, f func()) (p *Panic) {
	t.Helper()
	defer func() {
		t.Helper()
		var ok bool
		if p, ok = recover().(*Panic); !ok {
			t.Fatal("no *Panic")
		}
	}()
	f()
	return nil
}

func TestPanicReachesCaller(t *testing.T) {
	boom := errors.New("boom")
	p := New(3)
	defer p.Close()
	for _, culprit := range []int{0, 1, 2} {
		began := make(chan struct{})
		c := newCounter(3, 3)
		c.before = func(worker, item int) {
			if worker == culprit {
				close(began)
				panic(boom)
			}
			<-began // leave the culprit an item
		}
		got := catch(t, func() { p.Run(c, 3) })
		if !errors.Is(got, boom) || !strings.Contains(got.Error(), "TestPanicReachesCaller") {
			t.Errorf("worker %d: got %v, want %v with the stack of its origin", culprit, got, boom)
		}
		c = newCounter(3, 100)
		p.Run(c, 100) // the pool must still work
		c.check(t, 1)
	}
	if got := catch(t, func() { For(3, 9, func(_, item int) { panic(item) }) }); got.Unwrap() != nil {
		t.Errorf("Unwrap of a panic with %v: %v, want nil", got.Value, got.Unwrap())
	}
}

// A worker that a task ends by runtime.Goexit must not hang the caller.
func TestGoexit(t *testing.T) {
	p := New(2)
	defer p.Close()
	gone := make(chan struct{})
	c := newCounter(2, 2)
	c.before = func(worker, _ int) {
		if worker == 1 {
			close(gone)
			runtime.Goexit()
		}
		<-gone
	}
	if got := catch(t, func() { p.Run(c, 2) }); got.Value != "runtime.Goexit" {
		t.Errorf("got %v", got.Value)
	}
	c = newCounter(2, 10)
	p.Run(c, 10)
	c.check(t, 1)
}

func TestClose(t *testing.T) {
	p := New(4)
	p.Close()
	p.Close()
	c := newCounter(4, 9)
	c.before = func(worker, _ int) {
		if worker != 0 {
			t.Errorf("worker %d after Close", worker)
		}
	}
	p.Run(c, 9)
	c.check(t, 1)
	p.Begin()
	p.Close()
	p.End()
}

// asleep counts goroutines of this package that wait in serve for a token.
func asleep() (n int) {
	buf := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "chan receive") && strings.Contains(g, "par.(*Pool).serve") {
			n++
		}
	}
	return n
}

func TestWorkersSleepOutsideBrackets(t *testing.T) {
	p := New(3)
	defer p.Close()
	c := newCounter(3, 30)
	for range 3 {
		p.Begin()
		p.Begin()
		p.Run(c, 30)
		p.End()
		p.Run(c, 30)
		p.End()
		for start := time.Now(); asleep() != 2; time.Sleep(time.Millisecond) {
			if time.Since(start) > 20*time.Second {
				t.Fatalf("%d workers asleep, want 2", asleep())
			}
		}
	}
}

// TestStress has several callers, too many workers, a busy machine, constant
// garbage collection and changes of GOMAXPROCS; it must end and be exact.
func TestStress(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	stop := make(chan struct{})
	var noise sync.WaitGroup
	loop := func(f func(i int)) {
		noise.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(i)
				}
			}
		})
	}
	loop(func(int) { runtime.GC(); time.Sleep(time.Millisecond) })
	loop(func(i int) { runtime.GOMAXPROCS(1 + i%4); time.Sleep(5 * time.Millisecond) })
	loop(func(int) { newBurner(time.Microsecond, 1) })

	p := New(4)
	defer p.Close()
	var callers sync.WaitGroup
	for caller := range 3 {
		callers.Go(func() {
			c := newCounter(4, 50)
			c.before = func(_, item int) {
				if item%8 == 0 {
					runtime.Gosched()
				}
			}
			for round := range 400 {
				if caller > 0 {
					p.Begin()
				}
				p.Run(c, 50)
				if caller > 0 {
					p.End()
				}
				if round%10 == 0 {
					For(4, 50, c.Do)
				}
			}
			c.check(t, 440)
		})
	}
	callers.Wait()
	close(stop)
	noise.Wait()
}

func TestFor(t *testing.T) {
	for _, n := range []int{0, 1, 2, 7} {
		for _, items := range []int{0, 1, 3, 100} {
			c := newCounter(max(n, runtime.GOMAXPROCS(0)), items)
			For(n, items, c.Do)
			c.check(t, 1)
		}
	}
}
