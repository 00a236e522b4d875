package convert

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"qpt/format"
)

// choose is as good as trying everything, for whole and for broken numbers.
func TestChoose(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	sum := func(x [][]float64, pick []int) (s float64) {
		for i, j := range pick {
			s += x[i][j]
		}
		return s
	}
	for round := range 200 {
		n := 1 + rng.IntN(5)
		cost, value := make([][]float64, n), make([][]float64, n)
		for i := range n {
			for range 1 + rng.IntN(4) {
				c := float64(rng.IntN(1000))
				if round%2 == 1 {
					c = rng.Float64()
				}
				cost[i], value[i] = append(cost[i], c), append(value[i], rng.Float64())
			}
		}
		all := [][]int{nil}
		for i := range n {
			var longer [][]int
			for _, p := range all {
				for j := range cost[i] {
					longer = append(longer, append(slices.Clone(p), j))
				}
			}
			all = longer
		}
		middle := all[rng.IntN(len(all))]
		budget := sum(cost, middle) * (1 + 1e-3)
		want := math.Inf(1)
		for _, p := range all {
			if sum(cost, p) <= sum(cost, middle) {
				want = min(want, sum(value, p))
			}
		}
		pick := choose(cost, value, budget)
		if pick == nil || sum(cost, pick) > budget || sum(value, pick) > want {
			t.Fatalf("round %d: %v for %v, want %v", round, sum(value, pick), budget, want)
		}
		least := (&knapsack{cost: cost}).least()
		if pick := choose(cost, value, least-1e-9); pick != nil {
			t.Fatalf("round %d: %v below the least %v", round, pick, least)
		}
		if pick := choose(cost, value, least); pick == nil || sum(cost, pick) > least+1e-9 {
			t.Fatalf("round %d: the least %v is not reached", round, least)
		}
	}
}

// mixPlan is a plan of the small trained model in which two layers take part.
func mixPlan(t *testing.T, opt Options) *Plan {
	t.Helper()
	if opt.Recipe == nil {
		opt.Overrides = append(opt.Overrides, Override{`layers\.[124]\.`, "a16w8"})
	}
	opt.In, opt.Calib, opt.Sensitivity = "../testdata/stories260K", "../testdata/text/tinystories_calib.jsonl", true
	opt.CalibSamples, opt.CalibLength, opt.References = 6, 48, -1
	opt.Out = filepath.Join(t.TempDir(), "m.qpt")
	p, err := MakePlan(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func sensitivity(t *testing.T, p *Plan, o SensitivityOptions) *Sensitivity {
	t.Helper()
	if o.Samples == 0 {
		o.Samples = 2
	}
	s, err := p.Sensitivity(context.Background(), o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A choice keeps within its size, is better than the same scheme everywhere,
// predicts what the file does, and stands in the file, whose recipe makes the same bytes again.
func TestMix(t *testing.T) {
	presets := []string{"fast", "balanced"}
	if testing.Short() {
		presets = presets[:1]
	}
	for _, preset := range presets {
		p := mixPlan(t, Options{Scheme: "da8w4", Preset: preset, Threads: 2})
		uniform := p.Bytes()
		s := sensitivity(t, p, SensitivityOptions{})
		if preset == "fast" && s.Ratio != 1 || preset == "balanced" && !(s.Ratio > 0.2 && s.Ratio < 2) {
			t.Errorf("%s: ratio %v", preset, s.Ratio)
		}
		even := s.Fixed
		for _, l := range s.Layers {
			even += l.Predict(l.Candidates[slices.IndexFunc(l.Candidates, func(c Candidate) bool { return c.Group == 32 })])
			if first, last := l.Candidates[0], l.Candidates[len(l.Candidates)-1]; len(l.Candidates) < 4 || first.Scheme != "da8w8" || first.KL > last.KL/5 || first.Bytes <= last.Bytes {
				t.Errorf("%s: %+v", preset, l)
			}
		}
		m, err := p.Mix(s, Target{Bytes: uniform})
		if err != nil {
			t.Fatal(err)
		}
		if p.Bytes() > uniform || m.KL >= even || m.Layers != 14 {
			t.Errorf("%s: %d bytes and KL %v, uniform %d and %v", preset, p.Bytes(), m.KL, uniform, even)
		}
		if _, err := p.Run(context.Background(), Hooks{}); err != nil {
			t.Fatal(err)
		}
		kl, err := p.Measure(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: KL %.4f predicted, %.4f measured, uniform %.4f", preset, m.KL, kl, even)
		if kl > 2*m.KL || kl < m.KL/2 {
			t.Errorf("%s: KL %v predicted, %v measured", preset, m.KL, kl)
		}
		f, err := format.Open(p.Opt.Out)
		if err != nil {
			t.Fatal(err)
		}
		meta, err := f.Meta()
		f.Close()
		mixed := meta.Recipe.Mixed
		if err != nil || len(meta.Recipe.Rules) != 14+1+2 || mixed == nil || mixed.Target == "" || !(mixed.PredictedKL > 0) || len(mixed.Calibration) != 64 {
			t.Errorf("%s: %+v, %v", preset, mixed, err)
		}
		if preset != "fast" {
			continue
		}
		meta.Recipe.Results = nil
		again := mixPlan(t, Options{Recipe: &meta.Recipe, Threads: 1})
		if !reflect.DeepEqual(again.Items, p.Items) {
			t.Error("the recipe gives other schemes")
		}
		p.Opt.Out = filepath.Join(t.TempDir(), "again.qpt")
		if _, err := again.Run(context.Background(), Hooks{}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Run(context.Background(), Hooks{}); err != nil {
			t.Fatal(err)
		}
		a, _ := os.ReadFile(p.Opt.Out)
		b, _ := os.ReadFile(again.Opt.Out)
		if !bytes.Equal(a, b) {
			t.Error("the recipe gives other bytes")
		}
	}
}

// Sensitivities do not depend on the number of threads; one measurement a
// matrix tells nearly the same; tables take part when asked to; time is measured.
func TestSensitivityOptions(t *testing.T) {
	sum := func(s *Sensitivity) (kl float64) {
		for _, l := range s.Layers {
			for _, c := range l.Candidates {
				kl += c.KL
			}
		}
		return kl
	}
	var all []*Sensitivity
	for threads := 1; threads <= 2; threads++ {
		all = append(all, sensitivity(t, mixPlan(t, Options{Scheme: "a16w4", Threads: threads}), SensitivityOptions{Samples: 1}))
	}
	if !reflect.DeepEqual(all[0].Layers, all[1].Layers) || all[0].Fixed != all[1].Fixed {
		t.Error("sensitivities depend on the number of threads")
	}
	if testing.Short() { // the rest shares no more
		return
	}
	p := mixPlan(t, Options{Scheme: "a16w4", Overrides: []Override{{"v_proj", "bf16"}}})
	s := sensitivity(t, p, SensitivityOptions{Samples: 1, One: true, Tables: true, Time: true})
	if len(s.Layers) != 13 || s.Layers[0].Name != "model.embed_tokens.weight" || s.Layers[0].Candidates[1].Scheme != "a16w6" {
		t.Errorf("%d matrices, first %+v", len(s.Layers), s.Layers[0])
	}
	s.Layers = s.Layers[1:]
	all[0].Layers = slices.DeleteFunc(all[0].Layers, func(l LayerSensitivity) bool { return strings.Contains(l.Name, "v_proj") })
	if r := sum(s) / sum(all[0]); r < 0.7 || r > 1.4 {
		t.Errorf("one measurement a matrix gives %.2f of the KL of all", r)
	}
	fast, slow := s.FixedSeconds, s.FixedSeconds
	for _, l := range s.Layers {
		lo, hi := math.Inf(1), 0.0
		for _, c := range l.Candidates {
			if !(c.Seconds > 0) {
				t.Errorf("%s: %+v", l.Name, c)
			}
			lo, hi = min(lo, c.Seconds), max(hi, c.Seconds)
		}
		fast, slow = fast+lo, slow+hi
	}
	target := (fast + slow) / 2
	if m, err := p.Mix(s, Target{Seconds: target}); err != nil || m.Seconds > target {
		t.Errorf("%+v, %v for %v", m, err, target)
	}
	q := mixPlan(t, Options{Scheme: "a16w4"})
	if m, err := q.Mix(all[1], Target{KL: all[1].Fixed + 0.01}); err != nil || m.KL > all[1].Fixed+0.01 || q.Bytes() >= mixPlan(t, Options{Scheme: "a16w8"}).Bytes() {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestMixErrors(t *testing.T) {
	p := mixPlan(t, Options{Scheme: "da8w4"})
	s := &Sensitivity{Ratio: 1, Fixed: 0.01, Layers: []LayerSensitivity{{Name: "model.layers.0.mlp.up_proj.weight", Ratio: 1, Candidates: []Candidate{{"da8w8", 0, 12000, 0.001, 2e-6}, {"da8w4", 32, 7000, 0.01, 1e-6}}}}}
	for _, c := range []struct {
		target Target
		want   string
	}{
		{Target{}, "wants a target"},
		{Target{Bits: 3}, "target of 3 bits per weight cannot be reached: the least is 7."},
		{Target{Bytes: 1000}, "target of 1000 bytes cannot be reached: the least is "},
		{Target{KL: 0.0105}, "target of KL 0.0105 cannot be reached: the least is a KL of 0.011"},
		{Target{Seconds: 1e-7}, "target of 0.0001 ms a token cannot be reached: the least is 0.001 ms"},
	} {
		if _, err := p.Mix(s, c.target); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.target, err, c.want)
		}
	}
	for _, c := range []struct {
		opt  Options
		want string
	}{
		{Options{Scheme: "bf16"}, "no matrix is left to choose for"},
		{Options{Scheme: "da8w4", Overrides: []Override{{"_proj", "da8w8"}}}, "no matrix is left to choose for"},
		{Options{Scheme: "s8s8"}, "take da8w4 or a16w4, not s8s8"},
	} {
		c.opt.Preset = "fast"
		if _, err := mixPlan(t, c.opt).Sensitivity(context.Background(), SensitivityOptions{}, Hooks{}); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.opt, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, target := range []Target{{Bits: 3}, {Bytes: 1000}, {Seconds: 1e-12}} { // before any work, which ctx would end
		if _, err := p.Sensitivity(ctx, SensitivityOptions{Target: target}, Hooks{}); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "cannot be reached: the least is") {
			t.Errorf("%v: %v", target, err)
		}
	}
	if _, err := p.Sensitivity(ctx, SensitivityOptions{Target: Target{Bits: 9}}, Hooks{}); !errors.Is(err, context.Canceled) {
		t.Errorf("within reach: %v", err)
	}
	if _, err := p.Sensitivity(ctx, SensitivityOptions{}, Hooks{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
