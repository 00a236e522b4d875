package convert

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"qpt/calibrate"
	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/num"
)

// Of a network on tensors a file keeps rows of the calibration data, as many as so many bytes of inputs and results hold but refPictures at most, and of
// results that are not [rows, classes] a sample of refSample values a row.
const (
	refPictures  = 64
	refRowsBytes = 2 << 20
	refSample    = 4096
)

// rowReferences runs the original on some of the calibration rows, evenly from all of them.
func (p *Plan) rowReferences(ctx context.Context) (*format.References, error) {
	g := p.Model.Graph
	values, at, bytes := g.ValueMap(), 1, 0 // rows of a pass, bytes of a row
	out := &format.Rows{}
	for _, in := range p.rows.Inputs {
		bytes += len(in.F) / p.rows.N
	}
	for _, in := range g.Inputs {
		at = max(at, int(in.Shape[0]))
	}
	for _, name := range g.Outputs {
		v := values[name]
		if v.DType != graph.Float || slices.ContainsFunc(out.Outputs, func(o format.RowsOutput) bool { return o.Name == name }) {
			continue
		}
		o := format.RowsOutput{Name: name, Size: 1}
		for _, d := range v.Shape[1:] {
			o.Size *= max(int(d), 1)
		}
		out.Outputs = append(out.Outputs, o)
		if bytes += 4 * o.Size; len(v.Shape) != 2 && o.Size > refSample {
			bytes += 4 * (refSample - o.Size)
		}
	}
	n := min(cmp.Or(p.Opt.References, refPictures), p.rows.N, max(refRowsBytes/bytes, 1))
	n = max(n/at, 1) * at
	if len(out.Outputs) == 0 || n > p.rows.N {
		return nil, nil
	}
	out.N = n
	chosen := &calibrate.Rows{N: n}
	for _, in := range p.rows.Inputs {
		size := len(in.F) / p.rows.N
		x := make([]float32, 0, n*size)
		for r := range n {
			x = append(x, in.F[r*p.rows.N/n*size:][:size]...)
		}
		kept := format.NewRowsInput(in.Name, in.Shape[1:], x)
		x = x[:0]
		for r := range n {
			x = append(x, kept.Row(r)...)
		}
		out.Inputs = append(out.Inputs, kept)
		chosen.Inputs = append(chosen.Inputs, calibrate.Named{Name: in.Name, Tensor: graph.Tensor{Shape: append([]int{n}, in.Shape[1:]...), F: x}})
	}
	err := calibrate.Outputs(ctx, g, graph.Views(g, p.ckpt), chosen, p.Opt.Threads, func(name string, row []float32) error {
		i := slices.IndexFunc(out.Outputs, func(o format.RowsOutput) bool { return o.Name == name })
		o := &out.Outputs[i]
		if len(o.Values) == 0 {
			o.Size = len(row) // where extents were open
			if len(values[name].Shape) != 2 && o.Size > refSample {
				o.At = places(o.Size, refSample)
			}
		}
		if at := slices.IndexFunc(row, func(x float32) bool { return !num.Finite(x) }); at >= 0 {
			return fmt.Errorf("%w: in FP32 value %d of %s is %v on row %d of the calibration data (--references -1 converts without FP32 results)", ErrInput, at, name, row[at], len(o.Values)/o.Kept()*p.rows.N/n)
		}
		if o.At == nil {
			o.Values = append(o.Values, row...)
		}
		for _, at := range o.At {
			o.Values = append(o.Values, row[at])
		}
		return nil
	})
	return &format.References{Rows: out}, err
}

// places are k of n, one from each of k equal parts, at shares of them that follow no period.
func places(n, k int) []int32 {
	list := make([]int32, k)
	for j := range list {
		_, share := math.Modf(float64(j) * (math.Phi - 1))
		from, to := j*n/k, (j+1)*n/k
		list[j] = int32(from + int(share*float64(to-from)))
	}
	return list
}
