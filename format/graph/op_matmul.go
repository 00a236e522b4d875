package graph

import "slices"

func init() { Register[MatMul]() }

// MatMul multiplies rows of two values: in x [.., M, K], y [.., N, K] with the same leading extents; out [.., M, N],
// out[m, n] = sum_k x[m, k] * y[n, k].
type MatMul struct{}

// Kind implements Op.
func (MatMul) Kind() string { return "matmul" }

// Arity implements Op.
func (MatMul) Arity() Arity { return Arity{In: 2} }

// Infer implements Op.
func (MatMul) Infer(o *Operands) ([]Value, error) {
	for i := range 2 {
		if n := len(o.In[i].Shape); o.Features(i) == 0 || n < 2 || o.In[i].Shape[n-2] < 1 {
			return o.Fail("C1", "an operand is %s, must be f32 [.., M, K] with numbers M and K above 0", o.Show(i))
		}
	}
	x, y := o.In[0].Shape, o.In[1].Shape
	n := len(x)
	if len(y) != n || !slices.Equal(x[:n-2], y[:n-2]) || x[n-1] != y[n-1] {
		return o.Fail("C2", "%s and %s: must have the same K and the same leading extents", o.Show(0), o.Show(1))
	}
	return Result(Float, o.Like(0, y[n-2])...)
}
