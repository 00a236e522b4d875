package ref

import (
	"math"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.GroupNorm) error {
		w, err := c.Param(0)
		if err != nil {
			return err
		}
		b, err := c.Param(1)
		if err != nil {
			return err
		}
		for s, out := range c.Out[0] {
			x := c.Operand(0, s)
			_, size := around(x.Shape, 1)
			channels := x.Shape[len(x.Shape)-1]
			width := channels / op.Groups
			c.each(x.Shape[0]*op.Groups, func(i int) {
				at := i/op.Groups*size + i%op.Groups*width
				sum, n := 0.0, float64(size/op.Groups)
				each := func(f func(k, channel int)) {
					for r := 0; r < size; r += channels {
						for j := range width {
							f(at+r+j, i%op.Groups*width+j)
						}
					}
				}
				each(func(k, _ int) { sum += float64(x.F[k]) })
				mean, square := sum/n, 0.0
				each(func(k, _ int) { d := float64(x.F[k]) - mean; square += float64(d * d) })
				inv := 1 / math.Sqrt(square/n+op.Eps)
				each(func(k, channel int) { out.F[k] = float32(affine((float64(x.F[k])-mean)*inv, w, b, channel)) })
			})
		}
		return nil
	})
}
