package diff

import (
	"math"
	"testing"
)

func TestTensor(t *testing.T) {
	var d Tensor
	d.Add([]float32{3, 0}, []float32{3, 0.5})
	d.Add([]float32{4}, []float32{4})
	if got, want := d.SQNR(), 20*math.Log10(5/0.5); math.Abs(got-want) > 1e-12 {
		t.Errorf("SQNR %v, want %v", got, want)
	}
	if d.MaxAbs() != 0.5 {
		t.Errorf("max-abs %v", d.MaxAbs())
	}
	if got, want := d.Cosine(), 25/math.Sqrt(25*25.25); math.Abs(got-want) > 1e-12 {
		t.Errorf("cosine %v, want %v", got, want)
	}
	d.Add([]float32{1, 2}, []float32{float32(math.NaN()), 1})
	if !math.IsNaN(d.MaxAbs()) || !math.IsNaN(d.SQNR()) {
		t.Error("a NaN must show in every measure")
	}
}

func TestLogits(t *testing.T) {
	var l Logits
	l.Add([]float32{0, float32(math.Log(3))}, []float32{0, 0}) // p = 1/4, 3/4 against 1/2, 1/2
	if got, want := l.KL(), 0.25*math.Log(0.5)+0.75*math.Log(1.5); math.Abs(got-want) > 1e-7 {
		t.Errorf("KL %v, want %v", got, want)
	}
	if l.Top1() != 0 || l.Top5() != 1 {
		t.Errorf("top-1 %v, top-5 %v: a tie goes to the first", l.Top1(), l.Top5())
	}
	l.Add([]float32{1, 0}, []float32{1, 0})
	if l.Top1() != 0.5 || l.KLQuantile(1) < l.KL() || l.KLQuantile(0) != 0 {
		t.Errorf("top-1 %v, quantiles %v %v", l.Top1(), l.KLQuantile(0), l.KLQuantile(1))
	}
	nan := []float32{float32(math.NaN()), 0}
	l.Add(nan, nan)
	l.Add(nan, []float32{1, 0})
	if l.Top1() != 0.25 || l.Top5() != 0.5 || !math.IsNaN(l.KL()) {
		t.Errorf("top-1 %v, top-5 %v, KL %v with NaN, which agrees with nothing", l.Top1(), l.Top5(), l.KL())
	}
	if got := NLL([]float32{0, 0, 0, 0}, 2); math.Abs(got-math.Log(4)) > 1e-12 {
		t.Errorf("NLL %v", got)
	}
}
