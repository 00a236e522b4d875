package probe

import (
	"qpt/internal/cpu"
	"qpt/kernels/linear"
	"testing"
)

// Every instruction set has a peak to hold its kernels against.
func TestPeak(t *testing.T) {
	if len(peakProbes) == 0 {
		t.Skip("no assembly in this build")
	}
	for _, form := range []linear.ActForm{linear.A8, linear.AF32, linear.ABF16} {
		for isa := cpu.AVX2; isa <= cpu.AMX; isa++ {
			if !cpu.Has(isa) {
				continue
			}
			restore := cpu.SetMax(isa)
			peak := Peak(Product{Acts: form}, 1)
			restore()
			if peak <= 0 {
				t.Errorf("no peak for %s on %s", form, isa)
			}
			t.Logf("%s on %s: %.3g ops/s", form, isa, peak)
		}
	}
	defer cpu.SetMax(cpu.Generic)()
	if p := Peak(Product{Acts: linear.A8}, 1); p != 0 {
		t.Errorf("peak of plain Go is %g, want 0 for unknown", p)
	}
}

func TestReadRate(t *testing.T) {
	for _, n := range []int{0, 77, 255, 256, 257, 1<<20 + 5, 3 << 20} {
		if r := Read([][]byte{make([]byte, n), nil, make([]byte, n)}, 2); (r > 0) != (n > 0) {
			t.Errorf("%d bytes: %g bytes/s", n, r)
		}
	}
}
