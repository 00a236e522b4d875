package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert"
	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/diff"
	"qpt/runtime/lm"
)

const model = "../../testdata/stories260K"

// convertTo runs the whole path: convert, load.
func convertTo(t *testing.T, opt convert.Options) *lm.Model {
	t.Helper()
	opt.Out = filepath.Join(t.TempDir(), "m.qpt")
	plan, err := convert.MakePlan(opt)
	if err != nil {
		t.Fatal(err)
	}
	plan, err = plan.Rotation(context.Background(), convert.Hooks{})
	defer func() { plan.Close() }()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Run(context.Background(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	m, err := lm.Load(opt.Out, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// The variant is the same function in FP32; rounding it to nearest does visible
// harm; calibration takes away at least 80 % of that harm, in KL on a text that it did not see.
func TestCalibrationAgainstOutliers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "variant")
	if err := write(model, dir, 1, 3); err != nil {
		t.Fatal(err)
	}
	exact := convertTo(t, convert.Options{References: -1, In: model, Scheme: "f32"})
	tok, err := exact.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../testdata/text/tinystories_eval.txt")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode(context.Background(), string(text[:3000]), true)
	if err != nil {
		t.Fatal(err)
	}
	ids = ids[:400]
	logits := func(m *lm.Model) []float32 {
		out, err := m.Forward(context.Background(), ids)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := logits(exact)
	kl := func(in, scheme, preset string) float64 {
		opt := convert.Options{In: in, Scheme: scheme, Preset: preset, CalibSamples: 12, CalibLength: 128, References: -1}
		if preset != "fast" {
			opt.Calib = "../../testdata/text/tinystories_calib.jsonl"
		}
		got := logits(convertTo(t, opt))
		var d diff.Logits
		for r := 0; r < len(got); r += exact.Vocab() {
			d.Add(want[r:r+exact.Vocab()], got[r:r+exact.Vocab()])
		}
		return d.KL()
	}
	if got := logits(convertTo(t, convert.Options{References: -1, In: dir, Scheme: "f32"})); !slices.Equal(got, want) {
		t.Error("the variant is another function")
	}
	for _, scheme := range []string{"da8w8", "da8w4"} {
		base, hurt, healed := kl(model, scheme, "fast"), kl(dir, scheme, "fast"), kl(dir, scheme, "balanced")
		t.Logf("%s: KL %.4f; with outliers %.4f, calibrated %.4f", scheme, base, hurt, healed)
		if hurt < 0.1 || hurt < 5*base {
			t.Errorf("%s: KL %v of the variant, %v of the model: no visible harm", scheme, hurt, base)
		}
		if won := (hurt - healed) / (hurt - base); won < 0.8 {
			t.Errorf("%s: calibration takes away %.0f %% of the harm", scheme, 100*won)
		}
	}
}

// TestRotation: 8 bits without calibration rotate the variant, and nothing else; it has at most half the KL then.
func TestRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "variant")
	if err := write(model, dir, 1, 3); err != nil {
		t.Fatal(err)
	}
	kl := func(opt convert.Options, rotated bool) float64 {
		m := convertTo(t, opt)
		if got := slices.Contains(m.Meta.Recipe.Calibration.Algorithms, "rotate"); got != rotated {
			t.Errorf("%+v: rotated: %v", opt, got)
		}
		d, err := compare.Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return d.KL()
	}
	turned := kl(convert.Options{In: dir, Scheme: "da8w8"}, true)
	if plain := kl(convert.Options{In: dir, Scheme: "da8w8", Preset: "fast"}, false); turned > plain/2 {
		t.Errorf("KL %.3g rotated, %.3g not", turned, plain)
	}
	for _, o := range []convert.Options{{In: model, Scheme: "da8w8"}, {In: dir, Scheme: "da8w4"}, {In: dir, Scheme: "a16w8"}} {
		kl(o, false)
	}
}

func TestWrite(t *testing.T) {
	files := map[string][]byte{}
	for i, seed := range []uint64{1, 1, 2} {
		dir := t.TempDir()
		if err := write(model, dir, seed, 2); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && bytes.Equal(b, files["model"]) != (seed == 1) {
			t.Errorf("seed %d: equal to seed 1: %v", seed, seed != 1)
		}
		files["model"] = b
		if i == 0 {
			if err := write(model, dir, 1, 2); err == nil || !strings.Contains(err.Error(), "not empty") {
				t.Errorf("into a folder with files: %v", err)
			}
		}
	}
	if err := write(t.TempDir(), t.TempDir(), 1, 2); err == nil {
		t.Error("an empty checkpoint: no error")
	}
}
