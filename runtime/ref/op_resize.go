package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.Resize) error {
		r := len(op.Size)
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			g := gridOf(x, out, r)
			n := make([]int, r)
			index, weight := make([][]int, r), make([][]float64, r)
			for j := range r {
				n[j], index[j], weight[j] = op.Taps(j, g.in[j])
			}
			places := product(g.out)
			c.each(g.lead*places, func(row int) {
				o := place(row%places, g.out)
				y := out.Row(row)
				sum := make([]float64, len(y))
				for t := range product(n) {
					p, by := place(t, n), 1.0
					for j := range p {
						k := o[j]*n[j] + p[j]
						p[j], by = index[j][k], by*weight[j][k]
					}
					for i, v := range x.Row(g.at(row/places, p)) {
						sum[i] += by * float64(v)
					}
				}
				for i, v := range sum {
					y[i] = float32(v)
				}
			})
		}
		return nil
	})
}
