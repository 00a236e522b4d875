package calibrate

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"qpt/convert/hf"
	"qpt/convert/safetensors/sttest"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/diff"
	"qpt/runtime/lm/tokenizer"
	"qpt/runtime/ref"
)

// stories is the small trained model with some texts: to calibrate with, and others.
func stories(t *testing.T) (g *graph.Graph, src graph.Source, calib, held [][]int32) {
	t.Helper()
	const dir = "../testdata/stories260K"
	m, err := hf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := sttest.Open(t, dir)
	data, err := os.ReadFile(dir + "/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(dir + "/tokenizer_config.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(data, conf)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"calib", "eval"} {
		text, err := os.ReadFile("../testdata/text/tinystories_" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		ids, err := tok.Encode(context.Background(), string(text[:6000]), false)
		if err != nil {
			t.Fatal(err)
		}
		for len(ids) > 100 {
			s := append([]int32{1}, ids[:99]...)
			ids = ids[99:]
			if i == 0 && len(calib) < 12 {
				calib = append(calib, s)
			} else if i == 1 && len(held) < 4 {
				held = append(held, s)
			}
		}
	}
	return m.Graph, c, calib, held
}

func projections(f linear.Format) func(string) (Target, bool) {
	return func(p string) (Target, bool) {
		return Target{Format: f, Group: 32, Form: linear.A8}, strings.HasSuffix(p, "_proj.weight")
	}
}

// packed is a source that reads some parameters from packed weights.
type packed struct {
	graph.Source
	w map[string]*linear.Weight
}

func (p packed) ReadRows(name string, r0, r1 int, dst []float32) error {
	if w := p.w[name]; w != nil {
		for _, row := range dequantize(w)[r0:r1] {
			dst = dst[copy(dst, row):]
		}
		return nil
	}
	return p.Source.ReadRows(name, r0, r1, dst)
}

// compare returns the KL of the logits of two sources.
func compare(t *testing.T, g *graph.Graph, a, b graph.Source, seqs [][]int32) *diff.Logits {
	t.Helper()
	var in []ref.Seq
	for _, ids := range seqs {
		in = append(in, ref.Seq{IDs: ids})
	}
	x, err := ref.Logits(context.Background(), g, a, in, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := ref.Logits(context.Background(), g, b, in, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var d diff.Logits
	for i := range x {
		for r := range seqs[i] {
			d.Add(x[i].Row(r), y[i].Row(r))
		}
	}
	return &d
}

// nearest rounds the targets without calibration.
func nearestWeights(t *testing.T, g *graph.Graph, src graph.Source, target func(string) (Target, bool)) map[string]*linear.Weight {
	t.Helper()
	out := map[string]*linear.Weight{}
	for _, p := range g.Params {
		if tg, ok := target(p.Name); ok {
			n, k := p.Shape[0], p.Shape[1]
			w := make([]float32, n*k)
			if err := src.ReadRows(p.Name, 0, n, w); err != nil {
				t.Fatal(err)
			}
			j := job{w: rowsOf(w, k), k: k, format: tg.Format, group: tg.Group, threads: 2}
			out[p.Name] = j.round()
		}
	}
	return out
}

// Scaling every foldable site by numbers from 1/8 to 8 leaves the FP32 logits as they are.
func TestFoldKeepsTheFunction(t *testing.T) {
	g, src, _, held := stories(t)
	f := &Folded{Source: src, Row: map[string][]float32{}, Col: map[string][]float32{}, Value: map[string][]float32{}}
	r := rand.New(rand.NewPCG(1, 1))
	kinds := map[string]int{}
	want := func(p string) bool { return strings.HasSuffix(p, "_proj.weight") }
	for _, s := range sites(g, want) {
		if !s.foldable() {
			t.Errorf("site %s cannot be folded", s.value)
			continue
		}
		scales := make([]float32, s.k)
		for i := range scales {
			scales[i] = float32(math.Exp2(6*r.Float64() - 3))
			for j := range i {
				if s.from != nil && s.from[j] == s.from[i] {
					scales[i] = scales[j]
				}
			}
		}
		f.fold(s, scales)
		kinds[s.value[strings.LastIndexByte(s.value, '.')+1:]]++
	}
	if len(kinds) != 4 {
		t.Errorf("sites %v, want four a block", kinds)
	}
	if d := compare(t, g, src, f, held[:2]); d.SQNR() < 90 {
		t.Errorf("SQNR of the logits %.1f dB", d.SQNR())
	}
	// Not folded at one place: the test must see it.
	delete(f.Row, "model.layers.2.self_attn.v_proj.weight")
	if d := compare(t, g, src, f, held[:2]); d.SQNR() > 40 {
		t.Errorf("a missing scale goes unnoticed: %.1f dB", d.SQNR())
	}
}

// Calibrated int4 on texts never seen: much less KL than round-to-nearest;
// equal results for any number of threads.
func TestRunImproves(t *testing.T) {
	g, src, calib, held := stories(t)
	target := projections(linear.I4)
	base := compare(t, g, src, packed{src, nearestWeights(t, g, src, target)}, held).KL()
	opt := Options{Seqs: calib, Target: target, GPTQ: true, Sweeps: 4, Correct: true, Threads: 2}
	res, err := Run(context.Background(), g, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	kl := compare(t, g, src, packed{res.Source, res.Weights}, held).KL()
	t.Logf("KL %.5f, to nearest %.5f", kl, base)
	if kl > 0.75*base {
		t.Errorf("KL %v of %v", kl, base)
	}
	opt.Seqs, opt.Threads = calib[:2], 1
	again, err := Run(context.Background(), g, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	opt.Threads = 2
	if res, err = Run(context.Background(), g, src, opt); err != nil {
		t.Fatal(err)
	}
	for name, w := range res.Weights {
		v := again.Weights[name]
		if !bytes.Equal(w.Data, v.Data) || !bytes.Equal(w.Groups, v.Groups) || w.Scale[0] != v.Scale[0] {
			t.Errorf("%s depends on the number of threads", name)
		}
	}
}

// A model with outlier channels: the same function, but rounding hurts it.
// The scale search must win most of it back.
func TestScalesAgainstOutliers(t *testing.T) {
	g, src, calib, held := stories(t)
	hurt := &Folded{Source: src, Row: map[string][]float32{}, Col: map[string][]float32{}, Value: map[string][]float32{}}
	target := func(p string) (Target, bool) {
		t, ok := projections(linear.I4)(p)
		return t, ok && (strings.Contains(p, "layers.0.") || strings.Contains(p, "layers.3."))
	}
	for _, s := range sites(g, func(p string) bool { _, ok := target(p); return ok }) {
		scales := make([]float32, s.k)
		for i := range scales {
			scales[i] = 1
			if s.norm != "" && i%13 == 5 {
				scales[i] = 1. / 32
			}
		}
		hurt.fold(s, scales)
	}
	base := compare(t, g, src, packed{src, nearestWeights(t, g, src, target)}, held).KL()
	bad := compare(t, g, src, packed{hurt, nearestWeights(t, g, hurt, target)}, held).KL()
	res, err := Run(context.Background(), g, hurt, Options{Seqs: calib, Target: target, Scales: true})
	if err != nil {
		t.Fatal(err)
	}
	kl := compare(t, g, src, packed{res.Source, res.Weights}, held).KL()
	t.Logf("KL %.4f, with outliers %.4f, with scales %.4f", base, bad, kl)
	if bad < 1.5*base {
		t.Errorf("the outliers do no harm: %v, without %v", bad, base)
	}
	if won := (bad - kl) / (bad - base); won < 0.8 {
		t.Errorf("scales win back %.0f %% of the harm", 100*won)
	}
}

func TestRunErrors(t *testing.T) {
	g, src, calib, _ := stories(t)
	if _, err := Run(context.Background(), g, src, Options{Target: projections(linear.I4)}); err == nil || !strings.Contains(err.Error(), "no calibration text") {
		t.Errorf("no text: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, g, src, Options{Seqs: calib[:1], Target: projections(linear.I4), Correct: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	stop := func(int, int) { cancel() }
	if res, err := Run(ctx, g, src, Options{Seqs: calib[:1], Target: projections(linear.I4), Correct: true, Progress: stop}); !errors.Is(err, context.Canceled) || res != nil {
		t.Errorf("cancelled on the way: %v", err)
	}
	bad := &Folded{Source: src, Col: map[string][]float32{"model.layers.1.input_layernorm.weight": make([]float32, 64)}}
	bad.Col["model.layers.1.input_layernorm.weight"][3] = float32(math.Inf(1))
	if _, err := Run(context.Background(), g, bad, Options{Seqs: calib[:1], Target: projections(linear.I4), GPTQ: true}); err == nil || !strings.Contains(err.Error(), "layers.1.self_attn.q_proj") {
		t.Errorf("an activation overflows: %v", err)
	}
}
