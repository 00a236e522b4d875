package graph

// Source gives the constant tensors of a graph as float32. A row is one index
// of the first dimension; a tensor of rank 1 is a single row. dst holds
// (r1-r0) * rowLength values.
type Source interface {
	ReadRows(name string, r0, r1 int, dst []float32) error
}

// Tensor is a dense row-major value: F or I, by its dtype.
type Tensor struct {
	Shape []int
	F     []float32
	I     []int32
}

// Row returns row i of a [.., D] float tensor, all leading dimensions taken as one.
func (t Tensor) Row(i int) []float32 {
	d := t.Shape[len(t.Shape)-1]
	return t.F[i*d : (i+1)*d : (i+1)*d]
}

// Rows is the product of all dimensions but the last.
func (t Tensor) Rows() int {
	n := 1
	for _, d := range t.Shape[:len(t.Shape)-1] {
		n *= d
	}
	return n
}
