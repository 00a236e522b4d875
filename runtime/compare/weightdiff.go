package compare

import (
	"context"
	"runtime/debug"

	"qpt/format/graph"
	"qpt/internal/par"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/diff"
	"qpt/runtime/exec"
)

// WeightDiff is how far a matrix of the file is from the original's.
type WeightDiff struct {
	Name   string
	Scheme string
	diff.Tensor
	Values, Quantized diff.Histogram
	// Low and High average what the integers of a group or row can reach; 0
	// for weights stored as floats. Clipped is the share of the original
	// weights that lie more than half a step outside.
	Low, High, Clipped float64
}

// Weights compares every matrix that a linear layer multiplies with, in the
// order of the graph; matrices that calibration rescaled are compared as they act,
// rotated ones with the original's rotated.
func (s *LockStep) Weights(src graph.Source) (list []WeightDiff, err error) {
	err = s.m.Exclusive(context.Background(), func(*exec.Workspace) (err error) { list, err = s.weights(src); return err })
	return list, err
}

func (s *LockStep) weights(src graph.Source) ([]WeightDiff, error) {
	m := s.m
	_, replay, err := original(m)
	if err != nil {
		return nil, err
	}
	made, err := replay(src)
	if err != nil {
		return nil, err
	}
	type matrix struct{ name, in, out string }
	var matrices []matrix
	for i := range m.Graph.Nodes {
		n := &m.Graph.Nodes[i]
		for _, x := range n.Linears() {
			matrices = append(matrices, matrix{x.Weight, x.Input, n.Out[0]})
		}
	}
	list := make([]WeightDiff, len(matrices))
	errs := make([]error, len(matrices))
	par.For(m.Threads(), len(matrices), func(_, i int) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		col, row := made.Scales(matrices[i].in), made.Scales(matrices[i].out)
		d := &list[i]
		d.Name = matrices[i].name
		d.Scheme = m.Tensor(d.Name).Scheme
		var clipped, total, groups int64
		errs[i] = eachRow(m, d.Name, made, func(want, got []float32, w *linear.Weight, r int) {
			for k := range want { // as the file has it
				if col != nil {
					want[k] *= col[k]
				}
				if row != nil {
					want[k] /= row[r]
				}
			}
			d.Values.Add(want)
			d.Quantized.Add(got)
			d.Tensor.Add(want, got)
			if w.Format == linear.F32 || w.Format == linear.BF16 || w.Format == linear.Codes {
				return
			}
			for k := 0; k < w.K; groups++ {
				lo, hi, step, end := reach(w, r, k)
				d.Low += lo
				d.High += hi
				for ; k < end; k++ {
					if x := float64(want[k]); x < lo-step/2 || x > hi+step/2 {
						clipped++
					}
				}
			}
			total += int64(w.K)
		})
		if groups > 0 {
			d.Low /= float64(groups)
			d.High /= float64(groups)
			d.Clipped = float64(clipped) / float64(total)
		}
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// eachRow visits the rows of a matrix: the original's, rewritten, and the file's.
func eachRow(m *runtime.Model, name string, src graph.Source, visit func(want, got []float32, w *linear.Weight, row int)) error {
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

// reach is what the integers of row n at k can represent, the distance between
// two of them, and where the next group begins.
func reach(w *linear.Weight, n, k int) (lo, hi, step float64, end int) {
	if w.Format == linear.I8 {
		s := float64(w.Scale[n])
		return -127 * s, 127 * s, s, w.K
	}
	groups := (w.K + w.Group - 1) / w.Group
	g := (n/16*groups+k/w.Group)*16 + n%16
	end = min((k/w.Group+1)*w.Group, w.K)
	zero, gscale := w.Format.Split(w.Groups[g])
	least, most := w.Format.Range(zero, gscale) // numerics N4.2
	if w.Format == linear.I4F {
		step = float64(w.GroupScale[g])
	} else {
		step = float64(gscale) * float64(w.Scale[n])
	}
	return float64(least) * step, float64(most) * step, step, end
}
