package calibrate

import (
	"context"
	"math"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// resultMeans are the means over all tokens of the results of the layers that want accepts, and their root mean squares.
func resultMeans(t *testing.T, g *graph.Graph, src graph.Source, seqs [][]int32, want func(string) (Target, bool)) (mean map[string][]float64, rms map[string]float64) {
	t.Helper()
	mean, rms = map[string][]float64{}, map[string]float64{}
	var in []ref.Seq
	tokens := 0
	for _, ids := range seqs {
		in = append(in, ref.Seq{IDs: ids})
		tokens += len(ids)
	}
	tap := func(n *graph.Node, _ int, _ []graph.Tensor, out graph.Tensor) {
		if _, ok := n.Op.(graph.Linear); !ok {
			return
		}
		if _, ok := want(n.Params[0]); !ok {
			return
		}
		k := out.Shape[1]
		if mean[n.Name] == nil {
			mean[n.Name] = make([]float64, k)
		}
		for i, v := range out.F {
			mean[n.Name][i%k] += float64(v) / float64(tokens)
			rms[n.Name] += float64(v) * float64(v) / float64(tokens*k)
		}
	}
	if _, err := ref.Logits(context.Background(), g, src, in, ref.Options{Tap: tap}); err != nil {
		t.Fatal(err)
	}
	for name, v := range rms {
		rms[name] = math.Sqrt(v)
	}
	return mean, rms
}

// On the calibration text, the means of all results become those of the FP32 model; without it they are off.
func TestBias(t *testing.T) {
	plain, src, calib, held := stories(t)
	calib = calib[:4]
	target := projections(linear.I4)
	g, src, err := WithBiases(plain, src, func(p string) bool { _, ok := target(p); return ok })
	if err != nil {
		t.Fatal(err)
	}
	if d := compare(t, g, src, src, held[:1]); !math.IsInf(d.SQNR(), 1) || len(g.Params) != len(plain.Params)+35 || plain.Nodes[2].Params[1] != "" {
		t.Errorf("biases of zeros: %d parameters, were %d; %v dB", len(g.Params), len(plain.Params), d.SQNR())
	}
	want, rms := resultMeans(t, g, src, calib, target)
	off := func(opt Options) (worst float64) {
		opt.Seqs, opt.Target, opt.Threads = calib, target, 2
		res, err := Run(context.Background(), g, src, opt)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := resultMeans(t, g, packed{res.Source, res.Weights}, calib, target)
		for name := range want {
			for i, v := range want[name] {
				worst = max(worst, math.Abs(got[name][i]-v)/rms[name])
			}
		}
		return worst
	}
	for _, opt := range []Options{{}, {GPTQ: true, Sweeps: 2, Correct: true}} {
		without := off(opt)
		opt.Bias = true
		with := off(opt)
		t.Logf("means are off by %.2g of the rms at most, with biases %.2g", without, with)
		if with > 2e-3 || without < 20*with { // of passes whose products are of 14 bits
			t.Errorf("means are off by %v of the rms, with biases %v", without, with)
		}
	}
	if _, err := Run(context.Background(), plain, src, Options{Seqs: calib, Target: target, Bias: true}); err == nil || !strings.Contains(err.Error(), "layers.0.self_attn.q_proj has no bias to correct") {
		t.Errorf("no bias in the graph: %v", err)
	}
	taken := *plain
	taken.Params = append(taken.Params[:len(taken.Params):len(taken.Params)], graph.Param{Name: "model.layers.0.self_attn.q_proj.bias", Shape: []int{64}})
	if _, _, err := WithBiases(&taken, src, func(string) bool { return true }); err == nil || !strings.Contains(err.Error(), "there is a tensor") {
		t.Errorf("the name is taken: %v", err)
	}
}
