package graph

import "slices"

func init() { Register[WeightedSum]() }

// WeightedSum joins what experts gave: in y [.., C, N], w [.., C]; out [.., N], the sum over c of w[.., c] * y[.., c].
type WeightedSum struct{}

// Kind implements Op.
func (WeightedSum) Kind() string { return "weighted_sum" }

// Arity implements Op.
func (WeightedSum) Arity() Arity { return Arity{In: 2} }

// Infer implements Op.
func (WeightedSum) Infer(o *Operands) ([]Value, error) {
	y := o.In[0].Shape
	if o.Features(0) == 0 || len(y) < 2 || y[len(y)-2] < 1 {
		return o.Fail("C1", "y is %s, must be f32 [.., C, N]", o.Show(0))
	}
	if w := o.In[1]; w.DType != Float || !slices.Equal(w.Shape, y[:len(y)-1]) {
		return o.Fail("C2", "w is %s, must be f32 [.., C] with the leading extents of %s", o.Show(1), o.Show(0))
	}
	return Result(Float, append(slices.Clone(y[:len(y)-2]), y[len(y)-1])...)
}
