package graph

import "slices"

func init() { Register[Reshape]() }

// Reshape gives the elements, in their order, another shape: in x; out [Shape]. Leading symbols stay.
type Reshape struct {
	Shape []Dim `json:"shape"`
}

// Kind implements Op.
func (Reshape) Kind() string { return "reshape" }

// Arity implements Op.
func (Reshape) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a Reshape) Infer(o *Operands) ([]Value, error) {
	if err := checkShape(a.Shape, len(o.g.Symbols), 0); err != nil {
		return o.Fail("C1", "shape %s: %v", o.g.ShapeString(a.Shape), err)
	}
	from := o.In[0].Shape
	lead := symbols(from)
	if symbols(a.Shape) != lead || !slices.Equal(a.Shape[:lead], from[:lead]) || prod(a.Shape[lead:]) != prod(from[lead:]) {
		return o.Fail("C2", "%s cannot take the shape %s: leading symbols and the number of elements must be the same", o.Show(0), o.g.ShapeString(a.Shape))
	}
	return Result(o.In[0].DType, a.Shape...)
}
