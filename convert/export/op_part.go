package export

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

func init() {
	ops["narrow"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		d, from := c.dim("dim", 0, t), c.int("start", 0)
		n := c.int("length", 0)
		if c.err != nil || t.shape[d].batch {
			c.fail("a part of the batch")
			return nil, c.err
		}
		from = within(from, t.shape[d].n)
		return c.part(t, d, from, from+n, 1)
	}
	for name, other := range map[string]string{"slice_scatter": "src", "select_scatter": "src"} {
		ops[name] = func(c *call) ([]*tensor, error) {
			t, src := c.tensor("self"), c.tensor(other)
			d := c.dim("dim", 0, t)
			if c.err != nil {
				return nil, c.err
			}
			n := t.shape[d].n
			if name == "select_scatter" {
				i := within(c.int("index", 0), n)
				src, err := c.p.view(src, slices.Insert(slices.Clone(src.shape), d, size{n: 1}))
				if err != nil {
					return nil, err
				}
				return one(c.p.replaced(t, src, d, i, i+1, 1))
			}
			from, to, step := c.int("start", 0), c.int("end", n), c.int("step", 1)
			if t.shape[d].batch && from == 0 && to > 1<<40 && step == 1 {
				return one(src, nil)
			}
			return one(c.p.replaced(t, src, d, within(from, n), within(to, n), step))
		}
	}
	ops["copy"] = func(c *call) ([]*tensor, error) {
		t, src := c.tensor("self"), c.tensor("src")
		c.bool("non_blocking", false)
		if c.err != nil {
			return nil, c.err
		}
		if to := c.dtype(); to != 0 {
			var err error
			if src, err = c.p.cast(src, to); err != nil {
				return nil, err
			}
		}
		return one(c.p.expand(src, t.shape))
	}
	ops["diagonal"] = func(c *call) ([]*tensor, error) {
		t, off := c.tensor("self"), c.int("offset", 0)
		a, b := c.dim("dim1", 0, t), c.dim("dim2", 1, t)
		if c.err != nil || a == b || t.shape[a].batch || t.shape[b].batch {
			c.fail("the diagonal of dimensions %d and %d", a, b)
			return nil, c.err
		}
		order := append(slices.DeleteFunc(upTo(t.rank()), func(d int) bool { return d == a || d == b }), a, b)
		n, m := t.shape[a].n, t.shape[b].n
		var at []float64
		for i := range n {
			if j := i + off; j >= 0 && j < m {
				at = append(at, float64(i*m+j))
			}
		}
		t = t.permute(order)
		u, err := c.p.view(t, slices.Concat(t.shape[:t.rank()-2], []size{{n: n * m}}))
		if err != nil {
			return nil, err
		}
		list := fresh([]int{len(at)}, at, true)
		if u.c != nil {
			return one(ofConstant(take(u.c, u.rank()-1, list)), nil)
		}
		return one(c.p.gather(u, u.rank()-1, list))
	}
	ops["slice"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		d := c.dim("dim", 0, t)
		if c.err != nil {
			return nil, c.err
		}
		n := t.shape[d].n
		from, to, step := c.int("start", 0), c.int("end", n), c.int("step", 1)
		if t.shape[d].batch {
			if from == 0 && to > 1<<40 && step == 1 {
				c.link = &link{of: nameOf(c.args["self"]), apply: same, invert: same}
				return one(t, nil)
			}
			return nil, fmt.Errorf("%w: a part of the batch", ErrUnsupported)
		}
		return c.part(t, d, within(from, n), within(to, n), step)
	}
	ops["select"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		d, i := c.dim("dim", 0, t), c.int("index", 0)
		if c.err != nil {
			return nil, c.err
		}
		if t.shape[d].batch {
			return nil, fmt.Errorf("%w: one of the batch", ErrUnsupported)
		}
		i = within(i, t.shape[d].n)
		list, err := c.part(t, d, i, i+1, 1)
		if err != nil {
			return nil, err
		}
		return one(c.without(c.link, list[0], d))
	}
	split := func(c *call, t *tensor, d int, list []int) (out []*tensor, err error) {
		at := 0
		for _, n := range list {
			part, err := c.part(t, d, at, at+n, 1)
			if err != nil {
				return nil, err
			}
			out, c.links = append(out, part...), append(c.links, c.link)
			at += n
		}
		return out, nil
	}
	even := func(n, part int) (list []int) {
		for ; n > 0; n -= part {
			list = append(list, min(part, n))
		}
		return list
	}
	ops["chunk"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		k, d := c.int("chunks", 1), c.dim("dim", 0, t)
		if c.err != nil || k < 1 || t.shape[d].batch {
			c.fail("%d chunks of dimension %d", k, d)
			return nil, c.err
		}
		return split(c, t, d, even(t.shape[d].n, (t.shape[d].n+k-1)/k))
	}
	ops["split"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		k, d := c.int("split_size", 1), c.dim("dim", 0, t)
		if c.err != nil || k < 1 || t.shape[d].batch {
			c.fail("parts of %d of dimension %d", k, d)
			return nil, c.err
		}
		return split(c, t, d, even(t.shape[d].n, k))
	}
	ops["tensor_split"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		k, d := c.int("sections", 0), c.dim("dim", 0, t)
		if c.err != nil || t.shape[d].batch {
			c.fail("parts of the batch")
			return nil, c.err
		}
		n := t.shape[d].n
		var list []int
		for i := range k {
			list = append(list, n/k+min(1, max(0, n%k-i)))
		}
		if c.has("indices") {
			at := 0
			for _, i := range append(c.ints("indices", 0), n) {
				i = max(within(i, n), at)
				list, at = append(list, i-at), i
			}
		}
		return split(c, t, d, list)
	}
	ops["split_with_sizes"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		list, d := c.ints("split_sizes", 0), c.dim("dim", 0, t)
		if c.err != nil {
			return nil, c.err
		}
		return split(c, t, d, list)
	}
	ops["unbind"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		d := c.dim("dim", 0, t)
		if c.err != nil || t.shape[d].batch {
			c.fail("unbind of dimension %d", d)
			return nil, c.err
		}
		list, err := split(c, t, d, even(t.shape[d].n, 1))
		for i := range list {
			if err == nil {
				list[i], err = c.without(c.links[i], list[i], d)
			}
		}
		return list, err
	}
	ops["unfold"] = func(c *call) ([]*tensor, error) { // windows along a dimension, whose elements become the last
		t := c.tensor("self")
		d, n, step := c.dim("dimension", 0, t), c.int("size", 1), c.int("step", 1)
		if c.err != nil || t.shape[d].batch || n < 1 || step < 1 || n > t.shape[d].n {
			c.fail("windows of %d by %d in dimension %d", n, step, d)
			return nil, c.err
		}
		var at []float64
		for from := 0; from+n <= t.shape[d].n; from += step {
			for i := range n {
				at = append(at, float64(from+i))
			}
		}
		list := fresh([]int{len(at) / n, n}, at, true)
		u := t
		if t.c != nil {
			u = ofConstant(take(t.c, d, list))
		} else {
			var err error
			if u, err = c.p.gather(t, d, list); err != nil {
				return nil, err
			}
		}
		order := upTo(u.rank())
		return one(u.permute(append(slices.Delete(order, d+1, d+2), d+1)), nil)
	}
}

// within makes an index that may count from the end one of 0 to n.
func within(i, n int) int {
	if i < 0 {
		i += n
	}
	return min(max(i, 0), n)
}

// part is elements from, from+step .. below to of a dimension.
func (c *call) part(t *tensor, d, from, to, step int) ([]*tensor, error) {
	cut := func(t *tensor) (*tensor, error) {
		n := t.shape[d].n
		if from < 0 || to > n || to <= from || step < 1 || t.shape[d].batch {
			return nil, fmt.Errorf("%w: elements %d to %d by %d of %d", ErrUnsupported, from, to, step, n)
		}
		if t.c != nil {
			return ofConstant(t.c.slice(d, from, to, step)), nil
		}
		if from == 0 && to == n && step == 1 {
			return t, nil
		}
		t, err := c.p.dense(t)
		if err != nil {
			return nil, err
		}
		t, axis, err := c.p.single(t, d)
		if err != nil {
			return nil, err
		}
		op := graph.Slice{Axis: axis, From: from, To: to}
		if step > 1 {
			op.Step = step
		}
		u := *t
		u.name = c.p.build(c.p.at, op, []string{t.name})
		u.shape, u.axes = slices.Clone(t.shape), slices.Clone(t.axes)
		u.axes[axis] = (to - from + step - 1) / step
		u.shape[d] = size{n: u.axes[axis]}
		return &u, nil
	}
	of := nameOf(c.args["self"])
	c.link = &link{of: of, apply: cut, invert: func(t *tensor) (*tensor, error) {
		whole, err := c.p.get(of)
		if err != nil {
			return nil, err
		}
		return c.p.replaced(whole, t, d, from, to, step)
	}}
	return one(cut(t))
}

// without is t, a part of one element of dimension d, without that; l, its link, says so, too.
func (c *call) without(l *link, t *tensor, d int) (*tensor, error) {
	drop := func(t *tensor) (*tensor, error) {
		return c.p.view(t, slices.Delete(slices.Clone(t.shape), d, d+1))
	}
	apply, invert := l.apply, l.invert
	l.apply = func(t *tensor) (*tensor, error) {
		v, err := apply(t)
		if err != nil {
			return nil, err
		}
		return drop(v)
	}
	l.invert = func(t *tensor) (*tensor, error) {
		v, err := c.p.view(t, slices.Insert(slices.Clone(t.shape), d, size{n: 1}))
		if err != nil {
			return nil, err
		}
		return invert(v)
	}
	return drop(t)
}

// replaced is t with other elements from, from+step .. below to of a dimension.
func (p *program) replaced(t, by *tensor, d, from, to, step int) (*tensor, error) {
	n := t.shape[d].n
	shape := slices.Clone(t.shape)
	if shape[d].n = max((to-from+step-1)/step, 0); from < 0 || to > n || step < 1 || t.shape[d].batch {
		return nil, fmt.Errorf("%w: elements %d to %d by %d of %d are written", ErrUnsupported, from, to, step, n)
	}
	if shape[d].n == 0 {
		return t, nil
	}
	if t.c != nil && by.c != nil {
		out := fresh(t.c.shape, t.c.values(), t.c.integer)
		part := out.slice(d, from, to, step)
		v := by.c.expand(part.shape).values()
		part.write(func(i int) float64 { return v[i] })
		return ofConstant(out), nil
	}
	by, err := p.expand(by, shape)
	if err != nil {
		return nil, err
	}
	c := &call{p: p, n: p.n, args: map[string]arg{}}
	var parts []*tensor
	add := func(t *tensor, a, b int) {
		if a < b && err == nil {
			var part []*tensor
			if part, err = c.part(t, d, a, b, 1); err == nil {
				parts = append(parts, part[0])
			}
		}
	}
	if step == 1 {
		add(t, 0, from)
		parts = append(parts, by)
		add(t, to, n)
	} else {
		add(t, 0, from)
		i, at := 0, from
		for ; at < to; i, at = i+1, at+step {
			add(by, i, i+1)
			add(t, at+1, min(at+step, n))
		}
		add(t, at, n)
	}
	if err != nil {
		return nil, err
	}
	return p.cat(parts, d)
}
