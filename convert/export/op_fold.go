package export

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
)

// Ops that fold or order the elements of dimensions.
func init() {
	for name, fn := range map[string]string{"mean": "mean", "sum": "sum", "amax": "max", "amin": "min"} {
		ops[name] = func(c *call) ([]*tensor, error) {
			t := c.real("self")
			dims := c.dims("dim", t)
			if c.err != nil {
				return nil, c.err
			}
			return one(c.p.reduce(fn, t, dims, c.bool("keepdim", false)))
		}
	}
	ops["prod"] = func(c *call) ([]*tensor, error) {
		t := c.real("self")
		d, keep := c.dim("dim", 0, t), c.bool("keepdim", false)
		if c.err != nil || !c.has("dim") || t.shape[d].batch || t.shape[d].n < 1 || t.shape[d].n > 64 {
			c.fail("a product of all elements, or of more than 64")
			return nil, c.err
		}
		var z *tensor
		for i := range t.shape[d].n {
			list, err := c.part(t, d, i, i+1, 1)
			if err != nil {
				return nil, err
			}
			if u := list[0]; z == nil {
				z = u
			} else if z, err = c.p.binary("mul", z, u); err != nil {
				return nil, err
			}
		}
		c.link = nil
		if !keep {
			return one(c.p.view(z, slices.Delete(slices.Clone(z.shape), d, d+1)))
		}
		return one(z, nil)
	}
	// moments are the mean and the variance.
	moments := func(c *call) (mean, variance *tensor, err error) {
		t := c.real("self")
		dims, keep := c.dims("dim", t), c.bool("keepdim", false)
		less := c.float("correction", 1)
		if !c.bool("unbiased", true) {
			less = 0
		}
		n := 1
		for _, d := range dims {
			n *= t.shape[d].n
		}
		if c.err != nil || float64(n) <= less {
			c.fail("variance of %d elements", n)
			return nil, nil, c.err
		}
		whole, err := c.p.reduce("mean", t, dims, true)
		if err != nil {
			return nil, nil, err
		}
		apart, err := c.p.binary("sub", t, whole)
		if err != nil {
			return nil, nil, err
		}
		if apart, err = c.p.binary("mul", apart, apart); err != nil {
			return nil, nil, err
		}
		if variance, err = c.p.reduce("mean", apart, dims, keep); err != nil {
			return nil, nil, err
		}
		if less != 0 {
			variance = c.p.scaled(variance, "mul", float64(n)/(float64(n)-less))
		}
		if mean = whole; !keep {
			shape := []size{}
			for d, s := range t.shape {
				if !slices.Contains(dims, d) {
					shape = append(shape, s)
				}
			}
			mean, err = c.p.view(whole, shape)
		}
		return mean, variance, err
	}
	ops["var"] = func(c *call) ([]*tensor, error) {
		_, v, err := moments(c)
		return one(v, err)
	}
	ops["std"] = func(c *call) ([]*tensor, error) {
		_, v, err := moments(c)
		if err != nil {
			return nil, err
		}
		return one(c.p.unary("sqrt", v, nil), nil)
	}
	ops["var_mean"] = func(c *call) ([]*tensor, error) {
		m, v, err := moments(c)
		return []*tensor{v, m}, err
	}
	ops["std_mean"] = func(c *call) ([]*tensor, error) {
		m, v, err := moments(c)
		if err != nil {
			return nil, err
		}
		return []*tensor{c.p.unary("sqrt", v, nil), m}, nil
	}
	norm := func(ord string) func(c *call) ([]*tensor, error) {
		return func(c *call) ([]*tensor, error) {
			t, p := c.real("self"), c.float(ord, 2)
			dims, keep := c.dims("dim", t), c.bool("keepdim", false)
			if c.err != nil {
				return nil, c.err
			}
			fn := "sum"
			var err error
			switch {
			case p == 2:
				t, err = c.p.binary("mul", t, t)
			case p == 0:
				t = c.p.scaled(t, "ne", 0)
			default:
				t = c.p.unary("abs", t, nil)
				if fn = "max"; p == math.Inf(-1) {
					fn = "min"
				} else if !math.IsInf(p, 1) {
					if fn = "sum"; p != 1 {
						t = c.p.scaled(t, "pow", p)
					}
				}
			}
			if err != nil {
				return nil, err
			}
			if t, err = c.p.reduce(fn, t, dims, keep); err != nil {
				return nil, err
			}
			if p == 2 {
				t = c.p.unary("sqrt", t, nil)
			} else if fn == "sum" && p != 1 && p != 0 {
				t = c.p.scaled(t, "pow", 1/p)
			}
			return one(t, nil)
		}
	}
	ops["linalg_vector_norm"], ops["norm"] = norm("ord"), norm("p")
	ops["linalg_norm"] = func(c *call) ([]*tensor, error) {
		if list := c.ints("dim", 0); c.has("ord") && len(list) != 1 {
			c.fail("a norm of matrices")
			return nil, c.err
		}
		return norm("ord")(c)
	}
	ops["cosine_similarity"] = func(c *call) ([]*tensor, error) {
		x, y, eps := c.real("x1"), c.real("x2"), c.float("eps", 1e-8)
		if c.err != nil {
			return nil, c.err
		}
		xy, err := c.p.binary("mul", x, y)
		if err != nil {
			return nil, err
		}
		d := c.dim("dim", 1, xy)
		fold := func(t *tensor) *tensor {
			if err == nil {
				t, err = c.p.reduce("sum", t, []int{d}, false)
			}
			return t
		}
		xx, e1 := c.p.binary("mul", x, x)
		yy, e2 := c.p.binary("mul", y, y)
		if err = cmp.Or(c.err, e1, e2); err != nil {
			return nil, err
		}
		n := func(t *tensor) *tensor { return c.p.scaled(c.p.unary("sqrt", fold(t), nil), "max", eps) }
		a, b := n(xx), n(yy)
		if xy = fold(xy); err != nil {
			return nil, err
		}
		length, err := c.p.binary("mul", a, b)
		if err != nil {
			return nil, err
		}
		return one(c.p.binary("div", xy, length))
	}
	// greatest orders dimension d and gives the first k with their indices; of the least first, if so asked.
	var greatest func(c *call, t *tensor, d, k int, least bool) (value, index *tensor, err error)
	greatest = func(c *call, t *tensor, d, k int, least bool) (value, index *tensor, err error) {
		if t.shape[d].batch || k < 1 || k > t.shape[d].n {
			return nil, nil, fmt.Errorf("%w: the order of %d of dimension %d", ErrUnsupported, k, d)
		}
		n := t.shape[d].n
		if t, err = c.p.dense(t); err != nil {
			return nil, nil, err
		}
		if s := t.shape[0]; s.batch && s.n > 1 {
			list, err := c.p.unjoined(t, d, func(t *tensor, d int) ([]*tensor, error) {
				v, u, err := greatest(c, t, d, k, least)
				return []*tensor{v, u}, err
			})
			if err != nil {
				return nil, nil, err
			}
			return list[0], list[1], nil
		}
		if least {
			t = c.p.unary("neg", t, nil)
		}
		order := append(slices.DeleteFunc(upTo(t.rank()), func(i int) bool { return i == d }), d)
		groups, places := [][]int{}, make([]int, len(order)) // the others in their order, so that indices need not move
		for i, k := range order {
			groups, places[k] = append(groups, []int{k}), i
		}
		u, err := c.p.arranged(t, groups)
		if err != nil {
			return nil, nil, err
		}
		name := u.name
		back := func(name string) *tensor {
			v := &tensor{name: name, axes: u.axes, shape: t.shape, dims: make([][]int, t.rank())}
			for k, i := range places {
				v.dims[k] = []int{i}
			}
			return v
		}
		out := c.p.unique(c.p.at + ".index")
		v := c.p.unique(c.p.at + ".value")
		c.p.b.Nodes(out, graph.TopK{K: k}, []string{name}, nil, v, out)
		list := []*tensor{back(v), back(out)}
		for _, u := range list {
			u.axes, u.shape = slices.Clone(u.axes), slices.Clone(u.shape)
			u.axes[len(u.axes)-1], u.shape[d] = k, size{n: k}
		}
		list[1].integer = true
		c.p.below[out] = n
		if least {
			list[0] = c.p.unary("neg", list[0], nil)
		}
		return list[0], list[1], nil
	}
	without := func(c *call, t *tensor, d int) (*tensor, error) {
		return c.p.view(t, slices.Delete(slices.Clone(t.shape), d, d+1))
	}
	for name, least := range map[string]bool{"argmax": false, "argmin": true} {
		ops[name] = func(c *call) ([]*tensor, error) {
			t := c.real("self")
			keep := c.bool("keepdim", false)
			if c.err != nil {
				return nil, c.err
			}
			if !c.has("dim") {
				return nil, fmt.Errorf("%w: %s of all elements", ErrUnsupported, name)
			}
			d := c.dim("dim", 0, t)
			if c.err != nil {
				return nil, c.err
			}
			_, u, err := greatest(c, t, d, 1, least)
			if err == nil && !keep {
				u, err = without(c, u, d)
			}
			return one(u, err)
		}
	}
	for name, least := range map[string]bool{"max": false, "min": true} {
		ops[name] = func(c *call) ([]*tensor, error) {
			t := c.real("self")
			if c.has("other") { // of two tensors
				y := c.real("other")
				if c.err != nil {
					return nil, c.err
				}
				return one(c.p.binary(name, t, y))
			}
			keep := c.bool("keepdim", false)
			if c.err != nil {
				return nil, c.err
			}
			if !c.has("dim") {
				return one(c.p.reduce(name, t, upTo(t.rank()), false))
			}
			d := c.dim("dim", 0, t)
			if c.err != nil {
				return nil, c.err
			}
			v, err := c.p.reduce(name, t, []int{d}, keep)
			if err != nil {
				return nil, err
			}
			_, u, err := greatest(c, t, d, 1, least)
			if err == nil && !keep {
				u, err = without(c, u, d)
			}
			return []*tensor{v, u}, err
		}
	}
	ops["topk"] = func(c *call) ([]*tensor, error) {
		t, k, largest := c.real("self"), c.int("k", 1), c.bool("largest", true)
		d := c.dim("dim", -1, t)
		c.bool("sorted", true)
		if c.err != nil {
			return nil, c.err
		}
		v, u, err := greatest(c, t, d, k, !largest)
		return []*tensor{v, u}, err
	}
	sort := func(c *call) ([]*tensor, error) {
		t, down := c.real("self"), c.bool("descending", false)
		d := c.dim("dim", -1, t)
		c.bool("stable", false)
		if c.err != nil {
			return nil, c.err
		}
		v, u, err := greatest(c, t, d, t.shape[d].n, !down)
		return []*tensor{v, u}, err
	}
	ops["sort"] = sort
	ops["argsort"] = func(c *call) ([]*tensor, error) {
		list, err := sort(c)
		if err != nil {
			return nil, err
		}
		return list[1:], nil
	}
	ops["median"] = func(c *call) ([]*tensor, error) {
		t := c.real("self")
		d, keep := c.dim("dim", 0, t), c.bool("keepdim", false)
		if c.err != nil || !c.has("dim") || t.shape[d].batch {
			c.fail("the median of all elements")
			return nil, c.err
		}
		k := (t.shape[d].n + 1) / 2
		v, u, err := greatest(c, t, d, k, true)
		if err != nil {
			return nil, err
		}
		list, err := c.part(v, d, k-1, k, 1)
		if c.link = nil; err != nil {
			return nil, err
		}
		if v = list[0]; !keep {
			v, err = without(c, v, d)
		}
		_ = u // the index of the median, which nobody may read
		return one(v, err)
	}
	// logSum is log of the sum of e^x over dimensions, which stay with one element.
	logSum := func(c *call, t *tensor, dims []int) (*tensor, error) {
		top, err := c.p.reduce("max", t, dims, true)
		if err != nil {
			return nil, err
		}
		less, err := c.p.binary("sub", t, top)
		if err != nil {
			return nil, err
		}
		sum, err := c.p.reduce("sum", c.p.unary("exp", less, nil), dims, true)
		if err != nil {
			return nil, err
		}
		return c.p.binary("add", c.p.unary("log", sum, nil), top)
	}
	ops["logsumexp"] = func(c *call) ([]*tensor, error) {
		t := c.real("self")
		dims, keep := c.dims("dim", t), c.bool("keepdim", false)
		if c.err != nil {
			return nil, c.err
		}
		z, err := logSum(c, t, dims)
		if err == nil && !keep {
			var shape []size
			for d, s := range t.shape {
				if !slices.Contains(dims, d) {
					shape = append(shape, s)
				}
			}
			z, err = c.p.view(z, shape)
		}
		return one(z, err)
	}
	logSoftmax := func(c *call) ([]*tensor, error) {
		t := c.real("self")
		d := c.dim("dim", -1, t)
		if c.err != nil {
			return nil, c.err
		}
		z, err := logSum(c, t, []int{d})
		if err != nil {
			return nil, err
		}
		return one(c.p.binary("sub", t, z))
	}
	ops["log_softmax"], ops["_log_softmax"] = logSoftmax, logSoftmax
}
