package export

import (
	"math"
	"slices"

	"qpt/format/graph"
)

// resized scales the last r dimensions in ways that the op resize has not: "exact" takes the element under the middle of a place;
// "linear_aa" and "cubic_aa" weigh all elements that a place covers, as PyTorch's antialias and Pillow do.
func (p *program) resized(t *tensor, r int, op graph.Resize) (*tensor, error) {
	t, err := p.dense(t)
	if err != nil {
		return nil, err
	}
	if op.Mode == "exact" {
		nearest := graph.Resize{Mode: "nearest", Size: op.Size}
		lists := make([][]float64, r)
		alike := true
		for i, n := range op.Size {
			in := t.shape[2+i].n
			by := float32(in) / float32(n)
			if op.Scale != nil {
				by = float32(op.Scale[i])
			}
			_, index, _ := nearest.Taps(i, in)
			for o := range n {
				k := min(int((float32(o)+0.5)*by), in-1)
				lists[i] = append(lists[i], float64(k))
				alike = alike && k == index[o]
			}
		}
		if alike {
			return p.spatial(t, r, nearest)
		}
		for i, list := range lists {
			if t, err = p.gather(t, 2+i, fresh([]int{len(list)}, list, true)); err != nil {
				return nil, err
			}
		}
		return t, nil
	}
	filter, support := func(x float64) float64 { return max(1-math.Abs(x), 0) }, 1.0
	if op.Mode == "cubic_aa" {
		const a = -0.5
		support = 2
		filter = func(x float64) float64 {
			switch x = math.Abs(x); {
			case x < 1:
				return ((a+2)*x-(a+3))*x*x + 1
			case x < 2:
				return (((x-5)*x+8)*x - 4) * a
			}
			return 0
		}
	}
	for i, n := range op.Size {
		in := t.shape[2+i].n
		by := float64(in) / float64(n)
		if op.Scale != nil {
			by = op.Scale[i]
		}
		wide := max(by, 1)
		weights := make([]float64, n*in)
		for o := range n {
			center := by * (float64(o) + 0.5)
			from, to := max(int(center-support*wide+0.5), 0), min(int(center+support*wide+0.5), in)
			sum := 0.0
			for k := from; k < to; k++ {
				weights[o*in+k] = filter((float64(k) - center + 0.5) / wide)
				sum += weights[o*in+k]
			}
			for k := from; k < to && sum != 0; k++ {
				weights[o*in+k] /= sum
			}
		}
		d := 2 + i
		order := append(slices.DeleteFunc(upTo(t.rank()), func(k int) bool { return k == d }), d)
		back := make([]int, len(order))
		for k, e := range order {
			back[e] = k
		}
		u, err := p.product(t.permute(order), ofConstant(fresh([]int{n, in}, weights, false).permute([]int{1, 0})))
		if err != nil {
			return nil, err
		}
		t = u.permute(back)
	}
	return t, nil
}

// im2col puts the elements under each place of a window side by side: [N, C*places of the window, places].
func init() {
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
	ops["_weight_norm"] = func(c *call) ([]*tensor, error) {
		v, g, d := c.real("v"), c.real("g"), c.int("dim", 0)
		if c.err != nil {
			return nil, c.err
		}
		sq, err := c.p.binary("mul", v, v)
		if err != nil {
			return nil, err
		}
		var dims []int
		for i := range v.rank() {
			if i != d {
				dims = append(dims, i)
			}
		}
		sum, err := c.p.reduce("sum", sq, dims, true)
		if err != nil {
			return nil, err
		}
		by, err := c.p.binary("div", g, c.p.unary("sqrt", sum, nil))
		if err != nil {
			return nil, err
		}
		return one(c.p.binary("mul", v, by))
	}
	ops["_weight_norm_interface"] = ops["_weight_norm"]
}
