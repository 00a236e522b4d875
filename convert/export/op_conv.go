package export

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

func init() {
	for name, r := range map[string]int{"conv1d": 1, "conv2d": 2, "conv3d": 3} {
		ops[name] = func(c *call) ([]*tensor, error) { return c.conv(r, false) }
	}
	for name, r := range map[string]int{"conv_transpose1d": 1, "conv_transpose2d": 2, "conv_transpose3d": 3} {
		ops[name] = func(c *call) ([]*tensor, error) { return c.conv(r, true) }
	}
	ops["convolution"] = func(c *call) ([]*tensor, error) {
		return c.conv(len(c.ints("stride", 0)), c.bool("transposed", false))
	}
}

// window reads stride, padding and dilation.
func (c *call) window(r int, kernel []int) (w graph.Window) {
	stride := c.ints("stride", 0)
	if len(stride) == 0 {
		stride = kernel // of pools
	}
	w.Stride = c.each(stride, r)
	pad := c.ints("padding", r, slices.Repeat([]int{0}, r)...)
	w.Dilation = c.ints("dilation", r, slices.Repeat([]int{1}, r)...)
	for _, p := range pad {
		w.Pad = append(w.Pad, p, p)
	}
	return plainWindow(w)
}

// plainWindow leaves out lists that say nothing.
func plainWindow(w graph.Window) graph.Window {
	plain := func(list []int, n int) []int {
		if slices.ContainsFunc(list, func(v int) bool { return v != n }) {
			return list
		}
		return nil
	}
	return graph.Window{Stride: plain(w.Stride, 1), Pad: plain(w.Pad, 0), Dilation: plain(w.Dilation, 1)}
}

func (c *call) each(list []int, r int) []int {
	if len(list) == 1 {
		return slices.Repeat(list, r)
	}
	return list
}

func (c *call) conv(r int, transposed bool) ([]*tensor, error) {
	weight, bias := c.constant("weight"), c.constant("bias")
	groups := c.int("groups", 1)
	same := false
	if a, ok := c.args["padding"]; ok && a.kind == "as_string" {
		if s := c.string("padding", ""); s == "same" {
			same = true
		} else if s != "valid" {
			c.fail("padding %q", s)
		}
		delete(c.args, "padding")
	}
	if c.err != nil || weight == nil || len(weight.shape) != r+2 || groups < 1 {
		c.fail("a convolution of %d dimensions", r)
		return nil, c.err
	}
	kernel := weight.shape[2:]
	stride := c.each(c.ints("stride", 0, 1), r)
	pads := c.ints("padding", r, slices.Repeat([]int{0}, r)...)
	dilation := c.ints("dilation", r, slices.Repeat([]int{1}, r)...)
	w := graph.Window{Stride: stride, Dilation: dilation}
	for i, p := range pads {
		before, after := p, p
		if same {
			total := dilation[i] * (kernel[i] - 1)
			before, after = total/2, total-total/2
		}
		w.Pad = append(w.Pad, before, after)
	}
	extra := c.ints("output_padding", r, slices.Repeat([]int{0}, r)...)
	x := c.real("input")
	if c.err != nil {
		return nil, c.err
	}
	alone := x.rank() == r+1 && !x.shape[0].batch // one picture, without a batch
	if alone {
		var err error
		if x, err = c.p.view(x, append([]size{{n: 1}}, x.shape...)); err != nil {
			return nil, err
		}
	}
	value, _, back, err := c.p.channels(x, r)
	if err != nil {
		return nil, err
	}
	n := weight.shape[0]
	v := weight
	if transposed { // [C, N/g, k..] is [g, C/g, N/g, k..]
		n = weight.shape[1] * groups
		if weight.shape[0]%groups != 0 {
			return nil, fmt.Errorf("%w: %d features in %d groups", ErrUnsupported, weight.shape[0], groups)
		}
		v = v.reshape(slices.Concat([]int{groups, weight.shape[0] / groups, weight.shape[1]}, kernel))
		order := []int{0, 2}
		for i := range r {
			order = append(order, 3+i)
		}
		v = v.permute(append(order, 1)).reshape(slices.Concat([]int{n}, kernel, []int{weight.shape[0] / groups}))
	} else {
		order := []int{0}
		for i := range r {
			order = append(order, 2+i)
		}
		v = v.permute(append(order, 1))
		v.scale = weight.scale
	}
	v.name = weight.name
	if v.name == "" {
		v.name = c.name() + ".weight"
	}
	param, err := c.p.paramOf(v)
	if err != nil {
		return nil, err
	}
	b, err := c.p.vectors(bias)
	if err != nil {
		return nil, err
	}
	if groups == 1 {
		groups = 0
	}
	var op graph.Op = graph.Conv{Window: plainWindow(w), Groups: groups}
	if transposed {
		t := graph.ConvTranspose{Window: plainWindow(w), Groups: groups}
		if slices.Max(extra) > 0 {
			t.Extra = extra
		}
		op = t
	}
	name := c.p.build(c.name(), op, []string{value}, param, b[0])
	places, err := c.p.places(name, r)
	if err != nil {
		return nil, err
	}
	y := back(name, places, n)
	if alone {
		return one(c.p.view(y, y.shape[1:]))
	}
	return one(y, nil)
}
