package calibrate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"qpt/format/graph"
	"qpt/kernels/linear"
)

// Bias correction: what a layer's result lacks on the mean, E[W y] - E[Wq x] with the FP32
// model's inputs y and the rounded model's x, goes to its bias. So the integers need not look after
// the means: all other algorithms see x and y less theirs (moments.centre).

// bias is what is to be added to the bias of the reader with this weight of a site with means m, rounded to w.
func (c *calibration) bias(weight string, m *moments, w *linear.Weight, scales []float32) ([]float32, error) {
	b := make([]float32, w.N)
	const rows = 64
	errs := make([]error, (w.N+rows-1)/rows)
	tiles(c.opt.Threads, w.N, rows, func(n0, n1 int) {
		q, exact := make([]float32, (n1-n0)*w.K), make([]float32, (n1-n0)*w.K)
		Dequantize(q, w, n0, n1)
		errs[n0/rows] = c.src.ReadRows(weight, n0, n1, exact)
		for i := range b[n0:n1] {
			sum := 0.0
			for k, v := range q[i*w.K : (i+1)*w.K] {
				if scales != nil {
					v /= scales[k]
				}
				sum += float64(float64(exact[i*w.K+k])*m.exact[k]) - float64(float64(v)*m.mean[k])
			}
			b[n0+i] = float32(sum)
		}
	})
	return b, errors.Join(errs...)
}

// WithBiases gives a bias of zeros to every linear layer whose weight want accepts and that has none: "x.bias" for "x.weight".
func WithBiases(g *graph.Graph, src graph.Source, want func(param string) bool) (*graph.Graph, graph.Source, error) {
	out, zero := *g, zeros{src, map[string]bool{}}
	out.Nodes, out.Params = slices.Clone(g.Nodes), nil
	params := g.ParamMap()
	added := map[string]graph.Param{} // by weight
	for i := range out.Nodes {
		n := &out.Nodes[i]
		if _, ok := n.Op.(graph.Linear); !ok || n.Params[1] != "" || !want(n.Params[0]) {
			continue
		}
		weight := params[n.Params[0]]
		name := strings.TrimSuffix(weight.Name, ".weight") + ".bias"
		if _, ok := params[name]; ok || zero.names[name] {
			return nil, nil, fmt.Errorf("calibrate: %s has no bias, but there is a tensor %q already", n.Name, name)
		}
		n.Params = []string{weight.Name, name}
		zero.names[name], added[weight.Name] = true, graph.Param{Name: name, Shape: weight.Shape[:1]}
	}
	for _, p := range g.Params {
		out.Params = append(out.Params, p)
		if b, ok := added[p.Name]; ok {
			out.Params = append(out.Params, b)
		}
	}
	return &out, zero, out.Verify()
}

// zeros is a source with some parameters more.
type zeros struct {
	graph.Source
	names map[string]bool
}

// ReadRows implements graph.Source.
func (z zeros) ReadRows(name string, r0, r1 int, dst []float32) error {
	if z.names[name] {
		clear(dst)
		return nil
	}
	return z.Source.ReadRows(name, r0, r1, dst)
}
