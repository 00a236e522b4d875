package graph

func init() { Register[Softmax]() }

// Softmax: in x [.., D]; out e^x / sum(e^x) over the last dimension.
type Softmax struct{}

// Kind implements Op.
func (Softmax) Kind() string { return "softmax" }

// Arity implements Op.
func (Softmax) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (Softmax) Infer(o *Operands) ([]Value, error) {
	if o.Features(0) == 0 {
		return o.Fail("C1", "x is %s, must be f32 [.., D]", o.Show(0))
	}
	return Result(Float, o.In[0].Shape...)
}
