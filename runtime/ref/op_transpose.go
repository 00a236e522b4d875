package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.Transpose) error {
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			strides := make([]int, len(op.Perm)) // in x, by dimension of out
			for i, p := range op.Perm {
				_, strides[i] = around(x.Shape, p+1)
			}
			index := make([]int, len(op.Perm)) // of an element of out
			for i := range out.F {
				at := 0
				for j, k := range index {
					at += k * strides[j]
				}
				out.F[i] = x.F[at]
				for j := len(index) - 1; j >= 0; j-- {
					if index[j]++; index[j] < out.Shape[j] {
						break
					}
					index[j] = 0
				}
			}
		}
		return nil
	})
}
