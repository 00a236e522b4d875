package graph

import (
	"fmt"
	"reflect"
	"slices"
)

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

// Inputs are the inputs declared so far.
func (b *Builder) Inputs() []Value { return b.g.Inputs }

// Param declares a constant tensor and returns its name; declaring it again
// with the same shape (tied weights) is fine.
func (b *Builder) Param(name string, shape ...int) string {
	return b.add(Param{Name: name, Shape: shape})
}

// View declares a constant tensor that is a part of one of the checkpoint's.
func (b *Builder) View(name string, v View, shape ...int) string {
	return b.add(Param{name, shape, &v})
}

func (b *Builder) add(p Param) string {
	if old := b.params[p.Name]; old == nil {
		b.g.Params = append(b.g.Params, p)
		b.params[p.Name] = &p
	} else if !reflect.DeepEqual(*old, p) && b.err == nil {
		b.err = errf("param %q declared with shapes %v and %v, or other views", p.Name, old.Shape, p.Shape)
	}
	return p.Name
}

// Node appends a node and returns its one result, which bears the node's name.
func (b *Builder) Node(name string, op Op, in []string, params ...string) string {
	b.Nodes(name, op, in, params, name)
	return name
}

// Nodes appends a node whose results get the names of out.
func (b *Builder) Nodes(name string, op Op, in, params []string, out ...string) {
	n := Node{Name: name, Op: op, In: in, Params: params, Out: out}
	list, err := b.g.infer(n, b.values, b.params)
	if err == nil && len(list) != len(out) {
		err = fmt.Errorf("%s has %d results, %d names given", op.Kind(), len(list), len(out))
	}
	if err != nil && b.err == nil {
		b.err = errf("node %q: %w", name, err)
	}
	b.g.Nodes = append(b.g.Nodes, n)
	for i, name := range out {
		v := Value{Name: name}
		if err == nil {
			v.DType, v.Shape = list[i].DType, slices.Clone(list[i].Shape) // no two values share one
		}
		b.values[name] = v
		b.g.Values = append(b.g.Values, v)
	}
}

// Shape is that of a value so far.
func (b *Builder) Shape(value string) ([]Dim, error) {
	v, ok := b.values[value]
	if b.err == nil && !ok {
		return nil, errf("value %q is not defined", value)
	}
	return v.Shape, b.err
}

// Linear appends a linear layer; bias is "" for none.
func (b *Builder) Linear(name, x, weight, bias string) string {
	return b.Node(name, Linear{}, []string{x}, weight, bias)
}

// Binary appends "add", "mul" ... of two values.
func (b *Builder) Binary(name, fn, x, y string) string {
	return b.Node(name, Binary{Func: fn}, []string{x, y})
}

// Scalar appends "add", "mul" ... of a value and a number, rounded to float32.
func (b *Builder) Scalar(name, fn, x string, y float64) string {
	y = float64(float32(y))
	return b.Node(name, Binary{Func: fn, Scalar: &y}, []string{x})
}

// Output makes a value an output: the result of the last node under a name of its own, which is the value's from then on, any other under its name.
func (b *Builder) Output(name, value string) {
	if n := len(b.g.Nodes) - 1; name == value && b.values[name].Name == name {
		// as it is
	} else if n >= 0 && len(b.g.Nodes[n].Out) == 1 && b.g.Nodes[n].Out[0] == value {
		b.g.Nodes[n].Out = []string{name}
		v := &b.g.Values[len(b.g.Values)-1]
		v.Name = name
		delete(b.values, value)
		b.values[name] = *v
	} else {
		if b.err == nil {
			b.err = errf("output %q: value %q must be the result of the last node", name, value)
		}
		return
	}
	b.g.Outputs = append(b.g.Outputs, name)
}

// Hidden marks a value as the next of the graph's hidden states.
func (b *Builder) Hidden(value string) { b.g.Hidden = append(b.g.Hidden, value) }

// Partial is the graph so far, not verified, without outputs.
func (b *Builder) Partial() (*Graph, error) { return &b.g, b.err }

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
