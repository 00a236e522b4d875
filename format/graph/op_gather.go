package graph

func init() { Register[Gather]() }

// Gather picks rows: in x [T, D], rows i32 [R]; out [R, D].
type Gather struct{}

// Kind implements Op.
func (Gather) Kind() string { return "gather" }

// Arity implements Op.
func (Gather) Arity() Arity { return Arity{In: 2} }

// Infer implements Op.
func (Gather) Infer(o *Operands) ([]Value, error) {
	if !o.Is(0, Float, 2) {
		return o.Fail("C1", "x is %s, must be f32 [T, D]", o.Show(0))
	}
	if !o.Is(1, Int, 1) {
		return o.Fail("C2", "rows are %s, must be i32 [R]", o.Show(1))
	}
	return Result(Float, o.In[1].Shape[0], o.In[0].Shape[1])
}
