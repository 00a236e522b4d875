package graph

import "slices"

func init() { Register[Take]() }

// Take picks within rows: in x f32 [.., E], idx i32 [.., K]; out f32 [.., K], out[.., j] = x[.., idx[.., j]].
type Take struct{}

// Kind implements Op.
func (Take) Kind() string { return "take" }

// Arity implements Op.
func (Take) Arity() Arity { return Arity{In: 2} }

// Infer implements Op.
func (Take) Infer(o *Operands) ([]Value, error) {
	if o.Features(0) == 0 {
		return o.Fail("C1", "x is %s, must be f32 [.., E]", o.Show(0))
	}
	x, idx := o.In[0].Shape, o.In[1].Shape
	if !o.Is(1, Int, len(x)) || idx[len(idx)-1] < 1 || !slices.Equal(x[:len(x)-1], idx[:len(idx)-1]) {
		return o.Fail("C2", "idx is %s, must be i32 [.., K] with the leading extents of %s", o.Show(1), o.Show(0))
	}
	return Result(Float, idx...)
}
