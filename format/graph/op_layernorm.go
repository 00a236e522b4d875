package graph

import "qpt/internal/num"

func init() { Register[LayerNorm]() }

// LayerNorm: in x [.., D]; params weight [D], bias [D], both optional; out (x - mean) / sqrt(variance + Eps) * weight + bias.
type LayerNorm struct {
	Eps float64 `json:"eps"`
}

// Kind implements Op.
func (LayerNorm) Kind() string { return "layernorm" }

// Arity implements Op.
func (LayerNorm) Arity() Arity { return Arity{In: 1, Params: 2, Optional: 2} }

// Infer implements Op.
func (a LayerNorm) Infer(o *Operands) ([]Value, error) {
	d := o.Features(0)
	if d == 0 {
		return o.Fail("C1", "x is %s, must be f32 [.., D]", o.Show(0))
	}
	for i, name := range []string{"weight", "bias"} {
		if p := o.Params[i]; p != nil && !isShape(p, d) {
			return o.Fail("C2", "%s %s has shape %v, must be [%d]", name, p.Name, p.Shape, d)
		}
	}
	if !num.Finite(a.Eps) || a.Eps < 0 {
		return o.Fail("C3", "eps %v must be finite and not negative", a.Eps)
	}
	return Result(Float, o.In[0].Shape...)
}
