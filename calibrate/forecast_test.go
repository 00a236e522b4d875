package calibrate

import (
	"testing"

	"qpt/kernels/linear"
)

// What there is to do grows with the text where it should, and a forecast takes it all in.
func TestForecast(t *testing.T) {
	g, _, _, _ := stories(t)
	o := Options{Threads: 1, Scales: true, GPTQ: true, Sweeps: 4, Correct: true, Target: projections(linear.I4), Samples: 8, Length: 64}
	o.defaults()
	one := newWork(g, o)
	if matrices := 5.0 * (64*(64+32+32+64) + 3*64*172); one.weights < matrices {
		t.Errorf("%v weights to be rounded, the model has %v", one.weights, matrices)
	}
	short := Forecast(g, o)
	o.Samples = 16000
	many := newWork(g, o)
	if many.products != 2000*one.products || many.layers != 2000*one.layers || many.weights != one.weights || !(many.flops > 100*one.flops && many.flops < 2000*one.flops) {
		t.Errorf("2000 times the text: %+v, once: %+v", many, one)
	}
	if long := Forecast(g, o); short <= 0 || long < 10*short {
		t.Errorf("2000 times the text takes %v, once %v", long, short)
	}
	o.Target = func(string) (Target, bool) { return Target{}, false }
	if d := Forecast(g, o); d != 0 {
		t.Errorf("nothing to do takes %v", d)
	}
}
