package graph

import "slices"

func init() { Register[ExpertLinear]() }

// ExpertLinear applies to each row the linear layers that idx names: in x
// [.., K], for all of a row's choices, or [.., C, K], one row a choice, and idx i32 [.., C]; params Experts weights
// [N, K], then with Bias as many biases [N]; out [.., C, N]. Without idx, row e of each [Experts, K] of x meets
// expert e: a linear layer for each head.
type ExpertLinear struct {
	Experts int  `json:"experts"`
	Bias    bool `json:"bias,omitempty"`
}

// Kind implements Op.
func (ExpertLinear) Kind() string { return "expert_linear" }

// Arity implements Op.
func (a ExpertLinear) Arity() Arity {
	n := max(0, min(a.Experts, MaxParams))
	if a.Bias {
		n *= 2
	}
	return Arity{In: 1, More: true, Params: n}
}

// Of is the expert that row i of the result meets, idx being the tensor of that operand, nil without one.
func (a ExpertLinear) Of(idx []int32, i int) int {
	if idx == nil {
		return i % a.Experts
	}
	return int(idx[i])
}

// Infer implements Op.
func (a ExpertLinear) Infer(o *Operands) ([]Value, error) {
	k := o.Features(0)
	if k == 0 {
		return o.Fail("C1", "x is %s, must be f32 [.., K]", o.Show(0))
	}
	if a.Experts < 1 || a.Experts > MaxParams {
		return o.Fail("C3", "experts %d must be positive", a.Experts)
	}
	x := o.In[0].Shape
	idx, lead := x[:len(x)-1], x[:len(x)-1]
	switch {
	case len(o.In) > 2:
		return o.Fail("C2", "input %s has no meaning here", o.Show(2))
	case len(o.In) == 1:
		if len(x) < 2 || int(x[len(x)-2]) != a.Experts {
			return o.Fail("C2", "x is %s, must be f32 [.., %d, K] without idx", o.Show(0), a.Experts)
		}
	default:
		idx = o.In[1].Shape
		if o.In[1].DType != Int || idx[len(idx)-1] < 1 || !slices.Equal(lead, idx) && !slices.Equal(lead, idx[:len(idx)-1]) {
			return o.Fail("C2", "idx is %s, must be i32 [.., C] for x [.., K] or [.., C, K]; x is %s", o.Show(1), o.Show(0))
		}
	}
	var n int
	for i, p := range o.Params {
		switch {
		case i == 0 && len(p.Shape) == 2:
			n = p.Shape[0]
			fallthrough
		case i < a.Experts:
			if !isShape(p, n, k) {
				return o.Fail("C4", "weight %s has shape %v, must be [N, %d] to match %s, with the N of all", p.Name, p.Shape, k, o.Show(0))
			}
		default:
			if !isShape(p, n) {
				return o.Fail("C5", "bias %s has shape %v, must be [%d]", p.Name, p.Shape, n)
			}
		}
	}
	return Result(Float, append(slices.Clone(idx), Dim(n))...)
}

// Linears is what Node.Linears asks.
func (a ExpertLinear) Linears(n *Node) []Matrix {
	list := make([]Matrix, a.Experts)
	for i := range list {
		list[i] = Matrix{Weight: n.Params[i], Input: n.In[0], Routed: true}
		if a.Bias {
			list[i].Bias = n.Params[a.Experts+i]
		}
	}
	return list
}
