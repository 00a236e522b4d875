package diff

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMeanOf(t *testing.T) {
	// Equal windows: the usual standard error of the mean of 2, 4, 6.
	e := MeanOf([]float64{20, 40, 60}, []int{10, 10, 10})
	if e.Value != 4 || math.Abs(e.StdErr-2/math.Sqrt(3)) > 1e-12 {
		t.Errorf("%+v", e)
	}
	// Windows of one rate have no error, whatever their lengths.
	if e := MeanOf([]float64{3, 30}, []int{1, 10}); e.Value != 3 || e.StdErr != 0 {
		t.Errorf("%+v", e)
	}
	if e := MeanOf([]float64{3}, []int{2}); e.Value != 1.5 || !math.IsNaN(e.StdErr) {
		t.Errorf("one window: %+v", e)
	}
	if e := (Estimate{1, 0.1}).Exp(); math.Abs(e.Value-math.E) > 1e-12 || math.Abs(e.StdErr-0.1*math.E) > 1e-12 {
		t.Errorf("exp: %+v", e)
	}
}

func TestWorst(t *testing.T) {
	w := Worst{N: 2, Choices: 2}
	log := func(p ...float64) (l []float32) {
		for _, x := range p {
			l = append(l, float32(math.Log(x)))
		}
		return l
	}
	even := log(.25, .25, .5)
	w.Add(0, 0, 1, even, even)
	w.Add(0, 1, 3, even, log(.7, .1, .2))
	w.Add(1, 0, 3, even, even)
	w.Add(1, 1, 0.5, even, even)
	round := cmp.Transformer("round", func(x float64) float64 { return math.Round(x*1e6) / 1e6 })
	want := []Token{
		{0, 1, 3, []Choice{{2, .5}, {0, .25}}, []Choice{{0, .7}, {2, .2}}},
		{1, 0, 3, []Choice{{2, .5}, {0, .25}}, []Choice{{2, .5}, {0, .25}}},
	}
	if d := cmp.Diff(want, w.Tokens(), round); d != "" {
		t.Error(d)
	}
}
