// Package probe measures what the machine can do at best: Peak and Read are what the speed of a kernel
// is held against.
package probe

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

	"qpt/internal/cpu"
	"qpt/internal/par"
	"qpt/kernels/linear"
)

// Product is a kind of multiplication: rows of a form by weights of a format, 0 for other rows.
type Product struct {
	Acts    linear.ActForm
	Weights linear.Format
}

// peakProbe multiplies on registers alone.
type peakProbe struct {
	Product // Weights 0: any
	isa     cpu.ISA
	ops     float64 // multiplications and additions of a round
	run     func(rounds int)
}

// Peak measures how many multiplications and additions a second the active
// instruction set does for a product when memory plays no part, on all
// workers at once: what a kernel's speed is to be held against. It takes about
// 20 ms; 0 means that nothing here can tell. 16-bit rows are two planes of
// 8-bit ones, so A16 is half of A8, but on AVX2 words. Bfloat16 without AMX is computed in float32.
func Peak(of Product, workers int) float64 {
	switch {
	case of.Acts == linear.A16 && cpu.Active() == cpu.AVX2:
		of = Product{linear.A8, linear.I8}
	case of.Acts == linear.A16:
		return Peak(Product{linear.A8, of.Weights}, workers) / 2
	case of.Acts == linear.ABF16 && cpu.Active() < cpu.AMX:
		of.Acts = linear.AF32
	}
	for _, p := range peakProbes {
		if p.Acts == of.Acts && (p.Weights == of.Weights || p.Weights == 0) && p.isa <= cpu.Active() && cpu.Has(p.isa) {
			return p.measure(workers)
		}
	}
	return 0
}

// FedTiles is Peak of A8 on AMX with tiles loaded from the first-level cache, two by two, 0 without AMX. Where a core's other thread is
// busy this falls to a quarter, which Peak, on registers alone, does not show: a kernel's speed means little unless it was the
// same before and after.
func FedTiles(workers int) float64 {
	if p := fedTiles; p != nil && p.isa <= cpu.Active() && cpu.Has(p.isa) {
		return p.measure(workers)
	}
	return 0
}

// measure gives every worker calls of some 50 us, which nothing can preempt, until 20 ms are over.
func (p *peakProbe) measure(workers int) float64 {
	rounds := 100
	for took := time.Duration(0); took < 25*time.Microsecond; rounds *= 2 {
		start := time.Now()
		p.run(rounds)
		took = time.Since(start)
	}
	var done atomic.Int64
	start := time.Now()
	par.For(workers, workers, func(int, int) {
		for time.Since(start) < 20*time.Millisecond {
			p.run(rounds)
			done.Add(int64(rounds))
		}
	})
	return float64(done.Load()) * p.ops / time.Since(start).Seconds()
}

// Read measures how many bytes a second all workers together read from list, as
// often as makes 64 MB. If one time is more than the caches hold, that is what
// memory gives.
func Read(list [][]byte, workers int) float64 {
	var once [][]byte
	size := 0
	for _, b := range list {
		once = slices.AppendSeq(once, slices.Chunk(b, 1<<20))
		size += len(b)
	}
	if size == 0 {
		return 0
	}
	times := max(1, 64<<20/size)
	start := time.Now()
	par.For(workers, times*len(once), func(_, i int) { read(once[i%len(once)]) })
	return float64(times*size) / time.Since(start).Seconds()
}

// readSum keeps the compiler from leaving reads out.
var readSum atomic.Uint64

func readGeneric(b []byte) {
	var a0, a1, a2, a3 uint64
	le := binary.LittleEndian
	for ; len(b) >= 32; b = b[32:] {
		a0 |= le.Uint64(b)
		a1 |= le.Uint64(b[8:])
		a2 |= le.Uint64(b[16:])
		a3 |= le.Uint64(b[24:])
	}
	readSum.Store(a0 | a1 | a2 | a3)
}
