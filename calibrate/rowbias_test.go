package calibrate_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/calibrate"
	"qpt/format/graph"
)

// params is a source of parameters in memory.
type params map[string][]float32

func (p params) ReadRows(name string, r0, r1 int, dst []float32) error {
	copy(dst, p[name][len(dst)/(r1-r0)*r0:])
	return nil
}

// TestCorrectBiases: two layers, whose first is rounded by a known amount and whose second reads codes: the first's bias gets what the mean of its inputs makes of
// that, the second's what codes that end too early leave out; the same from a graph that takes one row at a time; nothing where weights are exact.
func TestCorrectBiases(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const k, n, rows = 6, 5, 40
	src := params{"a.w": make([]float32, n*k), "a.b": make([]float32, n), "b.w": make([]float32, n*n), "b.b": make([]float32, n)}
	for _, name := range []string{"a.w", "b.w", "a.b"} {
		for i := range src[name] {
			src[name][i] = float32(rng.NormFloat64())
		}
	}
	off := slices.Clone(src["a.w"])
	for i := range off {
		off[i] += float32(i%n) * 0.01
	}
	x := calibrate.Rows{N: rows, Inputs: []calibrate.Named{{Name: "x", Tensor: graph.Tensor{Shape: []int{rows, k}, F: make([]float32, rows*k)}}}}
	mean := make([]float64, k)
	for i := range x.Inputs[0].F {
		x.Inputs[0].F[i] = 3 + float32(i%k) + 0.01*float32(rng.NormFloat64())
	}
	for i := range rows {
		for j := range mean {
			mean[j] += float64(x.Inputs[0].F[i*k+j]) / rows
		}
	}
	var first map[string][]float32
	for _, batch := range []graph.Dim{-1, 1} {
		b := graph.NewBuilder()
		if d := b.Symbol("B"); batch < 0 {
			batch = d
		}
		b.Input("x", graph.Float, batch, k)
		h := b.Linear("a", "x", b.Param("a.w", n, k), b.Param("a.b", n))
		b.Output("y", b.Linear("b", h, b.Param("b.w", n, n), b.Param("b.b", n)))
		g, err := b.Graph()
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := calibrate.CorrectBiases(t.Context(), g, src, map[string][]float32{"a.w": off, "b.w": src["b.w"]},
			[]calibrate.Codes{{Static: calibrate.Static{Value: "a", Scale: 1e-4, Zero: 128}}}, &x, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got["a.b"] {
			want := 0.0
			for j, m := range mean {
				want -= float64(float32((i*k+j)%n)*0.01) * m
			}
			if math.Abs(float64(v)-want) > 1e-3 {
				t.Errorf("bias %d gets %v, want %.4f", i, v, want)
			}
		}
		top := float32(0)
		for _, v := range got["b.b"] {
			top = max(top, v, -v)
		}
		if top < 0.1 { // codes of -0.0128 to 0.0127 leave out nearly all
			t.Errorf("the second layer gets %v", got["b.b"])
		}
		if first == nil {
			first = got
		} else if !slices.Equal(first["a.b"], got["a.b"]) || !slices.Equal(first["b.b"], got["b.b"]) {
			t.Errorf("one row at a time: %v, together %v", got, first)
		}
		if got, _, err = calibrate.CorrectBiases(t.Context(), g, src, map[string][]float32{"a.w": src["a.w"]}, nil, &x, nil, 1); err != nil || slices.ContainsFunc(got["a.b"], func(v float32) bool { return v != 0 }) {
			t.Errorf("exact weights: %v, %v", got, err)
		}
	}
}
