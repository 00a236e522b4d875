package graph

import "slices"

// Builder makes a graph node by node; shapes are inferred. The first error
// sticks and comes out of Graph, so that converters need not check each step.
//
//	b := graph.NewBuilder()
//	t := b.Symbol("T")
//	ids := b.Input("ids", graph.Int, t)
//	h := b.Node("embed", graph.Embedding{}, []string{ids}, b.Param("embed.weight", 512, 64))
//	h = b.Linear("head", h, b.Param("head.weight", 512, 64), "")
//	b.Output("logits", h)
//	g, err := b.Graph()
type Builder struct {
	g      Graph
	values map[string]Value
	params map[string]*Param
	err    error
}

// NewBuilder returns an empty builder.
func NewBuilder() *Builder {
	return &Builder{values: map[string]Value{}, params: map[string]*Param{}}
}

// Symbol declares a symbolic extent.
func (b *Builder) Symbol(name string) Dim {
	b.g.Symbols = append(b.g.Symbols, name)
	return -Dim(len(b.g.Symbols))
}

// Input declares an input of the graph and returns its name.
func (b *Builder) Input(name string, t DType, shape ...Dim) string {
	v := Value{name, t, shape}
	b.g.Inputs = append(b.g.Inputs, v)
	b.values[name] = v
	return name
}

// Param declares a constant tensor and returns its name; declaring it again
// with the same shape (tied weights) is fine.
func (b *Builder) Param(name string, shape ...int) string {
	if p := b.params[name]; p == nil {
		b.g.Params = append(b.g.Params, Param{name, shape})
		b.params[name] = &Param{name, shape}
	} else if !slices.Equal(p.Shape, shape) && b.err == nil {
		b.err = errf("param %q declared with shapes %v and %v", name, p.Shape, shape)
	}
	return name
}

// Node appends a node and returns its result, which bears the node's name.
func (b *Builder) Node(name string, op Op, in []string, params ...string) string {
	n := Node{Name: name, Op: op, In: in, Params: params, Out: []string{name}}
	v, err := b.g.infer(n, b.values, b.params)
	if err != nil && b.err == nil {
		b.err = errf("node %q: %w", name, err)
	}
	v.Name = name
	v.Shape = slices.Clone(v.Shape) // no two values share one
	b.values[name] = v
	b.g.Nodes = append(b.g.Nodes, n)
	b.g.Values = append(b.g.Values, v)
	return name
}

// Linear appends a linear layer; bias is "" for none.
func (b *Builder) Linear(name, x, weight, bias string) string {
	return b.Node(name, Linear{}, []string{x}, weight, bias)
}

// Binary appends "add" or "mul".
func (b *Builder) Binary(name, fn, x, y string) string {
	return b.Node(name, Binary{Func: fn}, []string{x, y})
}

// Output makes the result of the last node an output under a name of its own.
func (b *Builder) Output(name, value string) {
	if n := len(b.g.Nodes); n == 0 || b.g.Nodes[n-1].Out[0] != value {
		if b.err == nil {
			b.err = errf("output %q: value %q must be the result of the last node", name, value)
		}
		return
	}
	n := len(b.g.Nodes) - 1
	b.g.Nodes[n].Out[0] = name
	b.g.Values[n].Name = name
	b.g.Outputs = append(b.g.Outputs, name)
}

// Graph returns the verified graph.
func (b *Builder) Graph() (*Graph, error) {
	if b.err != nil {
		return nil, b.err
	}
	if err := b.g.Verify(); err != nil {
		return nil, err
	}
	return &b.g, nil
}
