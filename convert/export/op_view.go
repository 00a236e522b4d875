package export

import (
	"fmt"
	"slices"
)

func init() {
	ops["view"] = viewOp("size")
	ops["reshape"] = viewOp("shape")
	ops["_unsafe_view"] = viewOp("size")
	for _, name := range []string{"reshape_as", "view_as"} {
		ops[name] = func(c *call) ([]*tensor, error) {
			t, like := c.tensor("self"), c.tensor("other")
			if c.err != nil {
				return nil, c.err
			}
			return c.reshaped(t, slices.Clone(like.shape))
		}
	}
	ops["flatten"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		a, b := c.dim("start_dim", 0, t), c.dim("end_dim", -1, t)
		if c.err != nil || t.rank() == 0 {
			return one(t, c.err)
		}
		joined := size{n: 1}
		for _, s := range t.shape[a : b+1] {
			joined = size{joined.n * s.n, joined.batch || s.batch}
		}
		return c.reshaped(t, slices.Concat(t.shape[:a], []size{joined}, t.shape[b+1:]))
	}
	ops["unflatten"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		d := c.dim("dim", 0, t)
		list := c.sizes("sizes")
		if c.err != nil {
			return nil, c.err
		}
		if !infer(list, t.shape[d:d+1]) {
			return nil, fmt.Errorf("sizes %v of %v", list, t.shape[d])
		}
		return c.reshaped(t, slices.Concat(t.shape[:d], list, t.shape[d+1:]))
	}
	ops["unsqueeze"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		d := c.int("dim", 0)
		if d < 0 {
			d += t.rank() + 1
		}
		if d < 0 || d > t.rank() {
			return nil, fmt.Errorf("dimension %d", d)
		}
		return c.reshaped(t, slices.Insert(slices.Clone(t.shape), d, size{n: 1}))
	}
	ops["squeeze"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		list := c.dims("dim", t)
		if c.has("dim") && len(c.ints("dim", 0)) == 0 {
			list = nil
		}
		var shape []size
		for d, s := range t.shape {
			if !slices.Contains(list, d) || !s.one() {
				shape = append(shape, s)
			}
		}
		return c.reshaped(t, shape)
	}
	ops["permute"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		order := c.dims("dims", t)
		if c.err != nil || len(order) != t.rank() {
			c.fail("dims of a tensor of rank %d", t.rank())
			return nil, c.err
		}
		return c.permuted(t, order)
	}
	transposed := func(first, second string) func(c *call) ([]*tensor, error) {
		return func(c *call) ([]*tensor, error) {
			t := c.tensor("self")
			a, b := c.dim(first, 0, t), c.dim(second, 1, t)
			return c.permuted(t, swapped(t.rank(), a, b))
		}
	}
	ops["transpose"] = transposed("dim0", "dim1")
	ops["swapaxes"], ops["swapdims"] = transposed("axis0", "axis1"), transposed("dim0", "dim1")
	ops["t"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		if t.rank() < 2 {
			return one(t, c.err)
		}
		return c.permuted(t, swapped(t.rank(), 0, 1))
	}
	last := func(c *call) ([]*tensor, error) { // the last two dimensions
		t := c.tensor("self")
		if c.err != nil || t.rank() < 2 {
			c.fail("a matrix of rank %d", t.rank())
			return nil, c.err
		}
		return c.permuted(t, swapped(t.rank(), t.rank()-2, t.rank()-1))
	}
	ops["mT"], ops["mH"], ops["adjoint"], ops["matrix_H"] = last, last, last, last
	ops["numpy_T"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		order := upTo(t.rank())
		slices.Reverse(order)
		return c.permuted(t, order)
	}
	moved := func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		from, to := c.dims("source", t), c.dims("destination", t)
		if c.err != nil || len(from) != len(to) {
			c.fail("%d dimensions to %d places", len(from), len(to))
			return nil, c.err
		}
		order := slices.Repeat([]int{-1}, t.rank())
		for i, d := range to {
			order[d] = from[i]
		}
		rest := slices.DeleteFunc(upTo(t.rank()), func(d int) bool { return slices.Contains(from, d) })
		for i, d := range order {
			if d < 0 && len(rest) > 0 {
				order[i], rest = rest[0], rest[1:]
			}
		}
		if slices.Sort(rest); len(rest) > 0 || slices.Contains(order, -1) {
			c.fail("dimensions %v to places %v", from, to)
			return nil, c.err
		}
		return c.permuted(t, order)
	}
	ops["movedim"], ops["moveaxis"] = moved, moved
	ops["as_strided"] = func(c *call) ([]*tensor, error) { // of which permutations are known
		t, in := c.tensor("self"), c.p.values[nameOf(c.args["self"])]
		shape, by := c.sizes("size"), c.ints("stride", 0)
		offset := c.int("storage_offset", 0)
		if c.err != nil {
			return nil, c.err
		}
		lie := examples(in.Strides)
		for d, n := range examples(in.Sizes) {
			if n == 1 && d < len(lie) { // one element lies anywhere
				lie[d] = -1
			}
		}
		order, ok := order(t.shape, lie, shape, by)
		if !ok || c.has("storage_offset") && offset != in.Offset.number() {
			return nil, fmt.Errorf("%w: as_strided that is no permutation", ErrUnsupported)
		}
		return c.permuted(t, order)
	}
}

func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

func swapped(n, a, b int) []int {
	list := upTo(n)
	if a < n && b < n {
		list[a], list[b] = list[b], list[a]
	}
	return list
}

// infer replaces -1 by what is left.
func infer(list, of []size) bool {
	total, have, open := size{n: 1}, size{n: 1}, -1
	for _, s := range of {
		total = size{total.n * s.n, total.batch || s.batch}
	}
	for i, s := range list {
		if s.n == -1 {
			if open >= 0 {
				return false
			}
			open = i
			continue
		}
		have = size{have.n * s.n, have.batch || s.batch}
	}
	if open < 0 {
		return have == total
	}
	if have.n == 0 || total.n%have.n != 0 || have.batch && !total.batch {
		return false
	}
	list[open] = size{total.n / have.n, total.batch && !have.batch}
	return true
}

func viewOp(name string) func(c *call) ([]*tensor, error) {
	return func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		list := c.sizes(name)
		if c.err != nil {
			return nil, c.err
		}
		if !infer(list, t.shape) {
			return nil, fmt.Errorf("%w: a view of %v as %v", ErrUnsupported, t.shape, list)
		}
		return c.reshaped(t, list)
	}
}

// reshaped is a view of self.
func (c *call) reshaped(t *tensor, shape []size) ([]*tensor, error) {
	before := t.shape
	c.link = &link{of: nameOf(c.args["self"]),
		apply:  func(t *tensor) (*tensor, error) { return c.p.view(t, shape) },
		invert: func(t *tensor) (*tensor, error) { return c.p.view(t, before) }}
	return one(c.p.view(t, shape))
}

func (c *call) permuted(t *tensor, order []int) ([]*tensor, error) {
	back := make([]int, len(order))
	for i, d := range order {
		back[d] = i
	}
	c.link = &link{of: nameOf(c.args["self"]),
		apply:  func(t *tensor) (*tensor, error) { return t.permute(order), nil },
		invert: func(t *tensor) (*tensor, error) { return t.permute(back), nil }}
	return one(t.permute(order), c.err)
}
