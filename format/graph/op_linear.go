package graph

func init() { Register[Linear]() }

// Linear: in x [.., K]; params weight [N, K], bias [N] optional; out [.., N] = x W^T + bias.
type Linear struct{}

// Kind implements Op.
func (Linear) Kind() string { return "linear" }

// Arity implements Op.
func (Linear) Arity() Arity { return Arity{In: 1, Params: 2, Optional: 1} }

// Infer implements Op.
func (Linear) Infer(o *Operands) ([]Value, error) {
	k := o.Features(0)
	if k == 0 {
		return o.Fail("C1", "x is %s, must be f32 [.., K]", o.Show(0))
	}
	w, bias := o.Params[0], o.Params[1]
	if len(w.Shape) != 2 || w.Shape[1] != k {
		return o.Fail("C2", "weight %s has shape %v, must be [N, %d] to match %s", w.Name, w.Shape, k, o.Show(0))
	}
	n := w.Shape[0]
	if bias != nil && !isShape(bias, n) {
		return o.Fail("C3", "bias %s has shape %v, must be [%d] to match weight %s", bias.Name, bias.Shape, n, w.Name)
	}
	return Result(Float, o.Like(0, Dim(n))...)
}

// Linears is what Node.Linears asks.
func (Linear) Linears(n *Node) []Matrix {
	return []Matrix{{Weight: n.Params[0], Bias: n.Params[1], Input: n.In[0]}}
}
