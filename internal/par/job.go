package par

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// Task is work that falls into independent items.
type Task interface {
	// Do carries out one item. worker is in [0, workers) and two calls with
	// the same worker never run at once, so it may index scratch memory.
	Do(worker, item int)
}

// Panic is what Run and For panic with when Do did: the first such value with
// the stack of the goroutine it came from. Items that had not begun by then
// are left out.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string {
	return fmt.Sprintf("panic in a parallel task: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns the value if it is an error; a read of a mapped file that has
// been cut short is a runtime.Error with an Addr method.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// cacheLines is the distance that keeps two words apart for the cache and the
// adjacent-line prefetcher.
const cacheLines = 128

// slot is the share of one worker: items [end-left, end) are not claimed yet.
// Whoever decrements left to v >= 0 has item end-1-v, so items go in
// ascending order.
type slot struct {
	left atomic.Int64
	end  int
	_    [cacheLines - 16]byte
}

// job hands out the items of one task at a time. Worker w takes the items of
// slot w first, the same ones for the same task every time, which keeps them
// in its cache; then it helps the others.
//
// A claim is a lease: the job cannot be over, and task and end cannot change,
// before done has counted the claimed item. So a worker that comes late, even
// in the middle of the next job, finds either nothing or a valid item, and
// nobody ever waits for a worker that has no item.
type job struct {
	slots  []slot
	task   Task
	failed atomic.Pointer[Panic]

	_    [cacheLines]byte
	done atomic.Int64
	_    [cacheLines - 8]byte
}

// start opens the job; the one before must be over.
func (j *job) start(t Task, items int) {
	j.task = t
	j.failed.Store(nil)
	j.done.Store(0)
	n := len(j.slots)
	for i := range j.slots {
		begin, end := items*i/n, items*(i+1)/n
		j.slots[i].end = end
		j.slots[i].left.Store(int64(end - begin))
	}
}

// work claims and does items until none is left.
func (j *job) work(worker int) {
	did := int64(0)
	defer func() { // deferred for runtime.Goexit (t.FailNow) in Do
		if did > 0 {
			j.done.Add(did)
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for i := range j.slots {
		s := &j.slots[(worker+i)%len(j.slots)]
		for s.left.Load() > 0 {
			v := s.left.Add(-1)
			if v < 0 {
				break
			}
			did++
			j.do(worker, s.end-1-int(v))
		}
	}
}

// do carries out one item and keeps what it panics with.
func (j *job) do(worker, item int) {
	if j.failed.Load() != nil {
		return
	}
	ok := false
	defer func() {
		if ok {
			return
		}
		value := recover()
		if value == nil {
			value = "runtime.Goexit"
		}
		j.failed.CompareAndSwap(nil, &Panic{Value: value, Stack: debug.Stack()})
	}()
	j.task.Do(worker, item)
	ok = true
}
