package diff

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The order of values does not matter, none is lost, and each is in its bin.
func TestHistogram(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var x []float32
	for i := range 5000 {
		x = append(x, float32(rng.NormFloat64()*math.Pow(10, float64(i%5-2))))
	}
	x = append(x, 0, 0, float32(math.NaN()), float32(math.Inf(1)), 1e-40, math.MaxFloat32/1e30, 2, -2)
	var a, b Histogram
	a.Add(x)
	slices.Reverse(x)
	b.Add(x)
	var small Histogram
	small.Add([]float32{1e-3, -1e-3, 2e-3})
	for _, n := range []int{48, 64, 100} {
		limit, one := Bins(n, &a)
		limit2, two := Bins(n, &b, &small)
		counts, counts2 := one[0], two[0]
		if mid := two[1][len(counts)/2-1:][:2]; mid[0] != 1 || mid[1] != 2 {
			t.Errorf("a histogram of smaller range: %d", two[1])
		}
		if limit != limit2 || !slices.Equal(counts, counts2) {
			t.Fatalf("%d bins: the order matters", n)
		}
		if len(counts) > n || len(counts)%2 != 0 || len(counts) < n/2 {
			t.Errorf("%d bins for %d", len(counts), n)
		}
		want := make([]int64, len(counts))
		for _, v := range x {
			if v != 0 && math.Abs(float64(v)) <= math.MaxFloat32 {
				want[int((float64(v)/limit+1)/2*float64(len(counts)))]++
			}
		}
		want[len(want)/2-1]++ // one of the two zeros on each side
		want[len(want)/2]++
		if !slices.Equal(counts, want) {
			t.Errorf("%d bins over %g:\n%d, want\n%d", n, limit, counts, want)
		}
	}
	if a.N() != 5006 {
		t.Errorf("N %d", a.N())
	}
	var zeros Histogram
	zeros.Add(make([]float32, 7))
	if limit, counts := Bins(8, &zeros); limit != 0 || counts[0][len(counts[0])/2-1] != 3 || counts[0][len(counts[0])/2] != 4 {
		t.Errorf("zeros: %g, %d", limit, counts)
	}
}

func TestLogBins(t *testing.T) {
	first, counts, under := LogBins([]float64{0.01, 0.02, 1, 9.9, 0, 1e-9, math.NaN()}, -6, 2)
	if first != -2 || !slices.Equal(counts, []int{2, 0, 0, 0, 1, 1}) || under != 2 {
		t.Errorf("%g %d %d", first, counts, under)
	}
	if _, counts, under = LogBins([]float64{0}, -6, 2); counts != nil || under != 1 {
		t.Errorf("only zeros: %d %d", counts, under)
	}
}
