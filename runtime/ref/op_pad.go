package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.Pad) error {
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			at := len(x.Shape) - len(op.Pad)/2
			for i := range out.F {
				p := place(i, out.Shape)
				for j := range op.Pad[:len(op.Pad)/2] {
					p[at+j] -= op.Pad[2*j]
					if n := x.Shape[at+j]; op.Mode == "edge" {
						p[at+j] = min(max(p[at+j], 0), n-1)
					} else if op.Mode == "reflect" {
						p[at+j] = max(p[at+j], -p[at+j])
						p[at+j] = min(p[at+j], 2*(n-1)-p[at+j])
					}
				}
				if k := (grid{in: x.Shape}).at(0, p); k >= 0 {
					out.F[i] = x.F[k]
				} else {
					out.F[i] = float32(op.Value)
				}
			}
		}
		return nil
	})
}
