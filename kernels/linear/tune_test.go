package linear

import (
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
)

// TestTune: measured choices fit the shape, are followed, and change no bit.
func TestTune(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	w := randomWeight(rng, I4, 90, 172, 32, false, true)
	rule := *w
	tuning := NewTuning(w, A8)
	if n := len(rivals(I4, A8)); n < 2 {
		if tuning != nil {
			t.Fatalf("%d kernels to choose from, and yet measured: %+v", n, tuning)
		}
		t.Skipf("%d kernels to choose from here", n)
	}
	if !tuning.Fits(w, A8) {
		t.Fatalf("%+v does not fit what it was measured on", tuning)
	}
	other := randomWeight(rng, I4, 90, 172, 64, false, false)
	if tuning.Fits(other, A8) || tuning.Fits(w, A16) {
		t.Error("fits another shape or form")
	}
	for _, r := range tuning.Rows {
		for _, k := range r.Kernels {
			if !(k.US > 0) {
				t.Errorf("%d rows: %s takes %v", r.M, k.Kernel, k.US)
			}
		}
	}
	for range 2 { // as measured, and the other way round
		w.Tune(A8, tuning)
		for i, r := range tuning.Rows {
			if got, want := w.Chosen(A8, r.M), "linear-a8-i4-"+r.Kernels[0].Kernel; got != want {
				t.Errorf("%d rows: %s runs, want %s", r.M, got, want)
			}
			x := randomActs(rng, A8, r.M, w.K, false)
			got, want := newGuarded(r.M, w.N, 3), newGuarded(r.M, w.N, 3)
			var s Scratch
			Linear(Sink{Y: got.y(), Ld: got.ldy}, x, w, 0, w.Blocks(), &s)
			Linear(Sink{Y: want.y(), Ld: want.ldy}, x, &rule, 0, w.Blocks(), &s)
			if err := got.diff(want); err != nil {
				t.Errorf("%d rows: %v", r.M, err)
			}
			slices.Reverse(tuning.Rows[i].Kernels)
		}
	}
	if got, want := w.Chosen(A8, 300), w.Chosen(A8, 256); got != want {
		t.Errorf("300 rows: %s, 256 rows: %s", got, want)
	}
	if got, want := w.Chosen(A8, 1), Choose(I4, A8, 1); got != want {
		t.Errorf("one row: %s, by rule %s", got, want)
	}
	restore := cpu.SetMax(cpu.Generic)
	defer restore()
	if got := w.Chosen(A8, 8); got != "linear-a8-i4-generic" {
		t.Errorf("at level generic %s runs", got)
	}
}

// TestRank: times apart decide, times alike do not, whatever the order they come in.
func TestRank(t *testing.T) {
	for _, c := range []struct {
		us   []float64 // of kernels a, b, c ...
		want string
	}{
		{nil, ""}, {[]float64{1}, "a"}, {[]float64{2, 1}, "ba"}, {[]float64{1.02, 1}, "ab"}, {[]float64{1.04, 1}, "ba"},
		{[]float64{0, 0, 0}, "abc"}, {[]float64{3, 1, 2}, "bca"},
		{[]float64{1.05, 1.025, 1}, "bca"}, // a is like b, b like c, a not like c
		{[]float64{1, 1.025, 1.05}, "abc"}, {[]float64{1.025, 1.05, 1}, "acb"}, {[]float64{2.02, 1.02, 2, 1}, "bdac"},
	} {
		var ks []TunedKernel
		for i, us := range c.us {
			ks = append(ks, TunedKernel{string(rune('a' + i)), us})
		}
		rank(ks)
		got := ""
		for _, k := range ks {
			got += k.Kernel
		}
		if got != c.want {
			t.Errorf("%v: order %s, want %s", c.us, got, c.want)
		}
	}
}
