package graph

func init() { Register[Unfold]() }

// Unfold puts the rows round each row side by side, for a convolution along a sequence: in x f32 [T, D]; out f32 [T, Size*D], row t being the
// rows t-(Size-1)/2 to t+(Size-1)/2 of the same sequence, zeros where there are none.
type Unfold struct {
	Size int `json:"size"`
}

// Kind implements Op.
func (Unfold) Kind() string { return "unfold" }

// Arity implements Op.
func (Unfold) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a Unfold) Infer(o *Operands) ([]Value, error) {
	if !o.Is(0, Float, 2) || o.Features(0) == 0 || o.g.symbol(o.In[0].Shape[0]) != "T" {
		return o.Fail("C1", "x is %s, must be f32 [T, D]", o.Show(0))
	}
	if a.Size < 1 || a.Size%2 == 0 {
		return o.Fail("C2", "size %d must be odd", a.Size)
	}
	return Result(Float, o.In[0].Shape[0], Dim(a.Size*o.Features(0)))
}
