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
	"qpt/internal/cpu"
	"qpt/runtime"
	"qpt/runtime/diff"
	"qpt/runtime/lm"
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
// and says what it was calibrated on.
func TestCalibratedFile(t *testing.T) {
	text, err := os.ReadFile("../testdata/text/tinystories_eval.txt")
	if err != nil {
		t.Fatal(err)
	}
	perplexity := func(path string) float64 {
		m, err := lm.Load(path, runtime.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		tok, err := m.Tokenizer()
		if err != nil {
			t.Fatal(err)
		}
		ids, err := tok.Encode(context.Background(), string(text[:8000]), false)
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.Perplexity(context.Background(), [][]int32{ids}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p.Value()
	}
	full := perplexity(calibrated(t, convert.Options{Scheme: "f32"}))
	nearest := perplexity(calibrated(t, convert.Options{Scheme: "da8w4"}))
	opt := convert.Options{Scheme: "da8w4", Calib: "../testdata/text/tinystories_calib.jsonl", CalibSamples: 24, CalibLength: 200, Threads: 2}
	path := calibrated(t, opt)
	got := perplexity(path)
	t.Logf("perplexity %.4f, to nearest %.4f, calibrated %.4f", full, nearest, got)
	if nearest < full || got-full > 0.8*(nearest-full) {
		t.Errorf("perplexity %v, to nearest %v, calibrated %v", full, nearest, got)
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
	if len(meta.Calibration) != 64 || meta.Recipe.Preset != "balanced" || !slices.Contains(meta.Recipe.Results, format.Result{Name: "calib-samples", Value: "24"}) {
		t.Errorf("provenance %q, %v", meta.Calibration, meta.Recipe)
	}
}

func TestCalibrationOptions(t *testing.T) {
	for _, c := range []struct {
		opt  convert.Options
		want string
	}{
		{convert.Options{Preset: "huge"}, `preset "huge" is unknown, want one of fast, balanced, best`},
		{convert.Options{Preset: "fast", Calib: "a.txt"}, "takes no calibration text"},
		{convert.Options{Compat: "torchao", Calib: "a.txt"}, "cannot be calibrated"},
		{convert.Options{Calib: "a.txt", CalibLength: 1}, "too few"},
		{convert.Options{Calib: "a.txt", Algorithms: "gptq,magic"}, `algorithm "magic" is unknown, want some of rotate, equalize, scales`},
		{convert.Options{Calib: "a.txt", Algorithms: "gptq,descent,gptq"}, `algorithm "gptq" is given twice`},
		{convert.Options{Calib: "a.txt", Algorithms: "act-order,descent"}, `algorithm "act-order" is an order for gptq: add gptq`},
		{convert.Options{Scheme: "da8w8", Calib: "a.txt", Algorithms: "gptq,clip"}, `algorithm "clip" chooses the groups of int4 and int6 weights, but no layer has any`},
		{convert.Options{Calib: "a.txt", Algorithms: "gptq,clip,hqq"}, `algorithms "clip" and "hqq" both choose the groups`},
		{convert.Options{Calib: "a.txt", Algorithms: "hqq"}, "takes no calibration text"},
		{convert.Options{Scheme: "da8w8", Algorithms: "hqq"}, `algorithm "hqq" chooses the groups of int4 and int6 weights, but no layer has any`},
		{convert.Options{Scheme: "s8s8", Algorithms: "hqq", Overrides: []convert.Override{{Match: "q_proj", Scheme: "da8w4"}}}, "needs a calibration text"},
		{convert.Options{Compat: "torchao", Algorithms: "rotate"}, "cannot be calibrated"},
		{convert.Options{Preset: "fast", Algorithms: "gptq"}, "preset fast has no algorithms"},
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

// The bytes of a calibrated file depend neither on the number of threads nor on
// the ISA level nor on the memory cap, and an interrupted conversion goes on to the same.
func TestCalibratedBytes(t *testing.T) {
	opt := convert.Options{Scheme: "da8w4", Calib: "../testdata/text/tinystories_calib.jsonl", CalibSamples: 2, CalibLength: 30, Threads: 2, Mem: 1 << 30}
	want, err := os.ReadFile(calibrated(t, opt))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, opt convert.Options) {
		t.Helper()
		if got, err := os.ReadFile(calibrated(t, opt)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes (%v)", what, err)
		}
	}
	for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512} {
		if cpu.Has(isa) && !testing.Short() { // nothing new to the race detector
			restore := cpu.SetMax(isa)
			check(isa.String(), opt)
			restore()
		}
	}
	one := opt
	one.Threads, one.Mem = 1, 68<<20
	check("one thread, little memory", one)

	opt.In, opt.References, opt.Resume = "../testdata/stories260K", -1, true
	opt.Out = filepath.Join(t.TempDir(), "m.qpt")
	run := func(stopAt int64) error {
		p, err := convert.MakePlan(opt)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, err = p.Run(ctx, convert.Hooks{Progress: func(done, _ int64) {
			if done == stopAt {
				cancel()
			}
		}})
		return err
	}
	if err := run(4); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	st, err := os.Stat(opt.Out + ".calibration")
	if err != nil || st.Size() < 10000 {
		t.Errorf("finished layers are not kept: %v, %v", st, err)
	}
	if err := run(-1); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(opt.Out); !bytes.Equal(got, want) {
		t.Error("a resumed conversion gives other bytes")
	}
	if _, err := os.Stat(opt.Out + ".calibration"); err == nil {
		t.Error("the finished layers are left behind")
	}
	opt.Mem = 16 << 20
	if _, err := convert.MakePlan(opt); !errors.Is(err, convert.ErrUsage) || !strings.Contains(err.Error(), "the widest layer needs") {
		t.Errorf("a cap of 16 MiB: %v", err)
	}
}

// HQQ and rotation read no text and sample none, differ from rounding to nearest, and
// give the same bytes for any number of threads and ISA level.
func TestWithoutText(t *testing.T) {
	file := func(opt convert.Options) []byte {
		t.Helper()
		opt.In, opt.References, opt.Out = "../testdata/stories260K", -1, filepath.Join(t.TempDir(), "m.qpt")
		p, err := convert.MakePlan(opt)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if c := p.Recipe.Calibration; opt.Algorithms != "" && (c.Samples != 0 || c.Length != 0 || c.Damp != 0 || p.Recipe.Preset == "fast") {
			t.Errorf("recipe %+v", c)
		}
		var stages []string
		r, err := p.Run(context.Background(), convert.Hooks{Stage: func(name string) { stages = append(stages, name) }})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(stages, []string{"weights", "finish"}) || r.Calibration != nil {
			t.Errorf("stages %v, calibrated on %v", stages, r.Calibration)
		}
		b, err := os.ReadFile(opt.Out)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var files [][]byte
	for _, algorithms := range []string{"", "hqq", "rotate", "rotate,hqq"} {
		opt := convert.Options{Scheme: "da8w4", Algorithms: algorithms, Threads: 2}
		want := file(opt)
		for _, other := range files {
			if bytes.Equal(other, want) {
				t.Errorf("%q: the bytes are those of another list", algorithms)
			}
		}
		files = append(files, want)
		isas := []cpu.ISA{cpu.Generic, cpu.AVX2}
		if testing.Short() { // with the race detector, which makes Go slow
			isas = isas[1:]
		}
		for _, isa := range isas {
			restore := cpu.SetMax(isa)
			opt.Threads = 3 - opt.Threads
			if !bytes.Equal(file(opt), want) {
				t.Errorf("%q, %v, %d threads: other bytes", algorithms, isa, opt.Threads)
			}
			restore()
		}
	}
	if bytes.Equal(file(convert.Options{Scheme: "da8w4", Algorithms: "rotate", Seed: 1}), files[2]) {
		t.Error("the signs do not depend on the seed")
	}
}

// Algorithms go together: every list makes a file that predicts no worse than rounding to nearest, says what
// it was made with, and has the same bytes for one thread and little memory; an interrupted conversion goes on to them.
func TestAlgorithmsTogether(t *testing.T) {
	ctx := context.Background()
	const text = "../testdata/text/tinystories_calib.jsonl"
	seqs := [][]int32{{1, 410, 430, 420, 299, 398, 261}, {1, 403, 407, 261, 378}}
	base, err := lm.Load(calibrated(t, convert.Options{Scheme: "f32"}), runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	kl := func(path string) float64 {
		m, err := lm.Load(path, runtime.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var d diff.Logits
		for _, ids := range seqs {
			want, err := base.Forward(ctx, ids)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Forward(ctx, ids)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(want); i += m.Vocab() {
				d.Add(want[i:i+m.Vocab()], got[i:i+m.Vocab()])
			}
		}
		return d.KL()
	}
	nearest := kl(calibrated(t, convert.Options{Scheme: "da8w4"}))
	lists := []string{
		"rotate,gptq,act-order,clip,descent,correct,bias", "bias", "clip,bias", "gptq,act-order", "rotate,scales,hqq,gptq,bias", "scales,clip,descent", "hqq,correct,descent",
	}
	if testing.Short() { // with the race detector
		lists = lists[:1]
	}
	for _, algorithms := range lists {
		opt := convert.Options{Scheme: "da8w4", Algorithms: algorithms, Calib: text, CalibSamples: 5, CalibLength: 50, Threads: 2}
		path := calibrated(t, opt)
		if got := kl(path); got > 1.2*nearest {
			t.Errorf("%s: KL %.4f, to nearest %.4f", algorithms, got, nearest)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := format.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		meta, err := f.Meta()
		f.Close()
		if err != nil || strings.Join(meta.Recipe.Calibration.Algorithms, ",") != algorithms || meta.Model.Parameters != 260032 {
			t.Errorf("%s: provenance %+v, %v", algorithms, meta, err)
		}
		opt.Threads, opt.Mem = 1, 70<<20
		if got, err := os.ReadFile(calibrated(t, opt)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes with one thread and little memory (%v)", algorithms, err)
		}
		if !strings.Contains(algorithms, "rotate") {
			continue
		}
		opt.In, opt.References, opt.Resume, opt.Out = "../testdata/stories260K", -1, true, filepath.Join(t.TempDir(), "m.qpt")
		for _, stopAt := range []int64{7, -1} {
			p, err := convert.MakePlan(opt)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(ctx)
			_, err = p.Run(ctx, convert.Hooks{Progress: func(done, _ int64) {
				if done == stopAt {
					cancel()
				}
			}})
			cancel()
			p.Close()
			if stopAt < 0 && err != nil || stopAt > 0 && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(opt.Out); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: resumed, other bytes (%v)", algorithms, err)
		}
	}
}
