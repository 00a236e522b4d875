package exec

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/internal/cpu"
)

// inCodes are weights of a network whose values named k.. and relu.. are kept as codes.
type inCodes struct{ *weights }

func (inCodes) Stored(value string) (scale float32, zero int32, ok bool) {
	if strings.HasPrefix(value, "relu") {
		return 1. / 32, 0, true
	}
	return 1. / 16, 120, strings.HasPrefix(value, "k")
}

// TestChains: convolutions that are made some lines at a time have the bits that each has alone, in float32 and in codes, for any number of pictures and threads, bands and chunks of any size.
func TestChains(t *testing.T) {
	defer func(a, b, c int) { chainBytes, bandBytes, chunkLines = a, b, c }(chainBytes, bandBytes, chunkLines)
	for seed := range uint64(8) {
		if seed == 6 {
			defer cpu.SetMax(cpu.AVX2)()
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		chainBytes, bandBytes, chunkLines = 1, 1+rng.IntN(20000), 1+rng.IntN(6)
		b := &builder{Builder: graph.NewBuilder(), rng: rng, x: tensors{}}
		images := b.Symbol("B")
		last, c := b.Input("x", graph.Float, images, graph.Dim(13+rng.IntN(20)), graph.Dim(9+rng.IntN(9)), 4), 4
		layer := func(i, n, k, stride int, depthwise bool, act string) {
			groups, each := 1, c
			if depthwise {
				groups, each, n = c, 1, c
			}
			pad := []int{k / 2, k / 2, k / 2, k / 2}
			if i < 2 {
				pad = []int{rng.IntN(k), rng.IntN(k), rng.IntN(k), rng.IntN(k)}
			}
			name := fmt.Sprintf("layer%d", i)
			op := graph.Conv{Window: graph.Window{Stride: []int{stride, stride}, Pad: pad}, Groups: groups}
			if act == "" && i != 5 {
				name = "k" + name
			}
			last = b.Node(name, op, []string{last}, b.param(name+".w", 0.5, n, k, k, each), b.param(name+".b", 0.3, n))
			if act == "silu" {
				act = "ksilu"
			}
			if act != "" {
				last = b.Node(act+name, graph.Unary{Func: strings.TrimPrefix(act, "k")}, []string{last})
			}
			c = n
		}
		acts := []string{"", "relu", "relu6", "silu"}
		act := func() string { return acts[rng.IntN(len(acts))] }
		layer(0, 8+rng.IntN(40), 3, 1+rng.IntN(2), false, act())
		layer(1, 0, 3, 1, true, acts[rng.IntN(3)])
		layer(2, 4+rng.IntN(20), 1, 1, false, "")
		short, n := last, c
		layer(3, 20+rng.IntN(60), 1, 1, false, act())
		if seed%2 == 0 {
			layer(4, 0, 3, 1, true, acts[rng.IntN(3)])
			layer(5, n, 1, 1, false, "")
			last = b.Binary("ksum", "add", last, short)
		} else {
			layer(4, 0, 5, 1+rng.IntN(2), true, act())
			layer(5, n, 1, 1, false, "")
		}
		layer(6, 70, 1, 1, false, "relu6")
		layer(7, 0, 3, 2, true, "")
		b.Output("y", b.Node("y", graph.Unary{Func: "neg"}, []string{last}))
		g := b.done(t)
		for _, scheme := range []string{"f32", "s8s8"} {
			var weights Weights = b.x.as(scheme)
			if scheme == "s8s8" {
				weights = inCodes{b.x.as(scheme)}
			}
			fused, plain := compile(t, g, weights, Options{}), compile(t, g, weights, Options{NoFuse: true})
			var plan bytes.Buffer
			if err := fused.Dump(&plan); err != nil {
				t.Fatal(err)
			}
			steps := 0
			for _, st := range fused.steps {
				if st, ok := st.(*chainStep); ok {
					steps += len(st.list)
				}
			}
			// AMX multiplies patches of integers by tiles, and no chain with them.
			if isa := cpu.Active(); (isa == cpu.AVX512 || isa == cpu.AMX && scheme == "f32") && steps < 7 {
				t.Errorf("%s: %d layers in chains:\n%s", scheme, steps, &plan)
			}
			for n := 1; n <= 3; n += 2 {
				shape := append([]int{n}, dims(g.Inputs[0].Shape[1:])...)
				in := graph.Tensor{Shape: shape, F: make([]float32, n*shape[1]*shape[2]*4)}
				for i := range in.F {
					in.F[i] = float32(rng.NormFloat64())
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
					same(t, fmt.Sprintf("seed %d, %s, %d pictures, %d threads", seed, scheme, n, threads), pass(fused, threads), want)
				}
			}
		}
	}
}

func dims(shape []graph.Dim) (list []int) {
	for _, d := range shape {
		list = append(list, int(d))
	}
	return list
}
