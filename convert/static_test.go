package convert_test

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"qpt/calibrate"
	"qpt/convert"
	"qpt/format"
	"qpt/internal/cpu"
	"qpt/runtime"
	"qpt/runtime/lm"
)

// A file of scheme s8s8 holds one range for every value that its layers read,
// tells how it was found, predicts nearly what FP32 predicts, and holds the
// same bytes for any number of threads and instruction set.
func TestStatic(t *testing.T) {
	opt := convert.Options{Scheme: "s8s8", Preset: "fast", Calib: "../testdata/text/tinystories_calib.jsonl", CalibSamples: 3, CalibLength: 50,
		Overrides: []convert.Override{{Match: `1\.self_attn\.q_proj`, Scheme: "da8w8"}, {Match: `2\.mlp\.down_proj`, Scheme: "a16w8"}}}
	logits := func(path string) []float32 {
		m, err := lm.Load(path, runtime.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		y, err := m.Forward(context.Background(), []int32{1, 300, 5, 77, 410, 9, 13})
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	want := logits(calibrated(t, convert.Options{Scheme: "f32"}))
	for i, observer := range calibrate.Observers {
		opt.Observer, opt.Symmetric, opt.Threads = observer, i%2 > 0, 2
		path := calibrated(t, opt)
		limit := 0.06
		if observer == "entropy" { // cuts off too much
			limit = 0.2
		}
		if got := logits(path); noise(got, want) > limit {
			t.Errorf("%s: noise %.3f of the logits", observer, noise(got, want))
		}
		f, err := format.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		list, err := f.Activations()
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 4*5-1 || slices.ContainsFunc(list, func(a format.Activation) bool { return strings.HasPrefix(a.Value, "model.layers.2.mlp") }) {
			t.Errorf("%s: %d values: %v", observer, len(list), list)
		}
		for _, a := range list {
			lo, hi := float32(-a.Zero)*a.Scale, float32(255-a.Zero)*a.Scale
			if a.Observer != observer || !(a.Min < 0 && a.Max > 0) || opt.Symmetric && a.Zero != 128 ||
				a.Clipped > 0.02 || a.Clipped > 0 && a.Min > lo-a.Scale/2 && a.Max < hi+a.Scale/2 {
				t.Errorf("%s: %+v", observer, a)
			}
			if observer == "minmax" && a.Clipped > 0 {
				t.Errorf("%+v: clipped", a)
			}
		}
		meta, err := f.Meta()
		if err != nil {
			t.Fatal(err)
		}
		if len(meta.Calibration) != 64 || *meta.Recipe.Activations != (format.Activations{Observer: observer, Symmetric: opt.Symmetric}) {
			t.Errorf("provenance %q, %v", meta.Calibration, meta.Recipe)
		}
	}
	path := calibrated(t, opt)
	a, _ := os.ReadFile(path)
	opt.Threads = 1
	defer cpu.SetMax(cpu.AVX2)()
	b, _ := os.ReadFile(calibrated(t, opt))
	if !bytes.Equal(a, b) {
		t.Error("the bytes depend on the threads or the instruction set")
	}
}

// noise is |got-want|^2 / |want|^2.
func noise(got, want []float32) float64 {
	var d, s float64
	for i, w := range want {
		d += float64(got[i]-w) * float64(got[i]-w)
		s += float64(w) * float64(w)
	}
	return d / s
}
