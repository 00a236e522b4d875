package export

import (
	"slices"
)

func init() {
	// im2col puts the elements under each place of a window side by side: [N, C*places of the window, places].
	ops["im2col"] = func(c *call) ([]*tensor, error) {
		t, kernel := c.real("self"), c.ints("kernel_size", 2)
		dilation, pads, stride := c.ints("dilation", 2, 1, 1), c.ints("padding", 2, 0, 0), c.ints("stride", 2, 1, 1)
		if c.err != nil || t.rank() != 4 {
			c.fail("unfold of rank %d", t.rank())
			return nil, c.err
		}
		t, err := c.p.straight(t)
		if err != nil {
			return nil, err
		}
		shape := slices.Clone(t.shape)
		shape[2].n += 2 * pads[0]
		shape[3].n += 2 * pads[1]
		list, err := c.padded(t, append(make([]int, 2*len(t.axes)-4), pads[0], pads[0], pads[1], pads[1]), shape, "constant", 0)
		if err != nil {
			return nil, err
		}
		t = list[0]
		var out [2]int
		for i := range out {
			if out[i] = (shape[2+i].n-dilation[i]*(kernel[i]-1)-1)/stride[i] + 1; out[i] < 1 {
				c.fail("a window of %v over %v", kernel, shape)
				return nil, c.err
			}
		}
		var parts []*tensor
		for i := range kernel[0] {
			rows, err := c.part(t, 2, i*dilation[0], i*dilation[0]+(out[0]-1)*stride[0]+1, stride[0])
			if err != nil {
				return nil, err
			}
			for j := range kernel[1] {
				part, err := c.part(rows[0], 3, j*dilation[1], j*dilation[1]+(out[1]-1)*stride[1]+1, stride[1])
				if err != nil {
					return nil, err
				}
				u, err := c.p.view(part[0], slices.Insert(slices.Clone(part[0].shape), 2, size{n: 1}))
				if err != nil {
					return nil, err
				}
				parts = append(parts, u)
			}
		}
		c.link = nil
		u, err := c.p.cat(parts, 2)
		if err != nil {
			return nil, err
		}
		return one(c.p.view(u, []size{t.shape[0], {n: t.shape[1].n * kernel[0] * kernel[1]}, {n: out[0] * out[1]}}))
	}
}
