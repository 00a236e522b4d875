package ref

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.BatchNorm) error {
		var p [4][]float32
		for i := range p {
			var err error
			if p[i], err = c.Param(i); err != nil {
				return err
			}
		}
		c.EachRow(func(s, i int) {
			x, y := c.Operand(0, s).Row(i), c.Out[0][s].Row(i)
			for j, v := range x {
				z := (float64(v) - float64(p[0][j])) / math.Sqrt(float64(p[1][j])+op.Eps)
				y[j] = float32(affine(z, p[2], p[3], j))
			}
		})
		return nil
	})
}

// affine is z * w + b, as far as there are w and b.
func affine(z float64, w, b []float32, i int) float64 {
	if w != nil {
		z *= float64(w[i])
	}
	if b != nil {
		z += float64(b[i])
	}
	return z
}
