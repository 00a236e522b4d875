package exec

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"qpt/format/graph"
	"qpt/internal/cpu"
)

// TestWinograd: layers of 3 x 3 on codes have the bits that each has alone, for any number of pictures and threads, those with a sum and those that a concat reads too, and take fewer products
// where there are kernels for that.
func TestWinograd(t *testing.T) {
	for _, isa := range levels(t) {
		restore := cpu.SetMax(isa)
		rng := rand.New(rand.NewPCG(5, uint64(isa)))
		b := &builder{Builder: graph.NewBuilder(), rng: rng, x: tensors{}}
		images := b.Symbol("B")
		x := b.Input("x", graph.Float, images, 23, 16, 16)
		layer := func(name, x string, c, n, k int, act string) string {
			pad := []int{k / 2, k / 2, k / 2, k / 2}
			y := b.Node(name, graph.Conv{Window: graph.Window{Stride: []int{1, 1}, Pad: pad}, Groups: 1}, []string{x}, b.param(name+".w", 0.3, n, k, k, c), b.param(name+".b", 0.3, n))
			if act == "" {
				return y
			}
			return b.Node(act+name, graph.Unary{Func: act}, []string{y})
		}
		one := layer("one", x, 16, 64, 1, "relu")
		two := layer("two", one, 64, 64, 3, "relu")
		sum := b.Node("relusum", graph.Unary{Func: "relu"}, []string{b.Binary("ksum", "add", layer("three", two, 64, 64, 3, ""), one)})
		joined := b.Node("relujoin", graph.Concat{Axis: 3}, []string{layer("four", sum, 64, 48, 3, "relu"), layer("five", sum, 64, 24, 3, "relu")})
		b.Output("y", layer("six", joined, 72, 40, 1, ""))
		g := b.done(t)
		fused, plain := compile(t, g, inCodes{b.x.as("s8s8")}, Options{}), compile(t, g, inCodes{b.x.as("s8s8")}, Options{NoFuse: true})
		for _, n := range []int{1, 3, 8} {
			in := graph.Tensor{Shape: []int{n, 23, 16, 16}, F: make([]float32, n*23*16*16)}
			for i := range in.F {
				in.F[i] = float32(rng.NormFloat64())
			}
			pass := func(p *Program, threads int, in graph.Tensor) []float32 {
				ws := NewWorkspace(threads)
				defer ws.Close()
				out, err := p.Run(context.Background(), ws, &graph.Batch{Inputs: map[string]graph.Tensor{"x": in}})
				if err != nil {
					t.Fatal(err)
				}
				fewer := 0
				for _, st := range p.steps {
					if st, ok := st.(*convStep); ok {
						if _, _, items, ok := st.tiled(ws.frame(p)); ok && items > 0 {
							fewer++
						}
					}
				}
				if isa == cpu.AVX512 && p == fused && n == 8 && fewer < 2 {
					t.Errorf("%s: %d layers take fewer products", isa, fewer)
				}
				return append([]float32(nil), out[0].F...)
			}
			var want []float32 // picture by picture
			for i := range n {
				part := graph.Tensor{Shape: []int{1, 23, 16, 16}, F: in.F[i*23*16*16:][:23*16*16]}
				want = append(want, pass(plain, 1, part)...)
			}
			for threads := 1; threads <= 3; threads++ {
				same(t, fmt.Sprintf("%s, %d pictures, %d threads", isa, n, threads), pass(fused, threads, in), want)
			}
		}
		restore()
	}
}
