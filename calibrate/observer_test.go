package calibrate

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"qpt/internal/num"
)

// observed is data of the goldens (testdata/gen/observers.py repeats the generator).
type observed struct {
	seed  uint32
	n     int
	kind  string
	scale float64
}

func (d *observed) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&d.seed, &d.n, &d.kind, &d.scale})
}

func (d observed) values() []float32 {
	x := make([]float32, d.n)
	s, scale := d.seed, float32(d.scale)
	for i := range x {
		v := 0
		for range 4 {
			s = s*1664525 + 1013904223
			v += int(s >> 12)
		}
		y := float32(float64(v-1<<21)/(1<<19)) * scale
		switch d.kind {
		case "positive":
			y = max(y, -y)
		case "cubed":
			y = float32(float32(y*y) * y)
		case "constant":
			y = scale
		case "shifted":
			y += float32(10 * d.scale)
		}
		x[i] = y
	}
	if d.kind == "outlier" {
		x[d.n/2] = float32(100 * d.scale)
	}
	return x
}

var u8, s8 = Grid{QMax: 255}, Grid{QMin: -128, QMax: 127, Symmetric: true}

// Scales within 1 ulp of torch's, zero points equal.
func TestObserversEqualTorch(t *testing.T) {
	blob, err := os.ReadFile("testdata/observers.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Data  map[string][]observed
		Cases []struct {
			Observer, Grid, Data string
			Scale                float64
			Zero                 int32
		}
	}
	if err := json.Unmarshal(blob, &golden); err != nil {
		t.Fatal(err)
	}
	grids := map[string]Grid{
		"u8": u8, "u8 reduced": {QMax: 127}, "u8 symmetric": {QMax: 255, Symmetric: true},
		"s8": {QMin: -128, QMax: 127}, "s8 symmetric": s8, "s8 symmetric reduced": {QMin: -64, QMax: 63, Symmetric: true},
		"s8 eps 2^-12": {QMin: -128, QMax: 127, Symmetric: true, Eps: 0x1p-12},
	}
	makers := map[string]func(Grid) Observer{
		"minmax":    NewMinMax,
		"average":   func(g Grid) Observer { return NewMovingAverageMinMax(g, 0.01) },
		"histogram": func(g Grid) Observer { return NewHistogram(g) },
	}
	if len(golden.Cases) < 300 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		o := makers[c.Observer](grids[c.Grid])
		for _, d := range golden.Data[c.Data] {
			o.Observe(d.values())
		}
		q, want := o.QParams(), float32(c.Scale)
		ulps := math.Abs(float64(int64(math.Float32bits(q.Scale)) - int64(math.Float32bits(want))))
		if ulps > 1 || q.Zero != c.Zero {
			t.Errorf("%s, %s, %s: %v, torch has %v %d", c.Observer, c.Grid, c.Data, q, want, c.Zero)
		}
	}
}

// Every observer takes what nobody wishes for and gives a usable scale.
func TestObserversSurvive(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, g := range []Grid{s8, u8} {
		for name, batches := range map[string][][]float32{
			"nothing": {{}}, "not finite only": {{nan, inf, -inf}}, "zero": {{0}},
			"mixed": {{1, nan, -2}, {inf, 3}, {}, {-inf, -1}}, "extremes": {{-math.MaxFloat32, math.MaxFloat32}, {1}},
			"subnormal": {{1e-44, -1e-44}}, "constants apart": {{2, 2}, {5, 5}},
		} {
			clean := map[string][][]float32{"mixed": {{1, -2}, {3}, {-1}}}[name]
			for kind, make := range map[string]func() Observer{
				"minmax": func() Observer { return NewMinMax(g) }, "average": func() Observer { return NewMovingAverageMinMax(g, 0.01) },
				"histogram": func() Observer { return NewHistogram(g) }, "percentile": func() Observer { return NewPercentile(g, 99.9) },
				"mse": func() Observer { return NewMSE(g) }, "entropy": func() Observer { return NewEntropy(g) },
			} {
				run := func(batches [][]float32) QParams {
					o := make()
					for _, b := range batches {
						o.Observe(b)
					}
					return o.QParams()
				}
				q := run(batches)
				if !(q.Scale > 0) || !num.Finite(q.Scale) || int(q.Zero) < g.QMin || int(q.Zero) > g.QMax {
					t.Errorf("%s of %s: %v", kind, name, q)
				}
				if clean != nil {
					if w := run(clean); w != q {
						t.Errorf("%s of %s: %v, without the values that are not finite %v", kind, name, q, w)
					}
				}
			}
		}
	}
}

// What each observer is for: one outlier among 10,000 normal values.
func TestObserversOutlier(t *testing.T) {
	x := observed{seed: 7, n: 10000, kind: "normal", scale: 1}.values()
	x[5000] = 50
	g := s8
	mse := func(q QParams) (sum float64) {
		for _, v := range x {
			d := float64(v) - g.fakeQuant(float64(v), q)
			sum += d * d
		}
		return sum / float64(len(x))
	}
	scale := func(o Observer) QParams { o.Observe(x); return o.QParams() }
	full := scale(NewMinMax(g))
	if got := full.Scale; got != 50/127.5 {
		t.Errorf("min-max scale %v", got)
	}
	if q := scale(NewPercentile(g, 99.9)); q.Scale*127.5 > 6 || q.Scale*127.5 < 2 {
		t.Errorf("percentile keeps magnitudes to %v", q.Scale*127.5)
	}
	if q := scale(NewEntropy(g)); q.Scale*127.5 > 10 || q.Scale*127.5 < 2 {
		t.Errorf("entropy keeps magnitudes to %v", q.Scale*127.5)
	}
	best := scale(NewMSE(g))
	if mse(best) > mse(full) {
		t.Errorf("MSE observer %v is worse than min-max %v", mse(best), mse(full))
	}
	for i := 1; i <= 100; i++ {
		if q := g.QParams(-float32(i)/2, float32(i)/2); mse(q) < 0.9*mse(best) {
			t.Errorf("range %v has error %v, MSE observer %v", float32(i)/2, mse(q), mse(best))
		}
	}
}
