package calibrate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"qpt/calibrate"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// uneven is a network with what channels may scale through (a residual sum, a depthwise and a grouped convolution, a pool, a concat and its parts, a gate, a flattened
// value) and what they may not (a sigmoid, the gate itself, the output), whose channels have ranges from 1/8 to 8.
func uneven(t *testing.T) (*graph.Graph, params, *calibrate.Rows) {
	b, src, rng := graph.NewBuilder(), params{}, rand.New(rand.NewPCG(3, 4))
	x := b.Input("x", graph.Float, b.Symbol("B"), 6, 6, 3)
	layer := func(name, in string, op graph.Op, shape ...int) string {
		size := 1
		for _, d := range shape {
			size *= d
		}
		w, bias := make([]float32, size), make([]float32, shape[0])
		for i := range w {
			w[i] = float32(rng.NormFloat64() * math.Exp2(float64(i*shape[0]/size%7-3)) / math.Sqrt(float64(size/shape[0])))
		}
		for i := range bias {
			bias[i] = float32(rng.NormFloat64()) / 4
		}
		src[name+".weight"], src[name+".bias"] = w, bias
		return b.Node(name, op, []string{in}, b.Param(name+".weight", shape...), b.Param(name+".bias", shape[0]))
	}
	relu := func(name, in string) string { return b.Node(name, graph.Unary{Func: "relu"}, []string{in}) }
	same := graph.Window{Pad: []int{1, 1, 1, 1}}
	a := relu("a.relu", layer("a", x, graph.Conv{Window: same}, 8, 3, 3, 3))
	d := layer("d", a, graph.Conv{Window: same, Groups: 8}, 8, 3, 3, 1)
	sum := relu("sum.relu", b.Binary("sum", "add", d, a))
	pool := b.Node("pool", graph.Pool{Func: "max", Kernel: []int{2, 2}, Window: graph.Window{Stride: []int{2, 2}}}, []string{sum})
	e := layer("e", pool, graph.Conv{Groups: 2}, 6, 1, 1, 4)
	cat := b.Node("cat", graph.Concat{Axis: 3}, []string{pool, relu("e.relu", e)})
	part := b.Node("part", graph.Slice{Axis: 3, From: 4, To: 14, Step: 2}, []string{cat})
	mean := b.Node("mean", graph.AdaptivePool{Func: "mean", Size: []int{1, 1}}, []string{part})
	gate := b.Node("gate", graph.Unary{Func: "sigmoid"}, []string{layer("g", mean, graph.Conv{}, 5, 1, 1, 5)})
	gated := b.Binary("gated", "mul", part, gate)
	flat := b.Node("flat", graph.Reshape{Shape: []graph.Dim{-1, 45}}, []string{gated})
	b.Output("y", layer("fc", flat, graph.Linear{}, 4, 45))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	const n = 20
	rows := &calibrate.Rows{N: n, Inputs: []calibrate.Named{{Name: "x", Tensor: graph.Tensor{Shape: []int{n, 6, 6, 3}, F: make([]float32, n*6*6*3)}}}}
	var base, slope float64
	for i := range rows.Inputs[0].F { // smooth, as pictures are
		if i%(6*6*3) == 0 {
			base, slope = rng.NormFloat64(), rng.NormFloat64()/18
		}
		rows.Inputs[0].F[i] = float32(base + slope*float64(i/3%6) + 0.05*rng.NormFloat64())
	}
	return g, src, rows
}

// values runs a network over all rows and returns what each node gives.
func values(t *testing.T, g *graph.Graph, src graph.Source, rows *calibrate.Rows) map[string]graph.Tensor {
	got := map[string]graph.Tensor{}
	if _, err := ref.Run(t.Context(), g, src, rows.Part(0, rows.N), ref.Options{Tap: func(n *graph.Node, _ int, _ []graph.Tensor, out graph.Tensor) {
		got[n.Out[0]] = graph.Tensor{Shape: out.Shape, F: append([]float32{}, out.F...)}
	}}); err != nil {
		t.Fatal(err)
	}
	return got
}

// The scaled network gives the same results, and each of its values is the other's divided by its scales; what may not scale does not.
func TestEqualize(t *testing.T) {
	g, src, rows := uneven(t)
	all := func(string) bool { return true }
	f, err := calibrate.Equalize(t.Context(), g, src, all, rows, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a.relu", "d", "sum", "pool", "e", "cat", "part", "mean", "gated", "flat"} {
		if f.Value[name] == nil {
			t.Errorf("value %s has no scales", name)
		}
	}
	for _, name := range []string{"x", "g", "gate", "fc", "y"} {
		if f.Value[name] != nil {
			t.Errorf("value %s is scaled", name)
		}
	}
	want, got := values(t, g, src, rows), values(t, g, f, rows)
	for name, x := range want {
		s, worst, top := f.Value[name], 0.0, 0.0
		for i, v := range x.F {
			y := got[name].F[i]
			if s != nil {
				y *= s[i%len(s)]
			}
			worst, top = max(worst, math.Abs(float64(v-y))), max(top, math.Abs(float64(v)))
		}
		if !(worst <= 1e-5*top) {
			t.Errorf("value %s is %.3g of its range away", name, worst/top)
		}
	}
	again, err := calibrate.Equalize(t.Context(), g, src, all, rows, 1)
	if err != nil || fmt.Sprint(again.Value, again.Col, again.Row) != fmt.Sprint(f.Value, f.Col, f.Row) {
		t.Errorf("another number of threads gives other scales: %v", err)
	}
	f, err = calibrate.Equalize(t.Context(), g, src, func(string) bool { return false }, rows, 2)
	if err != nil || len(f.Value) != 0 {
		t.Errorf("nothing is rounded, but %d values are scaled, %v", len(f.Value), err)
	}
}

// Rounded adaptively, the layers give results nearer to FP32's than rounded to nearest, in every kind of layer.
func TestRounding(t *testing.T) {
	g, src, rows := uneven(t)
	nearest := map[string][]float32{}
	for i := range g.Nodes {
		for _, m := range g.Nodes[i].Linears() {
			shape := g.ParamMap()[m.Weight].Shape
			nearest[m.Weight] = make([]float32, len(src[m.Weight]))
			k := len(src[m.Weight]) / shape[0]
			packed := calibrate.Nearest(src[m.Weight], k, calibrate.Target{Format: linear.I8})
			codes := make([]int8, k)
			for n := range shape[0] {
				linear.Row(packed, n, codes)
				for j, c := range codes {
					nearest[m.Weight][n*k+j] = float32(c) * packed.Scale[n]
				}
			}
		}
	}
	_, plain, err := calibrate.CorrectBiases(t.Context(), g, src, clone(nearest), nil, rows, nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []calibrate.Rounding{{Sweeps: 4}, {GPTQ: true, Sweeps: 4}, {GPTQ: true, Correct: true, Sweeps: 4}} {
		how.Weights = map[string]*linear.Weight{}
		_, sqnr, err := calibrate.CorrectBiases(t.Context(), g, src, clone(nearest), nil, rows, &how, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(how.Weights) != len(nearest) || sqnr < plain+1 {
			t.Errorf("gptq %v, correct %v: %.1f dB with %d of %d layers, to nearest %.1f", how.GPTQ, how.Correct, sqnr, len(how.Weights), len(nearest), plain)
		}
	}
}

func clone(m map[string][]float32) map[string][]float32 {
	c := map[string][]float32{}
	for name, v := range m {
		c[name] = append([]float32{}, v...)
	}
	return c
}
