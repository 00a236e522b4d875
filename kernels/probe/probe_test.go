package probe

import (
	"testing"
	"time"

	"qpt/internal/cpu"
	"qpt/kernels/linear"
)

// Every instruction set has a peak to hold its kernels against.
func TestPeak(t *testing.T) {
	if len(peakProbes) == 0 {
		t.Skip("no assembly in this build")
	}
	for _, form := range []linear.ActForm{linear.A8, linear.A16, linear.AF32, linear.ABF16} {
		for isa := cpu.AVX2; isa <= cpu.AMX; isa++ {
			if !cpu.Has(isa) {
				continue
			}
			restore := cpu.SetMax(isa)
			if Peak(Product{Acts: form}, 1) <= 0 {
				t.Errorf("no peak for %s on %s", form, isa)
			}
			restore()
		}
	}
	if fed := FedTiles(1); (fed > 0) != (cpu.Active() >= cpu.AMX) {
		t.Errorf("tiles from the first-level cache do %g ops/s with %s", fed, cpu.Active())
	}
	defer cpu.SetMax(cpu.Generic)()
	if p := Peak(Product{Acts: linear.A8}, 1); p != 0 {
		t.Errorf("peak of plain Go is %g, want 0 for unknown", p)
	}
}

// TestPeakCounts: what a round is said to be is true within a factor that real kernels tell: the kernel that is chosen is
// not faster than its probe, and not far behind. Both are the fastest of many
// short runs, which other processes' turns do not touch.
func TestPeakCounts(t *testing.T) {
	const m, n, k = 48, 64, 1024
	y := make([]float32, m*n)
	for _, p := range peakProbes {
		if !cpu.Has(p.isa) {
			t.Logf("NOT RUN: %v of %v: not on this machine", p.Product, p.isa)
			continue
		}
		format := p.Weights
		if format == 0 {
			format = map[linear.ActForm]linear.Format{linear.A8: linear.I8, linear.ABF16: linear.BF16, linear.AF32: linear.F32}[p.Acts]
		}
		probe := func() float64 { p.run(2000); return 2000 * p.ops }
		peak := fastest(probe)
		x, w := linear.NewActs(p.Acts, m, k).Reset(m), linear.NewWeight(format, n, k, 32)
		var scratch linear.Scratch
		restore := cpu.SetMax(p.isa)
		name := w.Chosen(p.Acts, m)
		rate := fastest(func() float64 {
			linear.Linear(linear.Sink{Y: y, Ld: n}, x, w, 0, w.Blocks(), &scratch)
			return 2 * m * n * k
		})
		restore()
		peak = max(peak, fastest(probe)) // the clock may have risen meanwhile
		t.Logf("%v by %v on %v: probe %.3g ops/s, %s %.3g (%.0f %%)", p.Acts, format, p.isa, peak, name, rate, 100*rate/peak)
		least := 0.2
		if p.isa == cpu.AMX {
			least = 0.05 // a small product's tiles wait for their loads
		}
		if !(rate < 1.1*peak && rate > least*peak) {
			t.Errorf("%v by %v on %v: %s does %.3g ops/s, the probe %.3g", p.Acts, format, p.isa, name, rate, peak)
		}
	}
}

// fastest returns the operations a second of the fastest of many calls of f, which returns its operations.
func fastest(f func() float64) (rate float64) {
	for range 200 {
		start := time.Now()
		ops := f()
		rate = max(rate, ops/time.Since(start).Seconds())
	}
	return rate
}

func TestReadRate(t *testing.T) {
	for _, n := range []int{0, 77, 255, 256, 257, 1<<20 + 5, 3 << 20} {
		if r := Read([][]byte{make([]byte, n), nil, make([]byte, n)}, 2); (r > 0) != (n > 0) {
			t.Errorf("%d bytes: %g bytes/s", n, r)
		}
	}
}
