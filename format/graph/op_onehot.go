package graph

func init() { Register[OneHot]() }

// OneHot: in idx i32 [.., K]; out f32 [.., N], 1 at each index and 0 elsewhere.
type OneHot struct {
	N int `json:"n"`
}

// Kind implements Op.
func (OneHot) Kind() string { return "one_hot" }

// Arity implements Op.
func (OneHot) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a OneHot) Infer(o *Operands) ([]Value, error) {
	if v := o.In[0]; v.DType != Int || v.Shape[len(v.Shape)-1] < 1 {
		return o.Fail("C1", "idx is %s, must be i32 [.., K]", o.Show(0))
	}
	if a.N < 1 || a.N >= maxExtent {
		return o.Fail("C2", "n %d must be at least 1", a.N)
	}
	return Result(Float, o.Like(0, Dim(a.N))...)
}
