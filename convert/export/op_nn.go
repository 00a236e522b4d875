package export

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

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
	norm := func(c *call) ([]*tensor, error) {
		t := c.tensor("input")
		if c.bool("training", false) && !c.has("running_mean") && !c.has("running_var") {
			return c.standardized(t)
		}
		mean, variance, w, b := c.constant("running_mean"), c.constant("running_var"), c.constant("weight"), c.constant("bias")
		if c.bool("training", false) {
			c.fail("batch norm for training: export model.eval()")
		}
		eps := c.float("eps", 1e-5)
		if c.err != nil || t.rank() < 2 || mean == nil || variance == nil {
			c.fail("batch norm without statistics")
			return nil, c.err
		}
		name, back, err := c.p.lastAxis(t, []int{1})
		if err != nil {
			return nil, err
		}
		params, err := c.p.vectors(mean, variance, w, b)
		if err != nil {
			return nil, err
		}
		return one(back(c.p.build(c.name(), graph.BatchNorm{Eps: eps}, []string{name}, params...)), nil)
	}
	ops["batch_norm"], ops["_native_batch_norm_legit_no_training"] = norm, norm
	ops["layer_norm"] = func(c *call) ([]*tensor, error) {
		t, shape := c.tensor("input"), c.ints("normalized_shape", 0)
		w, b, eps := c.constant("weight"), c.constant("bias"), c.float("eps", 1e-5)
		if c.err != nil || len(shape) == 0 || len(shape) > t.rank() {
			c.fail("layer norm over %v", shape)
			return nil, c.err
		}
		var dims []int
		for i := range shape {
			dims = append(dims, t.rank()-len(shape)+i)
		}
		name, back, err := c.p.lastAxis(t, dims)
		if err != nil {
			return nil, err
		}
		params, err := c.p.vectors(w, b)
		if err != nil {
			return nil, err
		}
		return one(back(c.p.build(c.name(), graph.LayerNorm{Eps: eps}, []string{name}, params...)), nil)
	}
	ops["rms_norm"] = func(c *call) ([]*tensor, error) {
		t, shape, w := c.real("input"), c.ints("normalized_shape", 0), c.optional("weight")
		eps := c.float("eps", 0x1p-23) // of float32
		if c.err != nil || len(shape) == 0 || len(shape) > t.rank() {
			c.fail("rms norm over %v", shape)
			return nil, c.err
		}
		var dims []int
		for i := range shape {
			dims = append(dims, t.rank()-len(shape)+i)
		}
		sq, err := c.p.binary("mul", t, t)
		if err == nil {
			sq, err = c.p.reduce("mean", sq, dims, true)
		}
		if err != nil {
			return nil, err
		}
		z, err := c.p.binary("mul", t, c.p.unary("rsqrt", c.p.scaled(sq, "add", eps), nil))
		if err == nil && w != nil {
			z, err = c.p.binary("mul", z, w)
		}
		return one(z, err)
	}
	ops["native_layer_norm"] = ops["layer_norm"]
	group := func(c *call, groups int) ([]*tensor, error) {
		t, w, b, eps := c.tensor("input"), c.constant("weight"), c.constant("bias"), c.float("eps", 1e-5)
		if c.err != nil || t.rank() < 2 {
			c.fail("group norm of rank %d", t.rank())
			return nil, c.err
		}
		if groups == 0 {
			groups = t.shape[1].n
		}
		list := [][]int{{0}}
		dims := make([][]int, t.rank())
		dims[0] = []int{0}
		for d := 2; d < t.rank(); d++ {
			dims[d] = []int{len(list)}
			list = append(list, []int{d})
		}
		dims[1] = []int{len(list)}
		u, err := c.p.arranged(t, append(list, []int{1}))
		if err != nil {
			return nil, err
		}
		params, err := c.p.vectors(w, b)
		if err != nil {
			return nil, err
		}
		u.name = c.p.build(c.name(), graph.GroupNorm{Groups: groups, Eps: eps}, []string{u.name}, params...)
		u.shape, u.dims = t.shape, dims
		return one(u, nil)
	}
	ops["group_norm"] = func(c *call) ([]*tensor, error) { return group(c, c.int("num_groups", 1)) }
	ops["native_group_norm"] = func(c *call) ([]*tensor, error) { return group(c, c.int("group", 1)) }
	ops["instance_norm"] = func(c *call) ([]*tensor, error) {
		if !c.bool("use_input_stats", true) {
			return norm(c)
		}
		if c.has("running_mean") || c.has("running_var") {
			c.fail("instance norm for training: export model.eval()")
		}
		return group(c, 0)
	}
	// of instance norm, decomposed: images and features are one dimension, normalized over the places
	ops["_native_batch_norm_legit"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("input")
		c.bool("training", true)
		if k, err := c.p.known(t); err == nil && k != nil {
			return c.standardized(t)
		}
		eps, w, b := c.float("eps", 1e-5), c.constant("weight"), c.constant("bias")
		if c.err != nil || t.c != nil || t.rank() < 3 || !t.shape[0].one() {
			c.fail("batch norm over the batch")
			return nil, c.err
		}
		// [1, B*C, places..]: split it again
		axes := t.dims[1]
		if len(axes) < 1 || t.axes[axes[0]] != batch {
			return nil, fmt.Errorf("%w: batch norm over the batch", ErrUnsupported)
		}
		n := t.shape[1].n
		shape := slices.Concat([]size{{n: 1, batch: true}, {n: n}}, t.shape[2:])
		u, err := c.p.view(t, shape)
		if err != nil {
			return nil, err
		}
		list, dims := [][]int{{0}}, make([][]int, u.rank())
		dims[0] = []int{0}
		for d := 2; d < u.rank(); d++ {
			dims[d] = []int{len(list)}
			list = append(list, []int{d})
		}
		dims[1] = []int{len(list)}
		v, err := c.p.arranged(u, append(list, []int{1}))
		if err != nil {
			return nil, err
		}
		one1 := func(k *constant) *constant { // weight repeated for each image
			if k == nil {
				return nil
			}
			return fresh([]int{n}, k.values()[:n], false)
		}
		params, err := c.p.vectors(one1(w), one1(b))
		if err != nil {
			return nil, err
		}
		v.name = c.p.build(c.name(), graph.GroupNorm{Groups: n, Eps: eps}, []string{v.name}, params...)
		v.shape, v.dims = shape, dims
		return one(c.p.view(v, t.shape))
	}
	for r := 1; r <= 3; r++ {
		pool := func(c *call) ([]*tensor, error) {
			kernel := c.ints("kernel_size", r)
			op := graph.Pool{Func: "max", Kernel: kernel, Ceil: c.bool("ceil_mode", false)}
			op.Window = c.window(r, kernel)
			return c.spatial("self", r, op)
		}
		ops[fmt.Sprintf("max_pool%dd", r)], ops[fmt.Sprintf("max_pool%dd_with_indices", r)] = pool, pool
		ops[fmt.Sprintf("avg_pool%dd", r)] = func(c *call) ([]*tensor, error) {
			kernel := c.ints("kernel_size", r)
			op := graph.Pool{Func: "mean", Kernel: kernel, Ceil: c.bool("ceil_mode", false), Padded: c.bool("count_include_pad", true), Divisor: c.int("divisor_override", 0)}
			op.Window = c.window(r, kernel)
			if op.Divisor > 0 || op.Pad == nil {
				op.Padded = false
			}
			return c.spatial("self", r, op)
		}
		for _, kind := range []struct{ name, fn string }{{"adaptive_avg_pool", "mean"}, {"_adaptive_avg_pool", "mean"}, {"adaptive_max_pool", "max"}} {
			ops[fmt.Sprintf("%s%dd", kind.name, r)] = func(c *call) ([]*tensor, error) {
				return c.spatial("self", r, graph.AdaptivePool{Func: kind.fn, Size: c.ints("output_size", r)})
			}
		}
	}
	for name, mode := range map[string]string{"upsample_nearest1d": "nearest", "upsample_nearest2d": "nearest", "upsample_nearest3d": "nearest", "upsample_linear1d": "linear", "upsample_bilinear2d": "linear", "upsample_trilinear3d": "linear", "upsample_bicubic2d": "cubic",
		"_upsample_nearest_exact1d": "exact", "_upsample_nearest_exact2d": "exact", "_upsample_nearest_exact3d": "exact", "_upsample_bilinear2d_aa": "linear_aa", "_upsample_bicubic2d_aa": "cubic_aa"} {
		r := int(strings.TrimSuffix(name, "_aa")[len(strings.TrimSuffix(name, "_aa"))-2] - '0')
		ops[name] = func(c *call) ([]*tensor, error) {
			in := "input"
			if _, ok := c.args["self"]; ok {
				in = "self"
			}
			t := c.tensor(in)
			op := graph.Resize{Mode: mode, Corners: c.bool("align_corners", false)}
			factors := c.floats("scale_factors")
			switch {
			case c.has("output_size"):
				op.Size = c.ints("output_size", r)
			case len(factors) == r && t.rank() == r+2:
				for i, f := range factors {
					op.Size = append(op.Size, int(float64(t.shape[2+i].n)*f))
					if !op.Corners {
						op.Scale = append(op.Scale, 1/f)
					}
				}
			default:
				c.fail("neither output_size nor %d scale_factors", r)
			}
			if c.err == nil && slices.Contains([]string{"exact", "linear_aa", "cubic_aa"}, mode) {
				if op.Corners && mode != "exact" {
					c.fail("align_corners with antialias")
				}
				return one(c.p.resized(t, r, op))
			}
			return c.spatial(in, r, op)
		}
	}
	pad := func(c *call, mode string, value float64) ([]*tensor, error) {
		name := "pad"
		if _, ok := c.args["padding"]; ok {
			name = "padding"
		}
		t, list := c.real("self"), c.ints(name, 0)
		if c.err != nil || len(list)%2 != 0 || len(list) > 2*t.rank() {
			c.fail("pad %v", list)
			return nil, c.err
		}
		t, err := c.p.dense(t)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(t.dims, func(g []int) bool { return len(g) != 1 }) {
			if t, err = c.p.straight(t); err != nil {
				return nil, err
			}
		}
		axes, shape := make([]int, 2*len(t.axes)), slices.Clone(t.shape)
		for i := range len(list) / 2 {
			d := t.rank() - 1 - i
			before, after := list[2*i], list[2*i+1]
			if t.shape[d].batch && (before != 0 || after != 0) {
				return nil, fmt.Errorf("%w: pad of the batch", ErrUnsupported)
			}
			if n := shape[d].n; before < 0 || after < 0 { // elements less
				cut, err := c.part(t, d, max(-before, 0), n-max(-after, 0), 1)
				if err != nil {
					return nil, err
				}
				t, before, after = cut[0], max(before, 0), max(after, 0)
				shape[d] = t.shape[d]
			}
			if mode == "circular" {
				if before > shape[d].n || after > shape[d].n {
					return nil, fmt.Errorf("%w: pad %v of %v", ErrUnsupported, list, shape)
				}
				var parts []*tensor
				for _, k := range [][2]int{{shape[d].n - before, shape[d].n}, {0, shape[d].n}, {0, after}} {
					if k[0] < k[1] {
						part, err := c.part(t, d, k[0], k[1], 1)
						if err != nil {
							return nil, err
						}
						parts = append(parts, part[0])
					}
				}
				if t, err = c.p.cat(parts, d); err != nil {
					return nil, err
				}
				shape[d].n += before + after
				continue
			}
			if t, err = c.p.dense(t); err != nil {
				return nil, err
			}
			a := t.dims[d][0]
			axes[2*a], axes[2*a+1] = before, after
			shape[d].n += before + after
		}
		if c.link = nil; mode == "circular" {
			return one(t, nil)
		}
		return c.padded(t, axes, shape, mode, value)
	}
	ops["pad"] = func(c *call) ([]*tensor, error) {
		mode := map[string]string{"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "circular"}[c.string("mode", "constant")]
		if mode == "" {
			c.fail("pad mode %q", c.string("mode", ""))
		}
		value := c.float("value", 0)
		return pad(c, mode, value)
	}
	for r := 1; r <= 3; r++ {
		ops[fmt.Sprintf("reflection_pad%dd", r)] = func(c *call) ([]*tensor, error) { return pad(c, "reflect", 0) }
		ops[fmt.Sprintf("replication_pad%dd", r)] = func(c *call) ([]*tensor, error) { return pad(c, "edge", 0) }
	}
	ops["constant_pad_nd"] = func(c *call) ([]*tensor, error) { return pad(c, "constant", c.float("value", 0)) }
	softmax := func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		d := c.dim("dim", -1, t)
		if c.err != nil {
			return nil, c.err
		}
		name, back, err := c.p.lastAxis(t, []int{d})
		if err != nil {
			return nil, err
		}
		return one(back(c.p.build(c.name(), graph.Softmax{}, []string{name})), nil)
	}
	ops["softmax"], ops["_softmax"] = softmax, softmax
}

// padded adds the node of a pad by axes.
func (c *call) padded(t *tensor, axes []int, shape []size, mode string, value float64) ([]*tensor, error) {
	first := 0
	for first < len(t.axes) && axes[2*first] == 0 && axes[2*first+1] == 0 {
		first++
	}
	if first == len(t.axes) {
		return one(t, nil)
	}
	u := *t
	u.axes, u.shape = slices.Clone(t.axes), shape
	for a := range u.axes {
		if u.axes[a] != batch {
			u.axes[a] += axes[2*a] + axes[2*a+1]
		}
	}
	u.name = c.p.build(c.p.at, graph.Pad{Pad: axes[2*first:], Mode: mode, Value: float64(float32(value))}, []string{t.name})
	return one(&u, nil)
}

// name is what the node is called: as its module, if that has one node alone, else as PyTorch calls it.
func (c *call) name() string {
	if m := c.n.module(); m != "" && !c.p.taken[m] {
		return m
	}
	return c.p.at
}

// vectors declares constants as params, "" for nil.
func (p *program) vectors(list ...*constant) (out []string, err error) {
	for _, c := range list {
		name := ""
		if c != nil {
			if name, err = p.param(c, []int{count(c.shape)}, c.values()); err != nil {
				return nil, err
			}
		}
		out = append(out, name)
	}
	return out, nil
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

// leading splits the first dimension where the batch is joined with another: the axes of a value that stand for it, and t with as many
// dimensions in its place.
func (p *program) leading(t *tensor) (n int, u *tensor, err error) {
	s := t.shape[0]
	if !s.batch || s.n == 1 {
		return 1, t, nil
	}
	shape := slices.Concat([]size{{1, true}, {n: s.n}}, t.shape[1:])
	u, ok := p.regroup(t, shape)
	if !ok {
		if t, err = p.ordered(t); err != nil {
			return 0, nil, err
		}
		if u, ok = p.regroup(t, shape); !ok {
			return 0, nil, fmt.Errorf("%w: the batch is joined with another dimension here", ErrUnsupported)
		}
	}
	return 2, u, nil
}

// unjoined does f, an op along dimension d, on t with the first dimension split where the batch is joined with another; the results have it joined again.
func (p *program) unjoined(t *tensor, d int, f func(t *tensor, d int) ([]*tensor, error)) ([]*tensor, error) {
	k, u, err := p.leading(t)
	if err != nil {
		return nil, err
	}
	list, err := f(u, d+k-1)
	for i := 0; i < len(list) && err == nil && k == 2; i++ {
		list[i], err = p.view(list[i], slices.Concat(t.shape[:1], list[i].shape[2:]))
	}
	return list, err
}

// straight is ordered, but that a first dimension in which the batch is joined with another has two axes.
func (p *program) straight(t *tensor) (*tensor, error) {
	if t.rank() == 0 {
		return p.ordered(t)
	}
	k, split, err := p.leading(t)
	if err != nil {
		return nil, err
	}
	u, err := p.ordered(split)
	if err == nil && k == 2 {
		u.shape, u.dims = t.shape, slices.Insert(u.dims[2:], 0, []int{0, 1})
	}
	return u, err
}

// channels brings [N, C, places..] into [N, places.., C]; back gives results of other extents their dimensions.
func (p *program) channels(t *tensor, r int) (value string, in *tensor, back func(value string, places []int, n int) *tensor, err error) {
	if t.rank() != r+2 {
		return "", nil, nil, fmt.Errorf("%w: rank %d, must be [N, C, %d dimensions]", ErrUnsupported, t.rank(), r)
	}
	k, split, err := p.leading(t)
	if err != nil {
		return "", nil, nil, err
	}
	var groups [][]int
	dims := make([][]int, t.rank())
	for i := range k {
		groups, dims[0] = append(groups, []int{i}), append(dims[0], i)
	}
	dims[1] = []int{r + k}
	for i := range r {
		groups, dims[2+i] = append(groups, []int{1 + k + i}), []int{k + i}
	}
	u, err := p.arranged(split, append(groups, []int{k}))
	if err != nil {
		return "", nil, nil, err
	}
	return u.name, u, func(value string, places []int, n int) *tensor {
		v := &tensor{name: value, dims: dims, shape: []size{t.shape[0], {n: n}}, axes: append(slices.Clone(u.axes[:k]), append(slices.Clone(places), n)...)}
		for _, p := range places {
			v.shape = append(v.shape, size{n: p})
		}
		return v
	}, nil
}

// spatial adds a node that does the same for each feature.
func (c *call) spatial(in string, r int, op graph.Op) ([]*tensor, error) {
	t := c.real(in)
	if c.err != nil {
		return nil, c.err
	}
	return one(c.p.spatial(t, r, op))
}

func (p *program) spatial(t *tensor, r int, op graph.Op) (*tensor, error) {
	if t.rank() == r+1 { // features alone, or a batch without
		u, err := p.view(t, slices.Insert(slices.Clone(t.shape), 1, size{n: 1}))
		if err != nil {
			return nil, err
		}
		if u, err = p.spatial(u, r, op); err != nil {
			return nil, err
		}
		return p.view(u, slices.Delete(slices.Clone(u.shape), 1, 2))
	}
	value, u, back, err := p.channels(t, r)
	if err != nil {
		return nil, err
	}
	name := p.build(p.at, op, []string{value})
	places, err := p.places(name, r)
	if err != nil {
		return nil, err
	}
	return back(name, places, u.axes[len(u.axes)-1]), nil
}

// places are the extents of a value between its first and its last.
func (p *program) places(name string, r int) ([]int, error) {
	shape, err := p.b.Shape(name)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, d := range shape[len(shape)-1-r : len(shape)-1] {
		out = append(out, int(d))
	}
	return out, nil
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

func init() {
	lin := func(c *call, t *tensor, w *constant, turned bool, bias *constant) ([]*tensor, error) {
		if c.err != nil || len(w.shape) != 2 {
			c.fail("a matrix of rank %d", len(w.shape))
			return nil, c.err
		}
		v := *w
		if turned {
			v = *w.permute([]int{1, 0})
		}
		if v.name = cmp.Or(v.name, w.name); v.name == "" {
			v.name = c.name() + ".weight"
		}
		return one(c.p.linear(c, t, &v, bias))
	}
	ops["linear"] = func(c *call) ([]*tensor, error) {
		x, w := c.tensor("input"), c.tensor("weight")
		k, err := c.p.known(w)
		if c.err == nil && err == nil && (k == nil || x.c != nil) && w.rank() == 2 {
			z, err := c.p.product(x, w.permute([]int{1, 0}))
			if b := c.optional("bias"); err == nil && b != nil {
				z, err = c.p.binary("add", z, b)
			}
			return one(z, err)
		}
		return lin(c, c.tensor("input"), orEmpty(c.constant("weight")), false, c.constant("bias"))
	}
	// sum is beta*self + alpha*product.
	sum := func(c *call, z *tensor) ([]*tensor, error) {
		beta, alpha := c.float("beta", 1), c.float("alpha", 1)
		t := c.real("self")
		if c.err != nil {
			return nil, c.err
		}
		if alpha != 1 {
			z = c.p.scaled(z, "mul", alpha)
		}
		if beta == 0 {
			return one(z, nil)
		}
		if beta != 1 {
			t = c.p.scaled(t, "mul", beta)
		}
		return one(c.p.binary("add", z, t))
	}
	product := func(c *call, first, second string) (*tensor, error) {
		x, y := c.real(first), c.real(second)
		if c.err != nil {
			return nil, c.err
		}
		if y.c != nil && y.rank() == 2 && x.c == nil && x.rank() > 1 {
			list, err := lin(c, x, y.c, true, nil)
			if err != nil {
				return nil, err
			}
			return list[0], nil
		}
		return c.p.product(x, y)
	}
	ops["addmm"] = func(c *call) ([]*tensor, error) {
		x, w, bias := c.tensor("mat1"), c.tensor("mat2"), c.tensor("self")
		if c.err == nil && w.c != nil && bias.c != nil && bias.rank() == 1 && c.float("beta", 1) == 1 && c.float("alpha", 1) == 1 {
			return lin(c, x, w.c, true, bias.c)
		}
		z, err := product(c, "mat1", "mat2")
		if err != nil {
			return nil, err
		}
		return sum(c, z)
	}
	for name, args := range map[string][2]string{"baddbmm": {"batch1", "batch2"}, "addmv": {"mat", "vec"}} {
		ops[name] = func(c *call) ([]*tensor, error) {
			z, err := product(c, args[0], args[1])
			if err != nil {
				return nil, err
			}
			return sum(c, z)
		}
	}
	ops["tensordot"] = func(c *call) ([]*tensor, error) {
		x, y := c.real("self"), c.real("other")
		a, b := c.dims("dims_self", x), c.dims("dims_other", y)
		if c.err != nil || len(a) != len(b) || x.rank()+y.rank() > 26 {
			c.fail("tensordot of %d and %d dimensions", len(a), len(b))
			return nil, c.err
		}
		const letters = "abcdefghijklmnopqrstuvwxyz"
		xs, ys := letters[:x.rank()], []byte(letters[x.rank():][:y.rank()])
		for i, d := range b {
			ys[d] = xs[a[i]]
		}
		out := ""
		for _, l := range xs + string(ys) {
			if s := string(l); strings.Count(xs+string(ys), s) == 1 {
				out += s
			}
		}
		z, have, err := c.p.contracted(x, xs, y, string(ys), out)
		if err != nil {
			return nil, err
		}
		var order []int
		for _, l := range out {
			order = append(order, strings.IndexRune(have, l))
		}
		return one(z.permute(order), nil)
	}
	ops["bilinear"] = func(c *call) ([]*tensor, error) {
		x, y, w, b := c.real("input1"), c.real("input2"), c.real("weight"), c.optional("bias")
		if c.err != nil || x.rank() != 2 || y.rank() != 2 {
			c.fail("a bilinear form of rank %d", x.rank())
			return nil, c.err
		}
		z, have, err := c.p.contracted(x, "bi", w, "oij", "boj")
		if err == nil {
			z, have, err = c.p.contracted(z, have, y, "bj", "bo")
		}
		if err != nil {
			return nil, err
		}
		if have == "ob" {
			z = z.permute([]int{1, 0})
		}
		if b != nil {
			return one(c.p.binary("add", z, b))
		}
		return one(z, nil)
	}
	for name, second := range map[string]string{"mm": "mat2", "bmm": "mat2", "matmul": "other", "mv": "vec", "dot": "tensor", "vdot": "other"} {
		ops[name] = func(c *call) ([]*tensor, error) { return one(product(c, "self", second)) }
	}
	ops["scaled_dot_product_attention"] = func(c *call) ([]*tensor, error) {
		q, k, v := c.tensor("query"), c.tensor("key"), c.tensor("value")
		causal, drop := c.bool("is_causal", false), c.float("dropout_p", 0)
		mask := c.optional("attn_mask")
		if drop != 0 {
			c.fail("attention with dropout: export model.eval()")
		}
		if c.err != nil || q.rank() < 2 || k.rank() != q.rank() || v.rank() != q.rank() {
			c.fail("attention of rank %d", q.rank())
			return nil, c.err
		}
		scale := c.float("scale", 1/math.Sqrt(float64(q.shape[q.rank()-1].n)))
		if h := q.rank() - 3; c.bool("enable_gqa", false) && h >= 0 && q.shape[h] != k.shape[h] {
			for _, t := range []**tensor{&k, &v} {
				n := (*t).shape[h].n
				if n == 0 || q.shape[h].n%n != 0 {
					return nil, fmt.Errorf("%d heads of queries for %d of keys", q.shape[h].n, n)
				}
				shape := slices.Insert(slices.Clone((*t).shape), h+1, size{n: 1})
				u, err := c.p.view(*t, shape)
				if err == nil {
					shape[h+1].n = q.shape[h].n / n
					u, err = c.p.expand(u, shape)
				}
				if err == nil {
					*t, err = c.p.view(u, slices.Concat(q.shape[:h+1], (*t).shape[h+1:]))
				}
				if err != nil {
					return nil, err
				}
			}
		}
		if mask != nil && mask.c == nil || q.rank() != 4 || q.shape[3] != v.shape[3] {
			if nq, nk := q.shape[q.rank()-2], k.shape[q.rank()-2]; causal {
				data := make([]float64, nq.n*nk.n)
				for i := range data {
					data[i] = truth(i%nk.n <= i/nk.n)
				}
				mask = ofConstant(fresh([]int{nq.n, nk.n}, data, true))
			}
			if mask != nil && (mask.truth || mask.c != nil && mask.c.integer) { // true is seen
				var err error
				if mask, err = c.p.choose(mask, ofConstant(filled(nil, 0, false)), ofConstant(filled(nil, -math.MaxFloat32, false))); err != nil {
					return nil, err
				}
			}
			return one(c.p.attention(q, k, v, mask, scale))
		}
		heads, dim := q.shape[1].n, q.shape[3].n
		op := graph.Attention{Heads: heads, KVHeads: heads, HeadDim: dim, Scale: scale, Mask: graph.Mask{Kind: "full"}}
		if causal {
			op.Mask.Kind = "causal"
		}
		var in []string
		var lead []int // axes of the first dimension
		for _, t := range []*tensor{q, k, v} {
			n, u, err := c.p.leading(t)
			if err != nil {
				return nil, err
			}
			groups := [][]int{{0}, {1}}[:n]
			if u, err = c.p.arranged(u, append(slices.Clone(groups), []int{n + 1}, []int{n, n + 2})); err != nil {
				return nil, err
			}
			in, lead = append(in, u.name), u.axes[:n]
		}
		if mask != nil {
			shape := slices.Clone(mask.c.shape)
			for len(shape) > 1 && shape[0] == 1 {
				shape = shape[1:]
			}
			m := mask.c
			if m.integer { // booleans: true is seen
				m = m.mapped(func(x float64) float64 {
					if x == 0 {
						return -math.MaxFloat32
					}
					return 0
				})
			}
			name, err := c.p.param(nil, shape, m.mapped(func(x float64) float64 { return max(x, -math.MaxFloat32) }).values())
			if err != nil {
				return nil, err
			}
			op.Bias = true
			in = append(in, c.p.build(name+".value", graph.Constant{}, nil, name))
		}
		name := c.p.build(c.name(), op, in)
		n := len(lead)
		t := &tensor{name: name, axes: append(slices.Clone(lead), q.shape[2].n, heads*dim), shape: []size{q.shape[0], q.shape[2], {n: heads * dim}}, dims: [][]int{upTo(n), {n}, {n + 1}}}
		t, err := c.p.view(t, []size{q.shape[0], q.shape[2], q.shape[1], q.shape[3]})
		if err != nil {
			return nil, err
		}
		return one(t.permute([]int{0, 2, 1, 3}), nil)
	}
}

// attention is that of the formula, softmax(q k^T * scale + mask) v, for what the op attention does not take.
func (p *program) attention(q, k, v, mask *tensor, scale float64) (*tensor, error) {
	n := q.rank()
	s, err := p.product(q, k.permute(swapped(n, n-2, n-1)))
	if err != nil {
		return nil, err
	}
	s = p.scaled(s, "mul", scale)
	if mask != nil {
		if s, err = p.binary("add", s, mask); err != nil {
			return nil, err
		}
	}
	name, back, err := p.lastAxis(s, []int{n - 1})
	if err != nil {
		return nil, err
	}
	return p.product(back(p.build(p.at, graph.Softmax{}, []string{name})), v)
}

func orEmpty(c *constant) *constant {
	if c == nil {
		return filled(nil, 0, false)
	}
	return c
}

// linear multiplies the last dimension of t by w [N, K].
func (p *program) linear(c *call, t *tensor, w, bias *constant) (*tensor, error) {
	d := t.rank() - 1
	name, back, err := p.lastAxis(t, []int{d})
	if err != nil {
		return nil, err
	}
	weight, err := p.paramOf(w)
	if err != nil {
		return nil, err
	}
	b, err := p.vectors(bias)
	if err != nil {
		return nil, err
	}
	u := back(p.build(c.name(), graph.Linear{}, []string{name}, weight, b[0]))
	u.axes, u.shape = slices.Clone(u.axes), slices.Clone(u.shape)
	u.axes[len(u.axes)-1], u.shape[d] = w.shape[0], size{n: w.shape[0]}
	return u, nil
}

// oneMatrix tells whether a constant is the same matrix for all that lies before, of which a tensor of this shape has as many: decomposed programs repeat
// the weight of a layer whose input is permuted.
func oneMatrix(c *constant, shape []size) bool {
	for i, d := range c.shape[:len(c.shape)-2] {
		if d > 1 && (c.stride[i] != 0 || shape[i] != size{n: d}) {
			return false
		}
	}
	return true
}

// product is PyTorch's matmul: of the last two dimensions, the others joined; vectors are matrices of one row or column.
func (p *program) product(x, y *tensor) (*tensor, error) {
	if x.rank() == 0 || y.rank() == 0 {
		return nil, fmt.Errorf("%w: a product of %v and %v", ErrUnsupported, x.shape, y.shape)
	}
	row, column := x.rank() == 1, y.rank() == 1
	var err error
	if row {
		if x, err = p.view(x, append([]size{{n: 1}}, x.shape...)); err != nil {
			return nil, err
		}
	}
	if column {
		if y, err = p.view(y, append(slices.Clone(y.shape), size{n: 1})); err != nil {
			return nil, err
		}
	}
	n, m := x.rank(), y.rank()
	var z *tensor
	c := &call{p: p, n: p.n, args: map[string]arg{}}
	switch {
	case x.shape[n-1] != y.shape[m-2]:
		return nil, fmt.Errorf("a product of %v and %v", x.shape, y.shape)
	case y.c != nil && m > 2 && m <= n && x.c == nil && oneMatrix(y.c, x.shape[n-m:]):
		z, err = p.linear(c, x, y.c.view(y.c.shape[m-2:], y.c.stride[m-2:], y.c.offset).permute([]int{1, 0}), nil)
	case y.c != nil && m == 2 && x.c == nil:
		z, err = p.linear(c, x, y.c.permute([]int{1, 0}), nil)
	case x.c != nil && n == 2 && y.c == nil:
		if z, err = p.linear(c, y.permute(swapped(m, m-2, m-1)), x.c, nil); err == nil {
			z = z.permute(swapped(m, m-2, m-1))
		}
	default:
		if s := x.shape[n-2]; s.batch && n == m { // rows of the batch: it goes first
			u, err := p.view(x, slices.Concat(x.shape[:n-2], []size{{1, true}, {n: s.n}}, x.shape[n-1:]))
			if err != nil {
				return nil, err
			}
			order := append(append([]int{n - 2}, upTo(n-2)...), n-1, n)
			if y, err = p.view(y, append([]size{{n: 1}}, y.shape...)); err != nil {
				return nil, err
			}
			if z, err = p.product(u.permute(order), y); err != nil {
				return nil, err
			}
			back := append([]int{}, upTo(n-2)...)
			for i := range back {
				back[i]++
			}
			z = z.permute(append(back, 0, n-1, n))
			return p.view(z, slices.Concat(x.shape[:n-1], y.shape[m:]))
		}
		lead := func(t *tensor) *tensor { return &tensor{shape: t.shape[:t.rank()-2]} }
		shape, err := joinedShape(lead(x), lead(y))
		if err != nil {
			return nil, err
		}
		if x, err = p.expand(x, slices.Concat(shape, x.shape[n-2:])); err != nil {
			return nil, err
		}
		if y, err = p.expand(y, slices.Concat(shape, y.shape[m-2:])); err != nil {
			return nil, err
		}
		if z, err = p.matmul(x, y); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(z.shape)
	if column {
		shape = shape[:len(shape)-1]
	}
	if row {
		shape = slices.Delete(shape, z.rank()-2, z.rank()-1)
	}
	return p.view(z, shape)
}

// matmul multiplies two computed tensors of equal leading dimensions.
func (p *program) matmul(x, y *tensor) (*tensor, error) {
	n := x.rank()
	if n < 2 || y.rank() != n || !slices.Equal(x.shape[:n-2], y.shape[:n-2]) {
		return nil, fmt.Errorf("%w: a product of %v and %v", ErrUnsupported, x.shape, y.shape)
	}
	x, err := p.dense(x)
	if err != nil {
		return nil, err
	}
	if y, err = p.dense(y); err != nil {
		return nil, err
	}
	// leading dimensions are split as both are
	var shape []size
	for d := range n - 2 {
		if len(x.dims[d]) < 2 {
			shape = append(shape, x.shape[d])
			continue
		}
		for _, a := range x.dims[d] {
			if x.axes[a] == 1 {
				continue
			}
			if x.axes[a] == batch {
				shape = append(shape, size{1, true})
			} else {
				shape = append(shape, size{n: x.axes[a]})
			}
		}
	}
	lead := len(shape)
	a, err := p.view(x, append(slices.Clone(shape), x.shape[n-2:]...))
	if err != nil {
		return nil, err
	}
	b, err := p.view(y, append(slices.Clone(shape), y.shape[n-2:]...))
	if err != nil {
		return nil, err
	}
	var groups [][]int
	for d := range lead {
		groups = append(groups, []int{d})
	}
	u, err := p.arranged(a, append(slices.Clone(groups), []int{lead}, []int{lead + 1}))
	if err != nil {
		return nil, err
	}
	v, err := p.arranged(b, append(slices.Clone(groups), []int{lead + 1}, []int{lead}))
	if err != nil {
		return nil, err
	}
	out := &tensor{name: p.build(p.at, graph.MatMul{}, []string{u.name, v.name}), axes: append(slices.Clone(u.axes[:lead+1]), v.axes[lead])}
	for d := range lead + 2 {
		out.dims = append(out.dims, []int{d})
	}
	out.shape = append(slices.Clone(shape), x.shape[n-2], y.shape[n-1])
	return p.view(out, append(slices.Clone(x.shape[:n-2]), x.shape[n-2], y.shape[n-1]))
}

// standardized is a batch norm by its input's own statistics, of numbers that do not depend on the inputs: weights, which some networks standardize so.
func (c *call) standardized(t *tensor) ([]*tensor, error) {
	w, b, eps := c.optional("weight"), c.optional("bias"), c.float("eps", 1e-5)
	k, err := c.p.known(t)
	if c.err != nil || err != nil || k == nil || t.rank() < 2 {
		c.fail("batch norm for training: export model.eval()")
		return nil, cmp.Or(err, c.err)
	}
	gain, shift := filled(k.shape[1:2], 1, false), filled(k.shape[1:2], 0, false)
	if w != nil {
		gain = c.constant("weight")
	}
	if b != nil {
		shift = c.constant("bias")
	}
	n, rest := k.shape[1], 1
	for _, d := range k.shape[2:] {
		rest *= d
	}
	if c.err != nil || count(gain.shape) != n || count(shift.shape) != n || k.shape[0]*rest == 0 {
		c.fail("batch norm of %v with weights %v", k.shape, gain.shape)
		return nil, c.err
	}
	x, scale, add := k.values(), gain.values(), shift.values()
	for ch := range n {
		each := func(f func(v *float64)) {
			for i := range k.shape[0] {
				for j := range rest {
					f(&x[(i*n+ch)*rest+j])
				}
			}
		}
		mean, square := 0.0, 0.0
		each(func(v *float64) { mean += *v / float64(k.shape[0]*rest) })
		each(func(v *float64) { square += (*v - mean) * (*v - mean) / float64(k.shape[0]*rest) })
		each(func(v *float64) { *v = float64(float32((*v-mean)/math.Sqrt(square+eps)*scale[ch] + add[ch])) })
	}
	return one(ofConstant(fresh(k.shape, x, false)), nil)
}
