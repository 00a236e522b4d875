package graph

import "slices"

func init() { Register[Embedding]() }

// Embedding: in ids i32 [..]; param table [V, D]; out [.., D].
type Embedding struct{}

// Kind implements Op.
func (Embedding) Kind() string { return "embedding" }

// Arity implements Op.
func (Embedding) Arity() Arity { return Arity{In: 1, Params: 1} }

// Infer implements Op.
func (Embedding) Infer(o *Operands) ([]Value, error) {
	if o.In[0].DType != Int || len(o.In[0].Shape) > 7 {
		return o.Fail("C1", "ids are %s, must be i32 of at most 7 dimensions", o.Show(0))
	}
	table := o.Params[0]
	if len(table.Shape) != 2 {
		return o.Fail("C2", "table %s has shape %v, must be [V, D]", table.Name, table.Shape)
	}
	return Result(Float, append(slices.Clone(o.In[0].Shape), Dim(table.Shape[1]))...)
}
