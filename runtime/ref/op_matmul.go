package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.MatMul) error {
		for s, out := range c.Out[0] {
			x, y := c.Operand(0, s), c.Operand(1, s)
			m, k, n := x.Shape[len(x.Shape)-2], x.Shape[len(x.Shape)-1], y.Shape[len(y.Shape)-2]
			c.each(out.Rows()/m, func(i int) {
				var xs, ys [][]float32
				for r := i * m; r < (i+1)*m; r++ {
					xs, ys = append(xs, x.Row(r)), append(ys, out.Row(r))
				}
				c.dot(ys, 0, xs, y.F[i*n*k:(i+1)*n*k])
			})
		}
		return nil
	})
}
