package calibrate

import (
	"context"
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
	"qpt/runtime/ref"
)

// biasRows is how many rows biases are corrected on: all walk at once, so there are fewer where the largest value of a row is more than 2^18 numbers.
func biasRows(g *graph.Graph) int {
	largest := 1
	for _, v := range g.Values {
		n := 1
		for _, d := range v.Shape[1:] {
			n *= int(d)
		}
		largest = max(largest, n)
	}
	return min(max((1<<24)/largest, 16), 64)
}

// Codes is how a value is kept: Stored for all that read it, else for layers alone.
type Codes struct {
	Static
	Stored bool
}

// CorrectBiases finds what the biases of a network on tensors lack when weights and values are rounded: for each layer, in order, the mean of its result by
// channel in FP32 less that of the rounded network with the biases before it corrected. rounded gives the weights as they will be, true for those that are; a layer that
// shares its bias or weight, or has no bias, stays as it is. With how the weights of each layer are rounded as it says when its turn comes, in place of those of rounded. sqnr is that of the results on the rows used, the least of the outputs. Rows are evenly spaced, each walks alone, so the result does not depend on what the graph takes at a time.
func CorrectBiases(ctx context.Context, g *graph.Graph, src graph.Source, rounded map[string][]float32, values []Codes, rows *Rows, how *Rounding, threads int) (added map[string][]float32, sqnr float64, err error) {
	at := 1
	for _, in := range g.Inputs {
		at = max(at, int(in.Shape[0]))
	}
	if rows.N%at != 0 {
		return nil, 0, fmt.Errorf("calibrate: %d rows of calibration data: the graph takes %d at a time", rows.N, at)
	}
	codes, uses := map[string]Codes{}, map[string]int{}
	for _, v := range values {
		codes[v.Value] = v
	}
	for _, n := range g.Nodes {
		for _, p := range n.Params {
			uses[p]++
		}
	}
	var exact, quantized []*ref.Walk
	count := min(rows.N/at, max(biasRows(g)/at, 1))
	weights := &kept{Source: src, read: map[string][]float32{}}
	for i := range count {
		r := i * (rows.N / at) / count * at
		for _, part := range []struct {
			list *[]*ref.Walk
			src  graph.Source
		}{{&exact, weights}, {&quantized, roundedSource{weights, rounded}}} {
			w, err := ref.Start(g, part.src, rows.Part(r, r+at), ref.Options{Threads: threads, Dot: linear.MatMul()})
			if err != nil {
				return nil, 0, err
			}
			*part.list = append(*part.list, w)
		}
	}
	added = map[string][]float32{}
	layers, shapes := layersOf(g), g.ValueMap()
	for i := range g.Nodes {
		n := &g.Nodes[i]
		m := n.Linears()
		layer := len(m) == 1 && rounded[m[0].Weight] != nil
		if l := layers[i]; layer && how != nil && l != nil {
			inputs := func(walks []*ref.Walk, through bool) (list []input) {
				for _, w := range walks {
					x := w.Value(l.Input)[0]
					if v, ok := codes[l.Input]; ok && through && !v.Stored {
						x.F = v.through(x.F)
					}
					out := graph.Tensor{Shape: slices.Clone(x.Shape[:1])}
					for _, d := range shapes[n.Out[0]].Shape[1:] {
						out.Shape = append(out.Shape, int(d))
					}
					list = append(list, input{x, out})
				}
				return list
			}
			values := make([]float32, len(rounded[l.Weight]))
			if err := weights.ReadRows(l.Weight, 0, l.shape[0], values); err != nil {
				return nil, 0, err
			}
			w, err := how.round(l, values, inputs(exact, false), inputs(quantized, true), threads)
			if err != nil {
				return nil, 0, err
			}
			how.Weights[l.Weight] = w
			rounded[l.Weight] = slices.Concat(dequantize(w)...)
		}
		for _, w := range exact {
			if err := w.Advance(ctx, i+1); err != nil {
				return nil, 0, err
			}
		}
		for _, w := range quantized {
			var x *graph.Tensor
			var whole []float32 // what others than this layer read
			if layer {
				if v, ok := codes[m[0].Input]; ok && !v.Stored {
					x = &w.Value(v.Value)[0]
					whole, x.F = x.F, v.through(x.F)
				}
			}
			if err := w.Advance(ctx, i+1); err != nil {
				return nil, 0, err
			}
			if x != nil {
				x.F = whole
			}
		}
		out := n.Out[0]
		if layer && m[0].Bias != "" && uses[m[0].Bias] == 1 && uses[m[0].Weight] == 1 && exact[0].Value(out) != nil {
			b := meanDifference(exact, quantized, out)
			for _, w := range quantized {
				y := w.Value(out)[0].F
				for j := range y {
					y[j] += b[j%len(b)]
				}
			}
			added[m[0].Bias] = b
		}
		for _, name := range n.Out {
			if v, ok := codes[name]; ok && v.Stored {
				for _, w := range quantized {
					if list := w.Value(name); list != nil {
						list[0].F = v.through(list[0].F)
					}
				}
			}
		}
	}
	return added, leastSQNR(g, exact, quantized), nil
}

// leastSQNR is that of the outputs, in dB.
func leastSQNR(g *graph.Graph, exact, quantized []*ref.Walk) float64 {
	least := math.Inf(1)
	for _, name := range g.Outputs {
		var e quant.Error
		for i, w := range exact {
			y := quantized[i].Value(name)[0].F
			for j, v := range w.Value(name)[0].F {
				d := float64(v) - float64(y[j])
				e.Signal += float64(v) * float64(v)
				e.Noise += d * d
			}
		}
		if e.Noise > 0 {
			least = min(least, e.SQNR())
		}
	}
	return least
}

// meanDifference is the mean of a value's channels in some walks less that in others, shrunk by what of its square is explained by the few rows that it
// was taken on: 1 - (sum of the variances of the means) / (sum of their squares), at least 0 (James and Stein 1961).
func meanDifference(exact, quantized []*ref.Walk, name string) []float32 {
	shape := exact[0].Value(name)[0].Shape
	channels := shape[len(shape)-1]
	sum, squares := make([]float64, channels), make([]float64, channels)
	for i := range exact {
		x, y := exact[i].Value(name)[0].F, quantized[i].Value(name)[0].F
		one := make([]float64, channels)
		for j, v := range x {
			one[j%channels] += float64(v) - float64(y[j])
		}
		for c, v := range one {
			v /= float64(len(x) / channels)
			sum[c] += v
			squares[c] += v * v
		}
	}
	n := float64(len(exact))
	var variances, means float64
	for c, s := range sum {
		sum[c] = s / n
		means += sum[c] * sum[c]
		variances += max(squares[c]/n-sum[c]*sum[c], 0) / max(n-1, 1)
	}
	b := make([]float32, channels)
	for c, m := range sum {
		b[c] = float32(m * max(1-variances/max(means, 1e-300), 0))
	}
	return b
}

// through is x as its codes say.
func (v Codes) through(x []float32) []float32 {
	y, inv := slices.Clone(x), 1/v.Scale
	for i, f := range y {
		f = min(max(f*inv, float32(-v.Zero)), float32(255-v.Zero))
		y[i] = float32(num.RoundEven(f)) * v.Scale
	}
	return y
}

// roundedSource gives some params as they are rounded.
type roundedSource struct {
	graph.Source
	rounded map[string][]float32
}

// ReadRows implements graph.Source.
func (s roundedSource) ReadRows(name string, r0, r1 int, dst []float32) error {
	if v := s.rounded[name]; v != nil {
		copy(dst, v[len(dst)/(r1-r0)*r0:])
		return nil
	}
	return s.Source.ReadRows(name, r0, r1, dst)
}
