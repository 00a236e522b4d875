package convert_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert"
	"qpt/format"
	"qpt/runtime"
)

// calibrated converts the small trained model and returns the file.
func calibrated(t *testing.T, opt convert.Options) string {
	t.Helper()
	opt.In = "../testdata/stories260K"
	opt.Out = filepath.Join(t.TempDir(), "m.qpt")
	opt.References = -1
	p, err := convert.MakePlan(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(context.Background(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	return opt.Out
}

// A calibrated file predicts unseen text better than one rounded to nearest,
// says what it was calibrated on, and does not depend on the number of threads.
func TestCalibratedFile(t *testing.T) {
	text, err := os.ReadFile("../testdata/text/tinystories_eval.txt")
	if err != nil {
		t.Fatal(err)
	}
	perplexity := func(path string) float64 {
		m, err := runtime.Load(path, runtime.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		tok, err := m.Tokenizer()
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.Perplexity(context.Background(), [][]int32{tok.Encode(string(text[:8000]), false)}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p.Value()
	}
	full := perplexity(calibrated(t, convert.Options{Scheme: "f32"}))
	nearest := perplexity(calibrated(t, convert.Options{Scheme: "da8w4"}))
	opt := convert.Options{Scheme: "da8w4", Calib: "../testdata/text/tinystories_calib.jsonl", CalibSamples: 12, CalibLength: 100, Threads: 2}
	path := calibrated(t, opt)
	got := perplexity(path)
	t.Logf("perplexity %.4f, to nearest %.4f, calibrated %.4f", full, nearest, got)
	if nearest < full || got-full > 0.8*(nearest-full) {
		t.Errorf("perplexity %v, to nearest %v, calibrated %v", full, nearest, got)
	}
	opt.CalibSamples, opt.CalibLength = 2, 40
	a, _ := os.ReadFile(calibrated(t, opt))
	opt.Threads = 1
	b, _ := os.ReadFile(calibrated(t, opt))
	if !bytes.Equal(a, b) {
		t.Error("the bytes depend on the number of threads")
	}
	f, err := format.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	meta, err := f.Meta()
	if err != nil {
		t.Fatal(err)
	}
	if len(meta.Calibration) != 64 || meta.Recipe.Preset != "balanced" || !slices.Contains(meta.Recipe.Results, format.Result{Name: "calib-samples", Value: "12"}) {
		t.Errorf("provenance %q, %v", meta.Calibration, meta.Recipe)
	}
}

func TestCalibrationOptions(t *testing.T) {
	for _, c := range []struct {
		opt  convert.Options
		want string
	}{
		{convert.Options{Preset: "huge"}, `preset "huge" is unknown, want one of fast, balanced, best`},
		{convert.Options{Preset: "best"}, "needs a calibration text"},
		{convert.Options{Preset: "fast", Calib: "a.txt"}, "takes no calibration text"},
		{convert.Options{Compat: "torchao", Calib: "a.txt"}, "cannot be calibrated"},
		{convert.Options{Calib: "a.txt", CalibLength: 1}, "too few"},
		{convert.Options{Calib: "a.txt", Algorithms: "gptq,magic"}, `algorithm "magic" is unknown`},
		{convert.Options{Scheme: "s8s8"}, "needs a calibration text, on which the ranges of the activations are observed: give one (--calib FILE)"},
		{convert.Options{Overrides: []convert.Override{{Match: "q_proj", Scheme: "s8s8"}}}, "needs a calibration text"},
		{convert.Options{Scheme: "s8s8", Calib: "a.txt", Observer: "max"}, `observer "max" is unknown, want one of minmax, moving-average, histogram, percentile, mse, entropy`},
		{convert.Options{Calib: "a.txt", Observer: "minmax"}, "no layer has that scheme"},
		{convert.Options{Calib: "a.txt", Symmetric: true}, "no layer has that scheme"},
	} {
		c.opt.In = "../testdata/stories260K"
		if c.opt.Scheme == "" {
			c.opt.Scheme = "da8w4"
		}
		if _, err := convert.MakePlan(c.opt); !errors.Is(err, convert.ErrUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.opt, err, c.want)
		}
	}
}
