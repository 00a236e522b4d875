package graph

import "slices"

func init() { Register[Concat]() }

// Concat joins values along Axis, a number's place in the shape of the first: in x, y ..;
// the others have its shape but for that extent, or lack its leading symbols and are repeated.
type Concat struct {
	Axis int `json:"axis"`
}

// Kind implements Op.
func (Concat) Kind() string { return "concat" }

// Arity implements Op.
func (Concat) Arity() Arity { return Arity{In: 1, More: true} }

// Infer implements Op.
func (a Concat) Infer(o *Operands) ([]Value, error) {
	first := 0 // of the greatest rank
	for i, v := range o.In {
		if len(v.Shape) > len(o.In[first].Shape) {
			first = i
		}
	}
	shape := slices.Clone(o.In[first].Shape)
	lead := symbols(shape)
	if a.Axis < lead || a.Axis >= len(shape) {
		return o.Fail("C1", "axis %d of %s: must be that of a number", a.Axis, o.Show(first))
	}
	shape[a.Axis] = 0
	for i, v := range o.In {
		s := slices.Clone(v.Shape)
		if n := len(shape) - len(s); n == lead {
			s = append(slices.Clone(shape[:lead]), s...)
		}
		if v.DType != Float || len(s) != len(shape) || s[a.Axis] < 0 {
			return o.Fail("C2", "%s beside %s: must be f32 of one shape but for axis %d", o.Show(i), o.Show(first), a.Axis)
		}
		s[a.Axis] += shape[a.Axis]
		shape[a.Axis] = s[a.Axis]
		if !slices.Equal(s, shape) || shape[a.Axis] >= maxExtent {
			return o.Fail("C2", "%s beside %s: must be f32 of one shape but for axis %d", o.Show(i), o.Show(first), a.Axis)
		}
	}
	return Result(Float, shape...)
}
