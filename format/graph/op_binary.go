package graph

import (
	"slices"
)

func init() { Register[Binary]() }

// Binary combines two values element by element with Func, one of BinaryFuncs:
// in x, y; out their shapes joined (Broadcast). With Scalar set there is no y: each
// element of x meets that number, a float32.
type Binary struct {
	Func   string   `json:"func"`
	Scalar *float64 `json:"scalar,omitempty"`
}

// BinaryFuncs are the functions of Binary; spec/ops.md has their formulas.
var BinaryFuncs = []string{"add", "sub", "mul", "div", "max", "min", "pow", "gt", "ge", "lt", "le", "eq", "ne", "keep"}

// Kind implements Op.
func (Binary) Kind() string { return "binary" }

// Arity implements Op.
func (a Binary) Arity() Arity {
	if a.Scalar != nil {
		return Arity{In: 1}
	}
	return Arity{In: 2}
}

// Infer implements Op.
func (a Binary) Infer(o *Operands) ([]Value, error) {
	shape := o.In[0].Shape
	if o.In[0].DType != Float {
		return o.Fail("C1", "x is %s, must be f32", o.Show(0))
	}
	if a.Scalar == nil {
		var ok bool
		if shape, ok = Broadcast(shape, o.In[1].Shape); !ok || o.In[1].DType != Float {
			return o.Fail("C1", "operands %s and %s must be f32 of one shape, but for extents of 1 or leading ones that are absent", o.Show(0), o.Show(1))
		}
	}
	if !slices.Contains(BinaryFuncs, a.Func) {
		return o.Unknown("C2", "func", a.Func, BinaryFuncs...)
	}
	if a.Scalar != nil && !single(*a.Scalar) {
		return o.Fail("C3", "scalar %v must be a finite float32 number", *a.Scalar)
	}
	return Result(Float, shape...)
}

// Broadcast joins two shapes, last extents side by side: where one has the
// extent 1, or none, its elements repeat.
func Broadcast(a, b []Dim) (shape []Dim, ok bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	shape = slices.Clone(a)
	for i, d := range b {
		if at := &shape[len(a)-len(b)+i]; *at == 1 {
			*at = d
		} else if d != 1 && d != *at {
			return nil, false
		}
	}
	return shape, true
}
