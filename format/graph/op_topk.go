package graph

func init() { Register[TopK]() }

// TopK: in x [.., E]; out the K greatest of each row, greatest first, f32 [.., K], and their indices, i32 [.., K].
type TopK struct {
	K int `json:"k"`
}

// Kind implements Op.
func (TopK) Kind() string { return "topk" }

// Arity implements Op.
func (TopK) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a TopK) Infer(o *Operands) ([]Value, error) {
	e := o.Features(0)
	if e == 0 {
		return o.Fail("C1", "x is %s, must be f32 [.., E]", o.Show(0))
	}
	if a.K < 1 || a.K > e {
		return o.Fail("C2", "k %d must be from 1 to the %d values of a row", a.K, e)
	}
	return []Value{{DType: Float, Shape: o.Like(0, Dim(a.K))}, {DType: Int, Shape: o.Like(0, Dim(a.K))}}, nil
}
