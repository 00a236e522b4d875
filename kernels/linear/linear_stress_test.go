package linear

import (
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLinearStress runs kernels on many goroutines while the runtime does its
// worst to them: collections, changing GOMAXPROCS, profiling signals and stack
// growth. Tile state that did not survive a signal or a change of thread
// would show as wrong sums or kill the process.
func TestLinearStress(t *testing.T) {
	type job struct {
		k    Kernel
		w    *Weight
		x    *Acts
		want *guarded
	}
	var jobs []job
	rng := rand.New(rand.NewPCG(11, 12))
	for _, k := range List() {
		if k.Form != A8 && k.Form != A16 || !k.Available() {
			continue
		}
		least := min(max(k.MinM, 1), 65)
		for _, m := range []int{least, least + rng.IntN(30)} { // one row has kernels of its own
			w := randomWeight(rng, k.Format, 208, 1000, 64, false, true)
			x := randomActs(rng, k.Form, m, 1000, false)
			j := job{k, w, x, newGuarded(x.M, w.N, 1)}
			twin := linearGeneric
			if k.Format == I4F {
				twin = linearI4FGeneric
			}
			twin(j.want.y(), j.want.ldy, x, w, 0, w.Blocks(), true, new(Scratch))
			jobs = append(jobs, j)
		}
	}
	if err := pprof.StartCPUProfile(io.Discard); err == nil {
		defer pprof.StopCPUProfile()
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var done atomic.Bool
	var disturb, work sync.WaitGroup
	disturb.Go(func() {
		for n := 1; !done.Load(); n++ {
			runtime.GC()
			runtime.GOMAXPROCS(1 + n%4)
		}
	})
	for g := range 8 {
		work.Go(func() {
			for i := range 200 {
				j := jobs[(g+i)%len(jobs)]
				got := newGuarded(j.x.M, j.w.N, 1)
				j.k.linear(got.y(), got.ldy, j.x, j.w, 0, j.w.Blocks(), true, new(Scratch))
				if err := got.diff(j.want); err != nil {
					t.Errorf("%s: %v", j.k.Name(), err)
					return
				}
				runtime.Gosched()
			}
		})
	}
	work.Wait()
	done.Store(true)
	disturb.Wait()
}
