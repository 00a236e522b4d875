package rewrite

import (
	"fmt"
	"slices"

	"qpt/format"
	"qpt/format/graph"
)

// Original is the graph of the checkpoint that a file was made from: the file's graph g, without the parameters that were
// added and with those that were copied where they came from. A record that does not fit g gives format.ErrRewrites.
func Original(g *graph.Graph, rec format.Rewrites) (*graph.Graph, error) {
	if err := fits(g, rec); err != nil {
		return nil, err
	}
	changed := map[string]string{} // "": it goes
	for _, p := range rec.Params {
		if p.Change == format.Copied || p.Change == format.Added {
			changed[p.Param] = p.Of
		}
	}
	if len(changed) == 0 {
		return g, nil
	}
	out := *g
	out.Nodes = slices.Clone(g.Nodes)
	out.Params = slices.DeleteFunc(slices.Clone(g.Params), func(p graph.Param) bool { _, ok := changed[p.Name]; return ok })
	for i := range out.Nodes {
		n := &out.Nodes[i]
		n.Params = slices.Clone(n.Params)
		for j, name := range n.Params {
			if of, ok := changed[name]; ok {
				n.Params[j] = of
			}
		}
	}
	if err := out.Verify(); err != nil {
		return nil, fmt.Errorf("%w: the original: %w", format.ErrRewrites, err)
	}
	return &out, nil
}

// fits checks a record, sound in itself, against the graph of its file.
func fits(g *graph.Graph, rec format.Rewrites) error {
	bad := func(name, s string, v ...any) error {
		return fmt.Errorf("%w: %.60q: %s", format.ErrRewrites, name, fmt.Sprintf(s, v...))
	}
	values, params := g.ValueMap(), g.ParamMap()
	for _, v := range rec.Values {
		x, ok := values[v.Value]
		width := 0
		if ok && x.DType == graph.Float {
			width = int(x.Shape[len(x.Shape)-1])
		}
		switch {
		case width <= 0:
			return bad(v.Value, "the graph has no such value of a known width")
		case v.Scales != nil && len(v.Scales) != width:
			return bad(v.Value, "%d scales, its width is %d", len(v.Scales), width)
		case v.Rotation != nil && width%len(v.Rotation.Signs) != 0:
			return bad(v.Value, "a rotation of %d channels, its width is %d", len(v.Rotation.Signs), width)
		case v.Gain != "" && !slices.Equal(params[v.Gain].Shape, []int{width}):
			return bad(v.Value, "gain %.60q is no parameter of its width %d", v.Gain, width)
		}
	}
	for _, p := range rec.Params {
		x, ok := params[p.Param]
		of, from := params[p.Of]
		switch {
		case !ok:
			return bad(p.Param, "the graph has no such parameter")
		case p.Change == format.Copied && (!from || !slices.Equal(x.Shape, of.Shape) || of.Name == x.Name):
			return bad(p.Param, "a copy of %.60q, which is not alike", p.Of)
		case p.Change != format.Copied && p.Change != format.Folded && len(x.Shape) != 1:
			return bad(p.Param, "%s, but it is no vector", p.Change)
		}
	}
	return nil
}

// Replay makes the changes of a record again: g is the file's graph, src gives the parameters of Original(g, rec).
func Replay(g *graph.Graph, rec format.Rewrites, src graph.Source) (*Model, error) {
	if err := fits(g, rec); err != nil {
		return nil, err
	}
	m, err := newModel(g, rec, src)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", format.ErrRewrites, err)
	}
	for _, v := range rec.Values { // so that To and From cannot fail
		if v.Gain != "" {
			if _, err := m.gain(v.Gain, v.Offset, g.ParamMap()[v.Gain].Shape[0]); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// Turned tells whether a value's channels are mixtures of the original's.
func (m *Model) Turned(value string) bool {
	v := m.values[value]
	return v != nil && v.Rotation != nil
}

// Scales are what the channels of a value are divided by, after all else; nil for 1.
func (m *Model) Scales(value string) []float32 {
	if v := m.values[value]; v != nil {
		return v.Scales
	}
	return nil
}

// From is rows of the rewritten model's value as the original has them; a copy if there is a difference.
func (m *Model) From(value string, x []float32) []float32 {
	v := m.values[value]
	if v == nil {
		return x
	}
	x = slices.Clone(x)
	channels(x, v.Scales, func(x, s float32) float32 { return x * s })
	if v.Rotation != nil {
		v.Rotation.Undo(x)
	}
	channels(x, m.gains[v.Gain], func(x, g float32) float32 { return x * g })
	return x
}

// To is rows of the original's value as the rewritten model has them; a copy if there is a difference.
func (m *Model) To(value string, x []float32) []float32 {
	v := m.values[value]
	if v == nil {
		return x
	}
	x = slices.Clone(x)
	channels(x, m.gains[v.Gain], func(x, g float32) float32 {
		if g == 0 { // nothing is left of this channel
			return 0
		}
		return x / g
	})
	if v.Rotation != nil {
		v.Rotation.Apply(x)
	}
	channels(x, v.Scales, func(x, s float32) float32 { return x / s })
	return x
}

// channels applies op to the values of rows and the number of their channel; without numbers it does nothing.
func channels(x, f []float32, op func(x, f float32) float32) {
	for i := range x {
		if f == nil {
			return
		}
		x[i] = op(x[i], f[i%len(f)])
	}
}
