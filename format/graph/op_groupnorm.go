package graph

import "qpt/internal/num"

func init() { Register[GroupNorm]() }

// GroupNorm normalizes Groups groups of neighbouring features, each over all places of an image: in x [B, .., C]; params
// weight [C], bias [C], both optional; out (x - mean) / sqrt(variance + Eps) * weight + bias. Groups = C is the instance norm.
type GroupNorm struct {
	Groups int     `json:"groups"`
	Eps    float64 `json:"eps"`
}

// Kind implements Op.
func (GroupNorm) Kind() string { return "groupnorm" }

// Arity implements Op.
func (GroupNorm) Arity() Arity { return Arity{In: 1, Params: 2, Optional: 2} }

// Infer implements Op.
func (a GroupNorm) Infer(o *Operands) ([]Value, error) {
	c := o.Features(0)
	if c == 0 || len(o.In[0].Shape) < 2 || symbols(o.In[0].Shape) > 1 {
		return o.Fail("C1", "x is %s, must be f32 [B, .., C], where only B may be a symbol", o.Show(0))
	}
	if a.Groups < 1 || c%a.Groups != 0 {
		return o.Fail("C2", "%d groups of the %d features of %s", a.Groups, c, o.Show(0))
	}
	for i, name := range []string{"weight", "bias"} {
		if p := o.Params[i]; p != nil && !isShape(p, c) {
			return o.Fail("C3", "%s %s has shape %v, must be [%d]", name, p.Name, p.Shape, c)
		}
	}
	if !num.Finite(a.Eps) || a.Eps < 0 {
		return o.Fail("C4", "eps %v must be finite and not negative", a.Eps)
	}
	return Result(Float, o.In[0].Shape...)
}
