package graph

import "qpt/internal/num"

func init() { Register[L2Norm]() }

// L2Norm gives each row the length 1: in x [.., D]; out x / max(|x|, Eps), |x| the 2-norm of a row.
type L2Norm struct {
	Eps float64 `json:"eps"`
}

// Kind implements Op.
func (L2Norm) Kind() string { return "l2norm" }

// Arity implements Op.
func (L2Norm) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a L2Norm) Infer(o *Operands) ([]Value, error) {
	if o.Features(0) == 0 {
		return o.Fail("C1", "x is %s, must be f32 [.., D]", o.Show(0))
	}
	if !num.Finite(a.Eps) || a.Eps <= 0 {
		return o.Fail("C2", "eps %v must be finite and positive", a.Eps)
	}
	return Result(Float, o.In[0].Shape...)
}
