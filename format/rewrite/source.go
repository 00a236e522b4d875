package rewrite

import (
	"fmt"
	"slices"
	"sync"

	"qpt/format/graph"
)

// Model is a turned model: its graph, and as a graph.Source its parameters.
type Model struct {
	*Map
	Graph *graph.Graph
	// Copies are the parameters that the original does not have, with the tables they come
	// from: where an embedding table is the output layer too, the two differ in the turned model.
	Copies map[string]string

	src    graph.Source
	params map[string]param

	mu    sync.Mutex // of what follows
	gains map[string][]float32
	name  string // the matrix whose rotated rows from first on are in block
	first int
	block []float32
}

// param is what becomes of a parameter.
type param struct {
	change
	from  string // parameter of the original
	shape []int
	one   bool // the weights of a norm: 1, less what the norm adds
}

// Rotate turns a model. src is read when the result is.
func Rotate(g *graph.Graph, src graph.Source, seed uint64) (*Model, error) {
	found, err := Find(g, seed)
	if err != nil {
		return nil, err
	}
	m := &Model{Map: found, Copies: map[string]string{}, src: src, params: map[string]param{}, gains: map[string][]float32{}}
	out := *g
	out.Nodes, out.Params = slices.Clone(g.Nodes), slices.Clone(g.Params)
	out.Hidden = nil // they are turned
	shapes := g.ParamMap()
	users := map[string][]string{} // of parameters
	for i := range out.Nodes {
		n := &out.Nodes[i]
		c := m.nodes[n.Name]
		if c == nil {
			continue
		}
		weight := n.Params[0]
		if _, taken := m.params[weight]; taken {
			copied := n.Name + ".weight"
			if _, ok := shapes[copied]; ok || n.Op.Kind() != "linear" {
				return nil, fmt.Errorf("rotate: %s and %s share the parameter %q: only an embedding table and an output layer may", users[weight][0], n.Name, weight)
			}
			n.Params = append([]string{copied}, n.Params[1:]...)
			m.Copies[copied] = weight
			m.Notes = append(m.Notes, fmt.Sprintf("rotate: %s and %s share %q, which rotation makes different: the latter gets a copy, %q", users[weight][0], n.Name, weight, copied))
			out.Params = append(out.Params, graph.Param{Name: copied, Shape: shapes[weight].Shape})
			m.params[copied] = param{change: *c, from: weight, shape: shapes[weight].Shape}
			users[copied] = append(users[copied], n.Name)
		} else {
			m.params[weight] = param{change: *c, from: weight, shape: shapes[weight].Shape}
			users[weight] = append(users[weight], n.Name)
		}
		if len(n.Params) > 1 && n.Params[1] != "" && c.out != nil {
			m.params[n.Params[1]] = param{change: change{out: c.out}, from: n.Params[1], shape: shapes[n.Params[1]].Shape}
		}
	}
	for name, offset := range m.norms {
		m.params[name] = param{change: change{offset: offset}, from: name, shape: shapes[name].Shape, one: true}
	}
	// A parameter that others use too cannot change for some only.
	for _, n := range g.Nodes {
		for _, name := range n.Params {
			_, changed := m.params[name]
			if norm := n.Op.Kind() == "rmsnorm"; changed && m.nodes[n.Name] == nil && !(norm && m.Values[n.Out[0]].Rotation != nil) {
				return nil, fmt.Errorf("rotate: node %s uses the parameter %q, which others have rotated", n.Name, name)
			}
		}
	}
	m.Graph = &out
	return m, out.Verify()
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
	case p.one:
		for i := range dst {
			dst[i] = 1 - p.offset
		}
		return nil
	case len(p.shape) == 1:
		if err := m.src.ReadRows(name, r0, r1, dst); err != nil {
			return err
		}
		p.out.Apply(dst)
		return nil
	}
	gain, err := m.gain(p)
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

// gain is what the columns of a matrix are multiplied by, nil for 1.
func (m *Model) gain(p param) ([]float32, error) {
	if p.gain == "" {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.gains[p.gain]; v != nil {
		return v, nil
	}
	v := make([]float32, p.shape[1])
	if err := m.src.ReadRows(p.gain, 0, 1, v); err != nil {
		return nil, err
	}
	for i := range v {
		v[i] += p.offset
	}
	m.gains[p.gain] = v
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
