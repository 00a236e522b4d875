package par

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// burner does a given number of dependent multiplications per item.
type burner struct {
	rounds int
	sink   []uint64 // one cache line per worker
}

func (b *burner) Do(worker, _ int) {
	x := uint64(worker) + 1
	for range b.rounds {
		x = x*6364136223846793005 + 1442695040888963407
	}
	b.sink[worker*16] = x
}

// newBurner calibrates a burner whose items take about d each.
func newBurner(d time.Duration, workers int) *burner {
	b := &burner{rounds: 1 << 16, sink: make([]uint64, workers*16)}
	best := time.Hour
	for range 20 {
		start := time.Now()
		b.Do(0, 0)
		best = min(best, time.Since(start))
	}
	b.rounds = int(float64(b.rounds) * float64(d) / float64(best))
	return b
}

// BenchmarkJoin measures a Run whose items do nothing.
func BenchmarkJoin(b *testing.B) {
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", n), func(b *testing.B) {
			p := New(n)
			defer p.Close()
			t := &burner{sink: make([]uint64, n*16)}
			p.Begin()
			defer p.End()
			for b.Loop() {
				p.Run(t, n)
			}
		})
	}
}

// BenchmarkWork measures work of a given length per worker in 4 items each,
// against goroutines; efficiency is work/(workers*time).
func BenchmarkWork(b *testing.B) {
	n := runtime.GOMAXPROCS(0)
	for _, d := range []time.Duration{20 * time.Microsecond, 100 * time.Microsecond} {
		t := newBurner(d/4, n)
		report := func(b *testing.B) {
			b.ReportMetric(float64(d.Nanoseconds())*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "efficiency")
		}
		b.Run(fmt.Sprintf("pool/%v", d), func(b *testing.B) {
			p := New(n)
			defer p.Close()
			p.Begin()
			defer p.End()
			for b.Loop() {
				p.Run(t, 4*n)
			}
			report(b)
		})
		b.Run(fmt.Sprintf("go/%v", d), func(b *testing.B) {
			for b.Loop() {
				var wg sync.WaitGroup
				for w := range n {
					wg.Go(func() {
						for i := range 4 {
							t.Do(w, i)
						}
					})
				}
				wg.Wait()
			}
			report(b)
		})
	}
}
