package runtime

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
	"qpt/kernels"
	"qpt/runtime/ref"
)

// basis says by what factor each channel of a value differs between the file
// and the original: calibration may divide a norm's weight, or the rows of a
// matrix, by a scale and multiply the columns of all that read the result.
// The model computes the same; the values in between do not, and a comparison
// has to undo it. Values without an entry have factor 1.
type basis map[string][]float32

// from divides rows of the file's value by its factors; the result is a copy if there are any.
func (b basis) from(value string, x []float32) []float32 {
	if f := b[value]; f != nil {
		x = slices.Clone(x)
		for i := range x {
			x[i] /= f[i%len(f)]
		}
	}
	return x
}

// to multiplies rows of the original's value by the factors; the result is a copy if there are any.
func (b basis) to(value string, x []float32) []float32 {
	if f := b[value]; f != nil {
		x = slices.Clone(x)
		for i := range x {
			x[i] *= f[i%len(f)]
		}
	}
	return x
}

// foldedFrom is the least typical deviation from 1 at which a matrix counts as
// folded: quantization noise moves the ratio of a row by a percent or so.
const foldedFrom = 0.05

// newBasis compares the file's norms with the original's, and the rows of the
// matrices whose results are proportional to what their readers see, and
// follows the factors through the graph.
func newBasis(m *Model, src ref.Source) (basis, error) {
	b := basis{}
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
			f, err = m.normRatio(n, src)
		case graph.Linear:
			if linear[n.Out[0]] {
				f, err = m.rowRatio(n, b[n.In[0]], src)
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

func (m *Model) normRatio(n *graph.Node, src ref.Source) ([]float32, error) {
	file, err := m.w.Vector(n.Params[0])
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
func (m *Model) rowRatio(n *graph.Node, col []float32, src ref.Source) ([]float32, error) {
	var f, off []float32
	err := m.eachRow(n.Params[0], src, func(want, got []float32, _ *kernels.Weight, _ int) {
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
func (m *Model) eachRow(name string, src ref.Source, visit func(want, got []float32, w *kernels.Weight, row int)) error {
	l, err := m.w.Linear(name, "")
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
			kernels.EmbedRow(got, w, n0+i)
			visit(want[i*w.K:(i+1)*w.K], got, w, n0+i)
		}
	}
	return nil
}
