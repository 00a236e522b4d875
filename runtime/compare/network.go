package compare

import (
	"context"
	"fmt"

	"qpt/format"
	"qpt/format/graph"
	"qpt/runtime"
	"qpt/runtime/diff"
)

// Output is how far an output of a network on tensors is from FP32's.
type Output struct {
	Name    string
	Rows    int
	Size    int           // values of a row
	Kept    int           // of them compared
	Classes *diff.Logits  // of [rows, classes], two at least, of which all are known; else nil
	Vectors *diff.Vectors // of all: a row is a vector
}

// atOnce is how many rows run together.
const atOnce = 8

// CheckNetwork runs the rows whose FP32 results are in the file of a network on tensors.
func CheckNetwork(ctx context.Context, m *runtime.Model) ([]Output, error) {
	refs, err := m.References()
	if err != nil {
		return nil, err
	}
	w := refs.Rows
	if w == nil {
		return nil, fmt.Errorf("%s: %w: results of texts, not of rows", m.File.Path(), format.ErrReferences)
	}
	at := atOnce
	for _, in := range m.Graph.Inputs {
		if in.Shape[0] >= 0 {
			at = int(in.Shape[0])
		}
	}
	values := m.Graph.ValueMap()
	outputs := make([]Output, len(w.Outputs))
	for i, o := range w.Outputs {
		outputs[i] = Output{Name: o.Name, Rows: w.N, Size: o.Size, Kept: o.Kept(), Vectors: new(diff.Vectors)}
		if len(values[o.Name].Shape) == 2 && o.At == nil && o.Size > 1 {
			outputs[i].Classes = new(diff.Logits)
		}
	}
	for r := 0; r < w.N; r += at {
		n := min(at, w.N-r)
		inputs := map[string]runtime.Tensor{}
		for _, in := range w.Inputs {
			x := graph.Tensor{Shape: append([]int{n}, in.Shape...)}
			for i := range n {
				x.F = append(x.F, in.Row(r+i)...)
			}
			inputs[in.Name] = x
		}
		results, err := m.Run(ctx, inputs, runtime.RunOptions{})
		if err != nil {
			return nil, err
		}
		for i := range w.Outputs {
			o := &w.Outputs[i]
			got := results[o.Name].F
			if len(got) != n*o.Size {
				return nil, fmt.Errorf("%s: %w: output %q has %d values for %d rows of %d", m.File.Path(), format.ErrReferences, o.Name, len(got), n, o.Size)
			}
			for j := range n {
				outputs[i].add(o, o.Values[(r+j)*o.Kept():][:o.Kept()], got[j*o.Size:(j+1)*o.Size])
			}
		}
	}
	return outputs, nil
}

func (d *Output) add(o *format.RowsOutput, want, got []float32) {
	if d.Classes != nil {
		d.Classes.Add(want, got)
	}
	if o.At != nil {
		known := make([]float32, len(o.At))
		for i, at := range o.At {
			known[i] = got[at]
		}
		got = known
	}
	d.Vectors.Add(want, got)
}
