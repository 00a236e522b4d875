package rewrite

import (
	"fmt"
	"slices"
	"sync"

	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/num"
)

// Model is a rewritten model: its graph, and as a graph.Source its parameters but for Scales, which are left out.
type Model struct {
	Graph  *graph.Graph
	Record format.Rewrites // what was done, by value in the order of the graph
	Notes  []string        // what stays as it is, and why

	src    graph.Source // the original's parameters
	values map[string]*format.RewrittenValue
	params map[string]param

	mu    sync.Mutex // of what follows
	gains map[string][]float32
	name  string // the matrix whose rotated rows from first on are in block
	first int
	block []float32
}

// param is what becomes of a parameter: a matrix W becomes Out^T W G In; a table has no Out, a bias b becomes Out^T b.
type param struct {
	from    string // parameter of the original
	shape   []int
	in, out *num.Rotation
	gain    string // G, plus offset
	offset  float32
	one     bool // the weights of a norm: 1, less what the norm adds
	none    bool // zeros: the original has none
}

// Rotate turns a model. src, which gives the parameters of g, is read when the result is.
func Rotate(g *graph.Graph, src graph.Source, seed uint64) (*Model, error) {
	var rec format.Rewrites
	var notes []string
	var err error
	if rec.Values, notes, err = find(g, seed); err != nil {
		return nil, err
	}
	values := byValue(rec.Values)
	out := *g
	out.Nodes, out.Params = slices.Clone(g.Nodes), slices.Clone(g.Params)
	out.Hidden = nil // they are turned
	shapes, users := g.ParamMap(), map[string]string{}
	for i := range out.Nodes {
		n := &out.Nodes[i]
		if k := n.Op.Kind(); k != "embedding" && k != "linear" || change(n, values).same() {
			continue
		}
		weight := n.Params[0]
		first, taken := users[weight]
		if !taken {
			users[weight] = n.Name
			continue
		}
		copied := n.Name + ".weight"
		if _, ok := shapes[copied]; ok || n.Op.Kind() != "linear" {
			return nil, fmt.Errorf("rotate: %s and %s share the parameter %q: only an embedding table and an output layer may", first, n.Name, weight)
		}
		n.Params = append([]string{copied}, n.Params[1:]...)
		rec.Params = append(rec.Params, format.RewrittenParam{Param: copied, Change: format.Copied, Of: weight})
		notes = append(notes, fmt.Sprintf("rotate: %s and %s share %q, which rotation makes different: the latter gets a copy, %q", first, n.Name, weight, copied))
		out.Params = append(out.Params, graph.Param{Name: copied, Shape: shapes[weight].Shape})
		users[copied] = n.Name
	}
	m, err := newModel(&out, rec, src)
	if err != nil {
		return nil, fmt.Errorf("rotate: %w", err)
	}
	m.Notes = notes
	return m, out.Verify()
}

func byValue(list []format.RewrittenValue) map[string]*format.RewrittenValue {
	m := map[string]*format.RewrittenValue{}
	for i := range list {
		m[list[i].Value] = &list[i]
	}
	return m
}

// change is what the values that a linear layer or an embedding reads and makes demand of its matrix.
func change(n *graph.Node, values map[string]*format.RewrittenValue) *param {
	p := new(param)
	in, out := values[n.In[0]], values[n.Out[0]]
	if n.Op.Kind() == "embedding" {
		in, out = out, nil
	}
	if in != nil {
		p.in, p.gain, p.offset = in.Rotation, in.Gain, in.Offset
	}
	if out != nil {
		p.out = out.Rotation
	}
	return p
}

// CopyOf is the parameter that another is a copy of, "" for none.
func (m *Model) CopyOf(param string) string {
	for _, p := range m.Record.Params {
		if p.Param == param {
			return p.Of
		}
	}
	return ""
}

// same tells whether nothing becomes of the parameter.
func (p *param) same() bool { return p.in == nil && p.out == nil && p.gain == "" }

// newModel works out what becomes of the parameters of g, the rewritten model's graph.
func newModel(g *graph.Graph, rec format.Rewrites, src graph.Source) (*Model, error) {
	m := &Model{Graph: g, Record: rec, src: src, values: byValue(rec.Values), params: map[string]param{}, gains: map[string][]float32{}}
	from, none := map[string]string{}, map[string]bool{}
	for _, p := range rec.Params {
		switch p.Change {
		case format.Copied:
			from[p.Param] = p.Of
		case format.Added:
			none[p.Param] = true
		}
	}
	shapes := g.ParamMap()
	user := map[string]string{}
	set := func(n *graph.Node, name string, p param) error {
		if name == "" {
			return nil
		}
		p.from, p.shape, p.none = name, shapes[name].Shape, none[name]
		if of := from[name]; of != "" {
			p.from = of
		}
		if first, taken := user[name]; !taken {
			user[name], m.params[name] = n.Name, p
		} else if old := m.params[name]; old.in != p.in || old.out != p.out || old.gain != p.gain || old.one != p.one {
			return fmt.Errorf("%s and %s share the parameter %q, which becomes two different ones", first, n.Name, name)
		}
		return nil
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		var own param // of the first parameter
		rest := own
		switch op := n.Op.(type) {
		case graph.Embedding:
			own = *change(n, m.values)
		case graph.Linear:
			own = *change(n, m.values)
			rest.out = own.out
		case graph.RMSNorm:
			if v := m.values[n.Out[0]]; v != nil && v.Gain == n.Params[0] {
				own = param{one: true, offset: float32(op.Offset)}
			}
		}
		for j, name := range n.Params {
			p := own
			if j > 0 {
				p = rest
			}
			if err := set(n, name, p); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// Memory is what reading takes beyond the rows asked for, in bytes.
func (m *Model) Memory() (most int64) {
	for _, p := range m.params {
		if p.out != nil && len(p.shape) == 2 {
			most = max(most, 4*int64(p.out.Block)*int64(p.shape[1]))
		}
	}
	return most
}

// ReadRows implements graph.Source.
func (m *Model) ReadRows(name string, r0, r1 int, dst []float32) error {
	p, ok := m.params[name]
	switch {
	case !ok:
		return m.src.ReadRows(name, r0, r1, dst)
	case p.none:
		clear(dst)
		return nil
	case p.one:
		for i := range dst {
			dst[i] = 1 - p.offset
		}
		return nil
	case len(p.shape) == 1:
		if err := m.src.ReadRows(p.from, r0, r1, dst); err != nil {
			return err
		}
		if p.out != nil {
			p.out.Apply(dst)
		}
		return nil
	}
	gain, err := m.gain(p.gain, p.offset, p.shape[len(p.shape)-1])
	if err != nil {
		return err
	}
	if p.out == nil {
		return m.rows(p, gain, r0, r1, dst)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := p.shape[1]
	for r0 < r1 {
		first := r0 / p.out.Block * p.out.Block
		if m.name != name || m.first != first {
			m.name = ""
			m.block = slices.Grow(m.block[:0], p.out.Block*k)[:p.out.Block*k]
			if err := m.rows(p, gain, first, first+p.out.Block, m.block); err != nil {
				return err
			}
			p.out.Columns(m.block, first, k)
			m.name, m.first = name, first
		}
		end := min(r1, first+p.out.Block)
		dst = dst[copy(dst, m.block[(r0-first)*k:(end-first)*k]):]
		r0 = end
	}
	return nil
}

// gain reads a parameter of the original, a vector of width values, with the offset added; nil for "".
func (m *Model) gain(name string, offset float32, width int) ([]float32, error) {
	if name == "" {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.gains[name]; v != nil {
		return v, nil
	}
	v := make([]float32, width)
	if err := m.src.ReadRows(name, 0, 1, v); err != nil {
		return nil, err
	}
	for i := range v {
		v[i] += offset
	}
	m.gains[name] = v
	return v, nil
}

// rows reads rows of the original and rotates each.
func (m *Model) rows(p param, gain []float32, r0, r1 int, dst []float32) error {
	if err := m.src.ReadRows(p.from, r0, r1, dst); err != nil {
		return err
	}
	if gain != nil {
		for i := range dst {
			dst[i] *= gain[i%len(gain)]
		}
	}
	if p.in != nil {
		p.in.Apply(dst)
	}
	return nil
}
