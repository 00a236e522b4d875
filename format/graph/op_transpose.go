package graph

func init() { Register[Transpose]() }

// Transpose permutes dimensions: in x; out has extent Perm[i] of x at place i. Symbols stay where they are.
type Transpose struct {
	Perm []int `json:"perm"`
}

// Kind implements Op.
func (Transpose) Kind() string { return "transpose" }

// Arity implements Op.
func (Transpose) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a Transpose) Infer(o *Operands) ([]Value, error) {
	if o.In[0].DType != Float {
		return o.Fail("C1", "x is %s, must be f32", o.Show(0))
	}
	from := o.In[0].Shape
	shape, seen := make([]Dim, len(from)), make([]bool, len(from))
	for i, p := range a.Perm {
		if len(a.Perm) != len(from) || p < 0 || p >= len(from) || seen[p] || from[p] < 0 && p != i {
			return o.Fail("C2", "perm %v of %s: must name each dimension once, and keep symbols where they are", a.Perm, o.Show(0))
		}
		shape[i], seen[p] = from[p], true
	}
	if len(a.Perm) == 0 {
		return o.Fail("C2", "perm is empty")
	}
	return Result(Float, shape...)
}
