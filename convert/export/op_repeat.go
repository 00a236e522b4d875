package export

import (
	"fmt"
	"slices"
)

func init() {
	ops["expand"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		want := c.sizes("size")
		if c.err != nil || len(want) < t.rank() {
			c.fail("sizes of a tensor of rank %d", t.rank())
			return nil, c.err
		}
		for i := range want {
			if j := i - len(want) + t.rank(); j >= 0 && want[i].n == -1 {
				want[i] = t.shape[j]
			}
		}
		return one(c.p.expand(t, want))
	}
	ops["broadcast_to"] = ops["expand"]
	ops["expand_as"] = func(c *call) ([]*tensor, error) { return one(c.p.expand(c.tensor("self"), c.tensor("other").shape)) }
	ops["repeat"] = func(c *call) ([]*tensor, error) {
		t, by := c.tensor("self"), "repeats"
		if c.has("dims") { // tile
			by = "dims"
		}
		times := c.sizes(by)
		if c.err != nil {
			return nil, c.err
		}
		for len(times) < t.rank() {
			times = append([]size{{n: 1}}, times...)
		}
		for len(times) > t.rank() {
			shape := append([]size{{n: 1}}, t.shape...)
			var err error
			if t, err = c.p.view(t, shape); err != nil {
				return nil, err
			}
		}
		if t.c != nil && t.rank() == 1 && times[0] == (size{1, true}) { // once for each image
			return one(&tensor{c: t.c, shape: []size{{t.shape[0].n, true}}}, nil)
		}
		want := slices.Clone(t.shape)
		for i, r := range times {
			if t.shape[i].one() {
				want[i] = r
			} else if r.n != 1 {
				if r.batch || t.shape[i].batch || r.n < 1 {
					return nil, fmt.Errorf("%w: repeat of a dimension of %v", ErrUnsupported, t.shape[i])
				}
				var err error
				if t, err = c.p.cat(slices.Repeat([]*tensor{t}, r.n), i); err != nil {
					return nil, err
				}
				want[i] = t.shape[i]
			}
		}
		return one(c.p.expand(t, want))
	}
	ops["tile"] = ops["repeat"]
	ops["repeat_interleave"] = func(c *call) ([]*tensor, error) {
		t, n := c.tensor("self"), c.int("repeats", 1)
		c.arg("output_size")
		if !c.has("dim") || c.err != nil {
			c.fail("repeat_interleave without a dimension")
			return nil, c.err
		}
		d := c.dim("dim", 0, t)
		if c.err != nil || n < 1 {
			c.fail("repeat_interleave by %d of dimension %d", n, d)
			return nil, c.err
		}
		shape := slices.Insert(slices.Clone(t.shape), d+1, size{n: 1})
		u, err := c.p.view(t, shape)
		if err != nil {
			return nil, err
		}
		shape[d+1].n = n
		if u, err = c.p.expand(u, shape); err != nil {
			return nil, err
		}
		shape = slices.Clone(t.shape)
		shape[d].n *= n
		return one(c.p.view(u, shape))
	}
}

// expand repeats dimensions of 1.
func (p *program) expand(t *tensor, want []size) (*tensor, error) {
	if t.c != nil {
		if list, ok := ints(want); ok {
			for i, d := range t.c.shape {
				if e := list[len(list)-len(t.c.shape)+i]; d != 1 && d != e {
					return nil, fmt.Errorf("expand of %v to %v", t.c.shape, list)
				}
			}
			return ofConstant(t.c.expand(list)), nil
		}
		var err error
		if t, err = p.constantValue(t.c); err != nil {
			return nil, err
		}
	}
	u := *t
	u.shape, u.dims = slices.Clone(want), make([][]int, len(want))
	for i, s := range t.shape {
		j := len(want) - t.rank() + i
		switch {
		case s == want[j]:
			u.dims[j] = t.dims[i]
		case !s.one():
			return nil, fmt.Errorf("expand of %v to %v", t.shape, want)
		}
	}
	return &u, nil
}
