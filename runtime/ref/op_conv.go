package ref

import (
	"fmt"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.Conv) error {
		return c.conv(op.Window, op.Groups, func(a graph.Axis, o, t int) (int, bool) { return o*a.Stride - a.Before + t*a.Dilation, true })
	})
	Register(func(c *Call, op graph.ConvTranspose) error {
		return c.conv(op.Window, op.Groups, func(a graph.Axis, o, t int) (int, bool) {
			i := o + a.Before - t*a.Dilation
			return i / a.Stride, i >= 0 && i%a.Stride == 0
		})
	})
}

// conv gathers for each place of the result the elements that from says for it and each tap, and multiplies them by the weights.
func (c *Call) conv(w graph.Window, groups int, from func(a graph.Axis, o, t int) (int, bool)) error {
	weight := c.params[c.Node.Params[0]].Shape
	n, kernel := weight[0], weight[1:len(weight)-1]
	axes, taps, groups := w.Axes(kernel), product(kernel), max(groups, 1)
	width := weight[len(weight)-1] // channels of a group
	values := make([]float32, product(weight))
	if err := c.src.ReadRows(c.Node.Params[0], 0, n, values); err != nil {
		return err
	}
	bias, err := c.Param(1)
	if err != nil {
		return err
	}
	if len(values) != n*taps*width {
		return fmt.Errorf("weight %v", weight)
	}
	for s, out := range c.Out[0] {
		x := c.Operand(0, s)
		g := gridOf(x, out, len(kernel))
		places := product(g.out)
		const block = 64
		c.each((g.lead*places+block-1)/block, func(job int) {
			patch := make([]float32, block*taps*width)
			for group := range groups {
				var xs, ys [][]float32
				for r := job * block; r < min((job+1)*block, g.lead*places); r++ {
					row := patch[len(xs)*taps*width:][:taps*width]
					clear(row)
					o := place(r%places, g.out)
					p := make([]int, len(o))
				next:
					for t := range taps {
						for j, k := range place(t, kernel) {
							var ok bool
							if p[j], ok = from(axes[j], o[j], k); !ok {
								continue next
							}
						}
						if at := g.at(r/places, p); at >= 0 {
							copy(row[t*width:][:width], x.Row(at)[group*width:])
						}
					}
					xs, ys = append(xs, row), append(ys, out.Row(r)[group*(n/groups):][:n/groups])
				}
				c.dot(ys, 0, xs, values[group*(n/groups)*taps*width:][:n/groups*taps*width])
			}
			for r := job * block; r < min((job+1)*block, g.lead*places); r++ {
				for j, b := range bias {
					out.Row(r)[j] += b
				}
			}
		})
	}
	return nil
}
