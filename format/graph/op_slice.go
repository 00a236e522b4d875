package graph

import "slices"

func init() { Register[Slice]() }

// Slice takes the indices From, From+Step .. below To of a dimension that is a number: in x; out x with fewer along Axis.
type Slice struct {
	Axis int `json:"axis"`
	From int `json:"from"`
	To   int `json:"to"`
	Step int `json:"step,omitempty"` // 0: 1
}

// Kind implements Op.
func (Slice) Kind() string { return "slice" }

// Arity implements Op.
func (Slice) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a Slice) Infer(o *Operands) ([]Value, error) {
	if o.In[0].DType != Float {
		return o.Fail("C1", "x is %s, must be f32", o.Show(0))
	}
	shape := slices.Clone(o.In[0].Shape)
	if a.Axis < 0 || a.Axis >= len(shape) || shape[a.Axis] < 0 {
		return o.Fail("C2", "axis %d of %s: must be that of a number", a.Axis, o.Show(0))
	}
	if a.From < 0 || a.To <= a.From || a.To > int(shape[a.Axis]) || a.Step < 0 {
		return o.Fail("C3", "from %d to %d by %d: must be a part of the %d of axis %d of %s, step not negative", a.From, a.To, a.Step, shape[a.Axis], a.Axis, o.Show(0))
	}
	step := max(1, a.Step)
	shape[a.Axis] = Dim((a.To-a.From-1)/step + 1)
	return Result(Float, shape...)
}
