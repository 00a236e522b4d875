package graph

import "qpt/internal/num"

func init() { Register[BatchNorm]() }

// BatchNorm is (x - mean) / sqrt(var + Eps) * weight + bias for each feature, with statistics that are constants:
// in x [.., C]; params mean [C], var [C], weight [C], bias [C], the last two optional; out the shape of x.
type BatchNorm struct {
	Eps float64 `json:"eps"`
}

// Kind implements Op.
func (BatchNorm) Kind() string { return "batchnorm" }

// Arity implements Op.
func (BatchNorm) Arity() Arity { return Arity{In: 1, Params: 4, Optional: 2} }

// Infer implements Op.
func (a BatchNorm) Infer(o *Operands) ([]Value, error) {
	c := o.Features(0)
	if c == 0 {
		return o.Fail("C1", "x is %s, must be f32 [.., C]", o.Show(0))
	}
	for i, name := range []string{"mean", "var", "weight", "bias"} {
		if p := o.Params[i]; p != nil && !isShape(p, c) {
			return o.Fail("C2", "%s %s has shape %v, must be [%d]", name, p.Name, p.Shape, c)
		}
	}
	if !num.Finite(a.Eps) || a.Eps < 0 {
		return o.Fail("C3", "eps %v must be finite and not negative", a.Eps)
	}
	return Result(Float, o.In[0].Shape...)
}
