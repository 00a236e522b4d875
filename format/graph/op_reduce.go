package graph

import (
	"slices"
)

func init() { Register[Reduce]() }

// Reduce folds a dimension that is a number with Func, one of ReduceFuncs: in x; out x with extent 1 along Axis.
type Reduce struct {
	Func string `json:"func"`
	Axis int    `json:"axis"`
}

// ReduceFuncs are the functions of Reduce.
var ReduceFuncs = []string{"mean", "sum", "max", "min"}

// Kind implements Op.
func (Reduce) Kind() string { return "reduce" }

// Arity implements Op.
func (Reduce) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a Reduce) Infer(o *Operands) ([]Value, error) {
	if o.In[0].DType != Float {
		return o.Fail("C1", "x is %s, must be f32", o.Show(0))
	}
	shape := slices.Clone(o.In[0].Shape)
	if a.Axis < 0 || a.Axis >= len(shape) || shape[a.Axis] < 1 {
		return o.Fail("C2", "axis %d of %s: must be that of a number above 0", a.Axis, o.Show(0))
	}
	if !slices.Contains(ReduceFuncs, a.Func) {
		return o.Unknown("C3", "func", a.Func, ReduceFuncs...)
	}
	shape[a.Axis] = 1
	return Result(Float, shape...)
}
