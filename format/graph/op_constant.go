package graph

func init() { Register[Constant]() }

// Constant makes a param a value: param [..]; out f32 [..].
type Constant struct{}

// Kind implements Op.
func (Constant) Kind() string { return "constant" }

// Arity implements Op.
func (Constant) Arity() Arity { return Arity{Params: 1} }

// Infer implements Op.
func (Constant) Infer(o *Operands) ([]Value, error) {
	var shape []Dim
	for _, d := range o.Params[0].Shape {
		shape = append(shape, Dim(d))
	}
	return Result(Float, shape...)
}
