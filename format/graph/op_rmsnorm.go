package graph

import "qpt/internal/num"

func init() { Register[RMSNorm]() }

// RMSNorm: in x [.., D]; param weight [D]; out x / sqrt(mean(x^2) + Eps) * (weight + Offset).
type RMSNorm struct {
	Eps    float64 `json:"eps"`
	Offset float64 `json:"offset,omitempty"` // Gemma: 1
}

// Kind implements Op.
func (RMSNorm) Kind() string { return "rmsnorm" }

// Arity implements Op.
func (RMSNorm) Arity() Arity { return Arity{In: 1, Params: 1} }

// Infer implements Op.
func (a RMSNorm) Infer(o *Operands) ([]Value, error) {
	d := o.Features(0)
	if d == 0 {
		return o.Fail("C1", "x is %s, must be f32 [.., D]", o.Show(0))
	}
	if w := o.Params[0]; !isShape(w, d) {
		return o.Fail("C2", "weight %s has shape %v, must be [%d]", w.Name, w.Shape, d)
	}
	if !num.Finite(a.Eps) || a.Eps < 0 || !num.Finite(a.Offset) {
		return o.Fail("C3", "eps %v, offset %v: must be finite, eps not negative", a.Eps, a.Offset)
	}
	return Result(Float, o.In[0].Shape...)
}
