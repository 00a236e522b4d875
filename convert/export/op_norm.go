package export

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
)

func init() {
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
