package exec

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/internal/cpu"
)

// TestPictures: layers that write into a concat, means in parts and a gate that a pointwise layer multiplies its input by have the bits that
// each op has alone, for any number of pictures and threads.
func TestPictures(t *testing.T) {
	b := &builder{Builder: graph.NewBuilder(), rng: rand.New(rand.NewPCG(7, 7)), x: tensors{}}
	images := b.Symbol("B")
	layer := func(name, x string, n, k, c int) string {
		window := graph.Window{Pad: []int{k / 2, k / 2, k / 2, k / 2}}
		return b.Node(name, graph.Conv{Window: window}, []string{x}, b.param(name+".w", 0.3, n, k, k, c), b.param(name+".b", 0.3, n))
	}
	unary := func(name, f, x string) string { return b.Node(name, graph.Unary{Func: f}, []string{x}) }
	x := b.Input("x", graph.Float, images, 23, 19, 40)
	one := unary("relu", "relu", layer("one", x, 24, 1, 40))
	three := layer("three", x, 20, 3, 40)
	all := b.Node("all", graph.Concat{Axis: 3}, []string{one, x, three})
	mean := b.Node("mean", graph.AdaptivePool{Func: "mean", Size: []int{1, 1}}, []string{all})
	gated := b.Binary("gated", "mul", all, unary("gate", "sigmoid", layer("squeeze", mean, 84, 1, 84)))
	b.Output("y", unary("silu", "silu", layer("last", gated, 50, 1, 84)))
	g := b.done(t)
	w := b.x.as("f32")
	fused, plain := compile(t, g, w, Options{}), compile(t, g, w, Options{NoFuse: true})
	var plan bytes.Buffer
	if err := fused.Dump(&plan); err != nil {
		t.Fatal(err)
	}
	direct := strings.Contains(plan.String(), "of mul of")
	for n := 1; n <= 5; n += 4 {
		in := graph.Tensor{Shape: []int{n, 23, 19, 40}, F: make([]float32, n*23*19*40)}
		for i := range in.F {
			in.F[i] = float32(b.rng.NormFloat64())
		}
		pass := func(p *Program, threads int) []float32 {
			ws := NewWorkspace(threads)
			defer ws.Close()
			out, err := p.Run(context.Background(), ws, &graph.Batch{Inputs: map[string]graph.Tensor{"x": in}})
			if err != nil {
				t.Fatal(err)
			}
			return append([]float32(nil), out[0].F...)
		}
		want := pass(plain, 1)
		for threads := 1; threads <= 3; threads++ {
			same(t, "pictures", pass(fused, threads), want)
		}
	}
	if cpu.Active() >= cpu.AVX2 && !direct {
		t.Errorf("no layer makes its own input:\n%s", &plan)
	}
}
