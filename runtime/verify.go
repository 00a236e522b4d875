package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"qpt/format"
	"qpt/format/graph"
	"qpt/format/rewrite"
	"qpt/runtime/exec"
)

// Verify checks what Load trusts or does not need (spec/qpt.md): the numbers of every tensor, that
// the references are those of the graph, and that the rewrites fit it. It reads all weights; format.File.Verify
// checks the container.
func (m *Model) Verify(ctx context.Context) error {
	if _, err := m.References(); err != nil && !errors.Is(err, format.ErrMissing) {
		return err
	}
	rec, err := m.File.Rewrites()
	if err != nil {
		return err
	}
	if _, err := rewrite.Original(m.Graph, rec); err != nil {
		return fmt.Errorf("%s: %w", m.File.Path(), err)
	}
	return m.Exclusive(ctx, func(*exec.Workspace) error {
		tensors, err := m.File.Tensors()
		if err != nil {
			return err
		}
		for i := range tensors {
			if err := errors.Join(ctx.Err(), m.verifyTensor(&tensors[i])); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *Model) verifyTensor(t *format.Tensor) error {
	if t.Format == format.PlainF32 {
		p, _ := t.Part(format.RoleData)
		b, err := m.File.Part(p)
		if err == nil && !finite(view[float32](b)) {
			err = fmt.Errorf("%s: tensor %q: %w: it holds NaN or infinity", m.File.Path(), t.Name, format.ErrData)
		}
		return err
	}
	l, err := m.w.Linear(t.Name, "")
	if err != nil {
		return err
	}
	if err := l.Weight.CheckData(m.Threads()); err != nil {
		return fmt.Errorf("%s: tensor %q: %w: %w", m.File.Path(), t.Name, format.ErrData, err)
	}
	return nil
}

// maxReference bounds the tokens of one embedded text: a hostile file could hold millions, compressed to nothing.
const maxReference = 4096

// References reads the FP32 results embedded in the file and holds them against its graph.
func (m *Model) References() (*format.References, error) {
	refs, err := m.File.References()
	if err != nil {
		return nil, err
	}
	bad := func(s string, v ...any) error {
		return fmt.Errorf("%s: %w: %s", m.File.Path(), format.ErrReferences, fmt.Sprintf(s, v...))
	}
	if refs.Rows != nil {
		if err := m.checkRows(refs.Rows); err != nil {
			return nil, bad("%v", err)
		}
		return &refs, nil
	}
	name := cmp.Or(refs.Output, m.Graph.Outputs[0])
	out := m.Graph.ValueMap()[name].Shape
	if !slices.Contains(m.Graph.Outputs, name) || refs.Output != "" && (len(out) != 2 || out[0] >= 0) {
		return nil, bad("results of %q, which is no output of the graph with rows of texts", name)
	}
	if v := int(out[len(out)-1]); refs.Vocab != v {
		return nil, bad("the vocabulary has %d tokens, the graph gives %d logits", refs.Vocab, v)
	}
	if refs.Output != "" && m.Graph.Symbols[-1-out[0]] == "S" {
		if i := slices.IndexFunc(refs.Cases, func(c format.Reference) bool { return len(c.Rows) != 1 || c.Rows[0] != 0 }); i >= 0 {
			return nil, bad("case %d has rows %v, %s has one of each text", i, refs.Cases[i].Rows, name)
		}
	}
	if i := slices.IndexFunc(refs.Cases, func(c format.Reference) bool { return len(c.Tokens) > maxReference }); i >= 0 {
		return nil, bad("case %d has %d tokens, at most %d are run", i, len(refs.Cases[i].Tokens), maxReference)
	}
	return &refs, nil
}

// checkRows holds the rows of a network on tensors against its graph.
func (m *Model) checkRows(w *format.Rows) error {
	fits := func(d graph.Dim, n int) bool { return d < 0 || int(d) == n }
	at := 1 // rows of a pass
	for i, in := range m.Graph.Inputs {
		if i >= len(w.Inputs) || w.Inputs[i].Name != in.Name || in.DType != graph.Float || len(in.Shape) == 0 || !slices.EqualFunc(in.Shape[1:], w.Inputs[i].Shape, fits) {
			return fmt.Errorf("input %d is not %q %s of floats", i, in.Name, m.Graph.ShapeString(in.Shape))
		}
		at = max(at, int(in.Shape[0]))
	}
	if len(w.Inputs) != len(m.Graph.Inputs) || w.N%at != 0 {
		return fmt.Errorf("%d rows of %d inputs, the graph takes %d at a time of %d", w.N, len(w.Inputs), at, len(m.Graph.Inputs))
	}
	values := m.Graph.ValueMap()
	for i, o := range w.Outputs {
		v := values[o.Name]
		if !slices.Contains(m.Graph.Outputs, o.Name) || slices.ContainsFunc(w.Outputs[:i], func(x format.RowsOutput) bool { return x.Name == o.Name }) || v.DType != graph.Float || len(v.Shape) == 0 {
			return fmt.Errorf("results of %q, which is no output of floats or there twice", o.Name)
		}
		size, open := 1, false
		for _, d := range v.Shape[1:] {
			size, open = size*max(int(d), 1), open || d < 0
		}
		if size != o.Size && !open {
			return fmt.Errorf("rows of %q have %d values, the graph's %d", o.Name, o.Size, size)
		}
	}
	return nil
}
