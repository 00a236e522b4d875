package compare

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
	"qpt/format/rewrite"
	"qpt/kernels/linear"
	"qpt/runtime/lm"
)

// basis says by what factor each channel of a value differs between the file
// and the original: calibration may divide a norm's weight, or the rows of a
// matrix, by a scale and multiply the columns of all that read the result.
// The model computes the same; the values in between do not, and a comparison
// has to undo it. Values without an entry have factor 1.
//
// Before that, the algorithm rotate may have turned values. How is known from the file's recipe, so this is undone too.
type basis struct {
	factors map[string][]float32
	turned  *rewrite.Model       // of the original, nil: as it is
	gains   map[string][]float32 // of turned norms
}

// from is rows of the file's value in the original's channels; a copy if there is a difference.
func (b *basis) from(value string, x []float32) []float32 {
	f, turn := b.factors[value], b.turn(value)
	if f == nil && turn == nil {
		return x
	}
	x = slices.Clone(x)
	channels(x, f, func(x, f float32) float32 { return x / f })
	if turn != nil {
		turn.Undo(x)
		channels(x, b.gains[value], func(x, g float32) float32 { return x * g })
	}
	return x
}

// to is rows of the original's value in the file's channels; a copy if there is a difference.
func (b *basis) to(value string, x []float32) []float32 {
	f, turn := b.factors[value], b.turn(value)
	if f == nil && turn == nil {
		return x
	}
	x = slices.Clone(x)
	if turn != nil {
		channels(x, b.gains[value], func(x, g float32) float32 {
			if g == 0 { // nothing is left of this channel
				return 0
			}
			return x / g
		})
		turn.Apply(x)
	}
	channels(x, f, func(x, f float32) float32 { return x * f })
	return x
}

// turn is how a value is turned, nil if it is not.
func (b *basis) turn(value string) *rewrite.Turn {
	if b.turned == nil {
		return nil
	}
	if t, ok := b.turned.Values[value]; ok {
		return &t
	}
	return nil
}

// channels applies op to the values of rows and the number of their channel; without numbers it does nothing.
func channels(x, f []float32, op func(x, f float32) float32) {
	if f == nil {
		return
	}
	for i := range x {
		x[i] = op(x[i], f[i%len(f)])
	}
}

// foldedFrom is the least typical deviation from 1 at which a matrix counts as
// folded: quantization noise moves the ratio of a row by a percent or so.
const foldedFrom = 0.05

// newBasis compares the file with the original of graph g.
func newBasis(m *lm.Model, g *graph.Graph, src graph.Source) (basis, error) {
	b := basis{}
	if algorithm(m, "rotate") {
		t, err := rewrite.Rotate(g, src, m.Meta.Recipe.Calibration.Seed)
		if err != nil {
			return b, err
		}
		for _, p := range t.Graph.Params {
			if m.Tensor(p.Name) == nil {
				return b, fmt.Errorf("%s has no tensor %q, as a rotated model should", m.File.Path(), p.Name)
			}
		}
		b.turned, b.gains = t, map[string][]float32{}
		for value, turn := range t.Values {
			if turn.Gain == "" {
				continue
			}
			gain := make([]float32, len(turn.Signs))
			if err := src.ReadRows(turn.Gain, 0, 1, gain); err != nil {
				return b, err
			}
			for i := range gain {
				gain[i] += turn.Offset
			}
			b.gains[value] = gain
		}
		src = t
	}
	var err error
	b.factors, err = newFactors(m, src)
	return b, err
}

// newFactors compares the file's norms with the original's, and the rows of the
// matrices whose results are proportional to what their readers see, and
// follows the factors through the graph.
func newFactors(m *lm.Model, src graph.Source) (map[string][]float32, error) {
	b := map[string][]float32{}
	linear := map[string]bool{} // values of which a reader is proportional to each channel
	for _, n := range m.Graph.Nodes {
		switch op := n.Op.(type) {
		case graph.Attention:
			linear[n.In[2]] = true
		case graph.Binary:
			for _, in := range n.In {
				linear[in] = linear[in] || op.Func == "mul"
			}
		}
	}
	for i := range m.Graph.Nodes {
		n := &m.Graph.Nodes[i]
		var f []float32
		var err error
		switch op := n.Op.(type) {
		case graph.RMSNorm:
			f, err = normRatio(m, n, src)
		case graph.Linear:
			if linear[n.Out[0]] {
				f, err = rowRatio(m, n, b[n.In[0]], src)
			}
		case graph.Gather:
			f = b[n.In[0]]
		case graph.Attention:
			if v := b[n.In[2]]; v != nil {
				for h := range op.Heads {
					kv := h / (op.Heads / op.KVHeads)
					f = append(f, v[kv*op.HeadDim:(kv+1)*op.HeadDim]...)
				}
			}
		case graph.Binary:
			for _, in := range n.In {
				switch v := b[in]; {
				case v == nil || op.Func != "mul":
				case f == nil:
					f = slices.Clone(v)
				default:
					for j := range f {
						f[j] *= v[j]
					}
				}
			}
		}
		if err != nil {
			return nil, fmt.Errorf("node %q: %w", n.Name, err)
		}
		if f != nil {
			b[n.Out[0]] = f
		}
	}
	return b, nil
}

func normRatio(m *lm.Model, n *graph.Node, src graph.Source) ([]float32, error) {
	file, err := m.Vector(n.Params[0])
	if err != nil {
		return nil, err
	}
	f := make([]float32, len(file))
	if err := src.ReadRows(n.Params[0], 0, 1, f); err != nil || slices.Equal(f, file) {
		return nil, err
	}
	for i, x := range f {
		f[i] = 1
		if x != 0 && file[i] != 0 {
			f[i] = file[i] / x
		}
	}
	return f, nil
}

// rowRatio fits W_file[n] = f[n] * (W[n] / col); nil when all is as in the original.
func rowRatio(m *lm.Model, n *graph.Node, col []float32, src graph.Source) ([]float32, error) {
	var f, off []float32
	err := eachRow(m, n.Params[0], src, func(want, got []float32, _ *linear.Weight, _ int) {
		var xx, xy float64
		for k, x := range want {
			y := float64(got[k])
			if col != nil {
				y *= float64(col[k])
			}
			xx += float64(x) * float64(x)
			xy += float64(x) * y
		}
		r := 1.0
		if xx > 0 && xy > 0 {
			r = xy / xx
		}
		f = append(f, float32(r))
		off = append(off, float32(math.Abs(math.Log(r))))
	})
	if err != nil {
		return nil, err
	}
	if slices.Sort(off); off[len(off)/2] < foldedFrom {
		return nil, nil
	}
	return f, nil
}

// eachRow visits the rows of a matrix: the original's and the file's.
func eachRow(m *lm.Model, name string, src graph.Source, visit func(want, got []float32, w *linear.Weight, row int)) error {
	l, err := m.Linear(name, "")
	if err != nil {
		return err
	}
	w := l.Weight
	chunk := max(1, min(w.N, 1<<18/w.K))
	want, got := make([]float32, chunk*w.K), make([]float32, w.K)
	for n0 := 0; n0 < w.N; n0 += chunk {
		rows := min(chunk, w.N-n0)
		if err := src.ReadRows(name, n0, n0+rows, want[:rows*w.K]); err != nil {
			return err
		}
		for i := range rows {
			linear.EmbedRow(got, w, n0+i)
			visit(want[i*w.K:(i+1)*w.K], got, w, n0+i)
		}
	}
	return nil
}
