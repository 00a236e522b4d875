package ref

import "qpt/format/graph"

func init() {
	Register(func(c *Call, op graph.Conv) error { return c.conv(op.Groups) })
	Register(func(c *Call, op graph.ConvTranspose) error { return c.conv(op.Groups) })
}

// Patches are what a convolution multiplies by the rows of its weight.
type Patches struct {
	grid
	x      graph.Tensor
	axes   []graph.Axis
	kernel []int
	taps   int
	width  int // channels of a group
	from   func(a graph.Axis, o, t int) (int, bool)
}

// PatchesOf are those of a conv or conv_transpose with a weight of this shape between two values.
func PatchesOf(op graph.Op, weight []int, x, out graph.Tensor) *Patches {
	p := &Patches{x: x, kernel: weight[1 : len(weight)-1], width: weight[len(weight)-1]}
	p.grid, p.taps = gridOf(x, out, len(p.kernel)), product(p.kernel)
	switch op := op.(type) {
	case graph.Conv:
		p.axes = op.Axes(p.kernel)
		p.from = func(a graph.Axis, o, t int) (int, bool) { return o*a.Stride - a.Before + t*a.Dilation, true }
	case graph.ConvTranspose:
		p.axes = op.Axes(p.kernel)
		p.from = func(a graph.Axis, o, t int) (int, bool) {
			i := o + a.Before - t*a.Dilation
			return i / a.Stride, i >= 0 && i%a.Stride == 0
		}
	}
	return p
}

// Len is how many there are: one for each place of each image.
func (p *Patches) Len() int { return p.lead * product(p.out) }

// Row sets row, zeros [taps, width], to patch r of a group.
func (p *Patches) Row(r, group int, row []float32) {
	places := product(p.out)
	o := place(r%places, p.out)
	at := make([]int, len(o))
next:
	for t := range p.taps {
		for j, k := range place(t, p.kernel) {
			var ok bool
			if at[j], ok = p.from(p.axes[j], o[j], k); !ok {
				continue next
			}
		}
		if from := p.at(r/places, at); from >= 0 {
			copy(row[t*p.width:][:p.width], p.x.Row(from)[group*p.width:])
		}
	}
}

// conv multiplies patches by the weights.
func (c *Call) conv(groups int) error {
	weight := c.params[c.Node.Params[0]].Shape
	n := weight[0]
	groups = max(groups, 1)
	values := make([]float32, product(weight))
	if err := c.src.ReadRows(c.Node.Params[0], 0, n, values); err != nil {
		return err
	}
	bias, err := c.Param(1)
	if err != nil {
		return err
	}
	for s, out := range c.Out[0] {
		p := PatchesOf(c.Node.Op, weight, c.Operand(0, s), out)
		k, all := p.taps*p.width, p.Len()
		const block = 64
		c.each((all+block-1)/block, func(job int) {
			patch := make([]float32, block*k)
			for group := range groups {
				clear(patch)
				var xs, ys [][]float32
				for r := job * block; r < min((job+1)*block, all); r++ {
					row := patch[len(xs)*k:][:k]
					p.Row(r, group, row)
					xs, ys = append(xs, row), append(ys, out.Row(r)[group*(n/groups):][:n/groups])
				}
				c.dot(ys, 0, xs, values[group*(n/groups)*k:][:n/groups*k])
			}
			for r := job * block; r < min((job+1)*block, all); r++ {
				for j, b := range bias {
					out.Row(r)[j] += b
				}
			}
		})
	}
	return nil
}
