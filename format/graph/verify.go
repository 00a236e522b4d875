package graph

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"unicode"
)

// ErrGraph is matched by every error about a graph that breaks spec/ops.md.
var ErrGraph = errors.New("invalid graph")

// ErrNewer is matched besides by errors about what this version has no meaning for: an op, an attribute, a key.
var ErrNewer = errors.New("it needs a newer qpt")

// Limits of a graph; a document beyond them is refused before it costs memory.
const (
	MaxBytes   = 16 << 20 // of the JSON form
	MaxNodes   = 1 << 15
	MaxParams  = 1 << 16
	maxValues  = 1 << 20 // of the JSON form
	maxSymbols = 16
	maxRank    = 8
	maxName    = 256
	maxExtent  = 1 << 31
	maxCount   = 1 << 40 // elements of one tensor
)

func errf(format string, a ...any) error {
	return fmt.Errorf("%w: %w", ErrGraph, fmt.Errorf(format, a...))
}

// Verify checks everything spec/ops.md demands of a graph: unique names, each
// value defined once and before its use, known ops with valid attributes,
// shapes that fit, one cache per attention. Errors match ErrGraph, name the
// node and cite the constraint ("linear (C2): ...").
func (g *Graph) Verify() error {
	if len(g.Nodes) > MaxNodes || len(g.Params) > MaxParams || len(g.Symbols) > maxSymbols || len(g.Inputs) > MaxNodes {
		return errf("%d nodes, %d params, %d symbols, %d inputs: at most %d, %d, %d, %d",
			len(g.Nodes), len(g.Params), len(g.Symbols), len(g.Inputs), MaxNodes, MaxParams, maxSymbols, MaxNodes)
	}
	symbols := map[string]bool{}
	for _, s := range g.Symbols {
		if err := checkName("symbol", s, symbols); err != nil {
			return err
		}
	}
	params := map[string]*Param{}
	used := map[string]bool{}
	for i := range g.Params {
		p := &g.Params[i]
		if err := checkName("param", p.Name, used); err != nil {
			return err
		}
		dims := make([]Dim, len(p.Shape))
		for i, d := range p.Shape {
			dims[i] = Dim(d) // params have no symbols: a negative extent is caught below
		}
		if err := checkShape(dims, 0, 1); err != nil {
			return errf("param %q, shape %v: %w", p.Name, p.Shape, err)
		}
		if p.View != nil {
			if err := p.View.check(p.Shape); err != nil {
				return errf("param %q, view: %w", p.Name, err)
			}
		}
		params[p.Name] = p
	}
	values := map[string]Value{}
	names := map[string]bool{}
	for _, v := range g.Inputs {
		if err := g.define(v, names); err != nil {
			return err
		}
		values[v.Name] = v
	}

	used = map[string]bool{} // params
	nodes, caches := map[string]bool{}, map[string]bool{}
	next := 0 // index in Values of the next result
	for _, n := range g.Nodes {
		if err := checkName("node", n.Name, nodes); err != nil {
			return err
		}
		want, err := g.infer(n, values, params)
		if err != nil {
			return errf("node %q: %w", n.Name, err)
		}
		if len(n.Out) != len(want) {
			return errf("node %q: %s has %d results, must have %d", n.Name, n.Op.Kind(), len(n.Out), len(want))
		}
		for i, w := range want {
			if next == len(g.Values) || g.Values[next].Name != n.Out[i] {
				return errf("node %q: its result %q must be entry %d of values", n.Name, n.Out[i], next)
			}
			v := g.Values[next]
			next++
			if err := g.define(v, names); err != nil {
				return err
			}
			if v.DType != w.DType || !slices.Equal(v.Shape, w.Shape) {
				return errf("node %q: result %%%s is %s %s, %s gives %s %s", n.Name, v.Name,
					v.DType, g.ShapeString(v.Shape), n.Op.Kind(), w.DType, g.ShapeString(w.Shape))
			}
			values[v.Name] = v
		}
		for _, p := range n.Params {
			used[p] = true
		}
		if a, ok := n.Op.(Attention); ok && a.Cache != "" {
			if err := checkName("cache", a.Cache, caches); err != nil { // attention (C7)
				return errf("node %q: attention (C7): %w", n.Name, err)
			}
		}
	}
	if next != len(g.Values) {
		return errf("value %q is the result of no node", g.Values[next].Name)
	}
	for _, p := range g.Params {
		if !used[p.Name] {
			return errf("param %q is used by no node", p.Name)
		}
	}
	if len(g.Outputs) == 0 {
		return errf("the graph has no outputs")
	}
	if len(g.Hidden) > MaxNodes {
		return errf("%d hidden states, at most %d", len(g.Hidden), MaxNodes)
	}
	for _, v := range g.Hidden {
		if x, ok := values[v]; !ok || x.DType != Float {
			return errf("hidden state %q is no f32 value of the graph", v)
		}
	}
	outputs := map[string]bool{}
	for _, o := range g.Outputs {
		if err := checkName("output", o, outputs); err != nil {
			return err
		}
		if _, ok := values[o]; !ok {
			return errf("output %q is not defined", o)
		}
	}
	return nil
}

// infer resolves the operands of n and returns what its op gives.
func (g *Graph) infer(n Node, values map[string]Value, params map[string]*Param) ([]Value, error) {
	if n.Op == nil || reflect.ValueOf(n.Op).Kind() == reflect.Pointer { // executors switch on the value types
		return nil, fmt.Errorf("op %T is unknown", n.Op)
	}
	kind, a := n.Op.Kind(), n.Op.Arity()
	if len(n.In) < a.In || len(n.In) > a.In && !a.More {
		return nil, fmt.Errorf("%s takes %d inputs, has %d", kind, a.In, len(n.In))
	}
	if len(n.Params) != a.Params {
		return nil, fmt.Errorf("%s takes %d params (\"\" for an absent optional one), has %d", kind, a.Params, len(n.Params))
	}
	o := &Operands{g: g, op: n.Op}
	for _, name := range n.In {
		v, ok := values[name]
		if !ok {
			return nil, fmt.Errorf("input %q is not defined before its use", name)
		}
		o.In = append(o.In, v)
	}
	for i, name := range n.Params {
		p := params[name]
		if p == nil && (name != "" || i < a.Params-a.Optional) {
			return nil, fmt.Errorf("param %q (number %d of %s) is not declared", name, i, kind)
		}
		o.Params = append(o.Params, p)
	}
	return n.Op.Infer(o)
}

// define checks name, dtype and shape of a value.
func (g *Graph) define(v Value, names map[string]bool) error {
	if err := checkName("value", v.Name, names); err != nil {
		return err
	}
	if v.DType != Float && v.DType != Int {
		return errf("value %q: dtype %q must be f32 or i32", v.Name, v.DType)
	}
	if err := checkShape(v.Shape, len(g.Symbols), 0); err != nil {
		return errf("value %q: shape %s: %w", v.Name, g.ShapeString(v.Shape), err)
	}
	return nil
}

// checkName checks that a name is printable, of fair length and not in seen, and adds it.
func checkName(what, name string, seen map[string]bool) error {
	if name == "" || len(name) > maxName {
		return errf("%s name %.40q: must have 1 to %d bytes", what, name, maxName)
	}
	for _, r := range name {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar {
			return errf("%s name %q: holds %q", what, name, r)
		}
	}
	if seen[name] {
		return errf("%s %q is defined twice", what, name)
	}
	seen[name] = true
	return nil
}

// checkShape checks rank, symbols, extents of at least least, and the number of elements.
func checkShape(shape []Dim, symbols, least int) error {
	if len(shape) < 1 || len(shape) > maxRank {
		return fmt.Errorf("rank %d, must be 1 to %d", len(shape), maxRank)
	}
	count := 1
	for i, d := range shape {
		if d < 0 {
			if -1-int(d) >= symbols {
				return fmt.Errorf("extent %d is no symbol", d)
			}
			if i > 0 && shape[i-1] >= 0 {
				return fmt.Errorf("a symbol after a number; symbols come first")
			}
			continue
		}
		if int(d) < least || d >= maxExtent {
			return fmt.Errorf("extent %d out of range", d)
		}
		if d > 0 && count > maxCount/int(d) {
			return fmt.Errorf("more than 2^40 elements")
		}
		count *= max(1, int(d))
	}
	return nil
}
