package export

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

// cast is t as another type.
func (p *program) cast(t *tensor, dtype int) (*tensor, error) {
	if dtype == boolean {
		return p.truths(t), nil
	}
	if dtypes[dtype].integer {
		if t.c != nil || !t.integer && !t.truth {
			return p.unary("trunc", t, nil), nil
		}
		return t, nil
	}
	u, err := p.real(t)
	if err == nil && u.truth {
		u = u.plain()
	}
	return u, err
}

func init() {
	for _, name := range []string{"clone", "contiguous", "detach", "alias", "lift_fresh_copy", "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "identity", "to", "_to_copy", "positive", "type_as"} {
		ops[name] = func(c *call) ([]*tensor, error) {
			self := "self"
			if _, ok := c.args["input"]; ok {
				self = "input"
			}
			t, was := c.tensor(self), c.p.values[nameOf(c.args[self])].DType
			for _, name := range []string{"train", "dtype", "other", "memory_format", "non_blocking", "copy", "device", "layout"} {
				if c.arg(name); name == "train" && c.bool("train", false) {
					c.fail("dropout for training: export model.eval()")
				}
			}
			if to := c.dtype(); c.err == nil && was != to && was != 0 && to != 0 {
				return one(c.p.cast(t, to))
			}
			if t.c != nil && (name == "clone" || name == "lift_fresh_copy" || name == "_to_copy" || name == "to") {
				own := fresh(t.c.shape, t.c.values(), t.c.integer)
				own.name = t.c.name
				return one(ofConstant(own), nil)
			}
			if name != "clone" && name != "_to_copy" {
				c.link = &link{of: nameOf(c.args[self]), apply: same, invert: same}
			}
			return one(t, nil)
		}
	}
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
	ops["rot90"] = func(c *call) ([]*tensor, error) {
		t, k := c.tensor("self"), c.int("k", 1)
		dims := c.dims("dims", t)
		if !c.has("dims") && t.rank() >= 2 {
			dims = []int{0, 1}
		}
		if c.err != nil || len(dims) != 2 {
			c.fail("a turn in %d dimensions", len(dims))
			return nil, c.err
		}
		var err error
		turn := (k%4 + 4) % 4
		if turn == 1 || turn == 2 {
			t, err = c.p.flipped(t, dims[1])
		}
		if err == nil && turn >= 2 {
			t, err = c.p.flipped(t, dims[0])
		}
		if err != nil || turn%2 == 0 {
			return one(t, err)
		}
		return one(t.permute(swapped(t.rank(), dims[0], dims[1])), nil)
	}
	ops["channel_shuffle"] = func(c *call) ([]*tensor, error) {
		t, g := c.tensor("self"), c.int("groups", 1)
		if c.err != nil || t.rank() < 3 || g < 1 || t.shape[1].n%g != 0 {
			c.fail("a shuffle of %d groups", g)
			return nil, c.err
		}
		u, err := c.p.view(t, slices.Concat(t.shape[:1], []size{{n: g}, {n: t.shape[1].n / g}}, t.shape[2:]))
		if err != nil {
			return nil, err
		}
		return one(c.p.view(u.permute(swapped(u.rank(), 1, 2)), t.shape))
	}
	ops["native_channel_shuffle"] = ops["channel_shuffle"]
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
	ops["flip"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		list := c.dims("dims", t)
		if len(c.ints("dims", 0)) == 0 {
			list = nil
		}
		for _, d := range list {
			var err error
			if t, err = c.p.flipped(t, d); err != nil {
				return nil, err
			}
		}
		return one(t, c.err)
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
	ops["cat"] = func(c *call) ([]*tensor, error) { return one(c.p.cat(c.list("tensors"), c.int("dim", 0))) }
	for name, d := range map[string]int{"hstack": 1, "vstack": 0, "dstack": 2} {
		ops[name] = func(c *call) ([]*tensor, error) {
			list := c.list("tensors")
			if c.err != nil || len(list) == 0 || list[0].rank() <= max(d, 1) {
				c.fail("%s of vectors", name)
				return nil, c.err
			}
			return one(c.p.cat(list, d))
		}
	}
	ops["stack"] = func(c *call) ([]*tensor, error) {
		list, d := c.list("tensors"), c.int("dim", 0)
		if c.err != nil || len(list) == 0 {
			return nil, c.err
		}
		if d < 0 {
			d += list[0].rank() + 1
		}
		for i, t := range list {
			var err error
			if list[i], err = c.p.view(t, slices.Insert(slices.Clone(t.shape), d, size{n: 1})); err != nil {
				return nil, err
			}
		}
		return one(c.p.cat(list, d))
	}
	ops["roll"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		shifts, dims := c.ints("shifts", 0), c.dims("dims", t)
		if c.err != nil || len(shifts) != len(dims) {
			c.fail("%d shifts of %d dimensions", len(shifts), len(dims))
			return nil, c.err
		}
		for i, d := range dims {
			n := t.shape[d].n
			k := ((shifts[i] % n) + n) % n
			if t.shape[d].batch {
				return nil, fmt.Errorf("%w: a roll of the batch", ErrUnsupported)
			}
			if k == 0 {
				continue
			}
			a, err := c.part(t, d, n-k, n, 1)
			if err != nil {
				return nil, err
			}
			b, err := c.part(t, d, 0, n-k, 1)
			if err != nil {
				return nil, err
			}
			if t, err = c.p.cat([]*tensor{a[0], b[0]}, d); err != nil {
				return nil, err
			}
		}
		c.link = nil
		return one(t, nil)
	}
	ops["pixel_shuffle"] = func(c *call) ([]*tensor, error) {
		t, r := c.tensor("self"), c.int("upscale_factor", 1)
		n := t.rank()
		if c.err != nil || n < 3 || r < 1 || t.shape[n-3].n%(r*r) != 0 {
			c.fail("pixel_shuffle by %d of rank %d", r, n)
			return nil, c.err
		}
		ch, h, w := t.shape[n-3].n/(r*r), t.shape[n-2], t.shape[n-1]
		lead := t.shape[:n-3]
		t, err := c.p.view(t, slices.Concat(lead, []size{{n: ch}, {n: r}, {n: r}, h, w}))
		if err != nil {
			return nil, err
		}
		k := len(lead)
		t = t.permute(append(upTo(k), k, k+3, k+1, k+4, k+2))
		return one(c.p.view(t, slices.Concat(lead, []size{{n: ch}, {n: h.n * r}, {n: w.n * r}})))
	}
	ops["pixel_unshuffle"] = func(c *call) ([]*tensor, error) {
		t, r := c.tensor("self"), c.int("downscale_factor", 1)
		n := t.rank()
		if c.err != nil || n < 3 || r < 1 || t.shape[n-2].n%r != 0 || t.shape[n-1].n%r != 0 {
			c.fail("pixel_unshuffle by %d of rank %d", r, n)
			return nil, c.err
		}
		ch, h, w := t.shape[n-3], t.shape[n-2].n/r, t.shape[n-1].n/r
		lead := t.shape[:n-3]
		t, err := c.p.view(t, slices.Concat(lead, []size{ch, {n: h}, {n: r}, {n: w}, {n: r}}))
		if err != nil {
			return nil, err
		}
		k := len(lead)
		t = t.permute(append(upTo(k), k, k+2, k+4, k+1, k+3))
		return one(c.p.view(t, slices.Concat(lead, []size{{n: ch.n * r * r}, {n: h}, {n: w}})))
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
	ops["as_strided"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		shape, by := c.sizes("size"), c.ints("stride", 0)
		if c.err != nil || c.int("storage_offset", 0) != 0 || len(by) != len(shape) {
			c.fail("as_strided that is no permutation")
			return nil, c.err
		}
		if slices.Equal(shape, t.shape) { // the same elements, laid out otherwise
			return one(t, nil)
		}
		return nil, fmt.Errorf("%w: as_strided to another shape", ErrUnsupported)
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

// within makes an index that may count from the end one of 0 to n.
func within(i, n int) int {
	if i < 0 {
		i += n
	}
	return min(max(i, 0), n)
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

// flipped is t with a dimension from the end to the start.
func (p *program) flipped(t *tensor, d int) (*tensor, error) {
	n := t.shape[d].n
	if t.shape[d].batch {
		return nil, fmt.Errorf("%w: a flip of the batch", ErrUnsupported)
	}
	list := counting(n)
	slices.Reverse(list)
	at := fresh([]int{n}, list, true)
	if t.c != nil {
		return ofConstant(take(t.c, d, at)), nil
	}
	return p.gather(t, d, at)
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

// cat joins tensors.
func (p *program) cat(list []*tensor, d int) (*tensor, error) {
	list = slices.DeleteFunc(slices.Clone(list), func(t *tensor) bool { return t.c != nil && count(t.c.shape) == 0 && len(t.c.shape) == 1 })
	if len(list) == 0 {
		return nil, fmt.Errorf("nothing to join")
	}
	d, err := list[0].dim(d)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		if t.rank() != list[0].rank() {
			return nil, fmt.Errorf("ranks %d and %d to be joined", t.rank(), list[0].rank())
		}
	}
	if !slices.ContainsFunc(list, func(t *tensor) bool { return t.c == nil }) {
		shape := slices.Clone(list[0].c.shape)
		shape[d] = 0
		for _, t := range list {
			shape[d] += t.c.shape[d]
		}
		out := fresh(shape, make([]float64, count(shape)), list[0].c.integer)
		at := 0
		for _, t := range list {
			v := t.c.values()
			out.slice(d, at, at+t.c.shape[d], 1).write(func(i int) float64 { return v[i] })
			at += t.c.shape[d]
		}
		return ofConstant(out), nil
	}
	// all in the order of the first computed one, an axis for each dimension
	lead := list[slices.IndexFunc(list, func(t *tensor) bool { return t.c == nil })]
	if s := lead.shape[0]; s.batch && s.n > 1 && d > 0 {
		u, err := p.unjoined(lead, d, func(_ *tensor, d int) ([]*tensor, error) {
			for i, t := range list {
				if t.shape[0] != s {
					return nil, fmt.Errorf("%v and %v to be joined", t.shape, lead.shape)
				}
				if _, list[i], err = p.leading(t); err != nil {
					return nil, err
				}
			}
			return one(p.cat(list, d))
		})
		if err != nil {
			return nil, err
		}
		return u[0], nil
	}
	order := p.axisOrder(lead)
	groups, dims := [][]int{}, make([][]int, lead.rank())
	for i, k := range order {
		groups, dims[k] = append(groups, []int{k}), []int{i}
	}
	if lead.shape[d].batch { // a dimension beside the batch's, joined with it: some later view takes them apart
		if slices.ContainsFunc(list, func(t *tensor) bool { return !slices.Equal(t.shape, lead.shape) }) || lead.shape[d].n > 1 {
			return nil, fmt.Errorf("%w: batches joined", ErrUnsupported)
		}
		for i, t := range list {
			if list[i], err = p.view(t, slices.Insert(slices.Clone(t.shape), d, size{n: 1})); err != nil {
				return nil, err
			}
		}
		u, err := p.cat(list, d)
		if err != nil {
			return nil, err
		}
		v := *u
		v.shape, v.dims = slices.Delete(slices.Clone(u.shape), d, d+1), slices.Delete(slices.Clone(u.dims), d, d+1)
		v.shape[d].n, v.dims[d] = len(list), slices.Concat(u.dims[d], u.dims[d+1])
		return &v, nil
	}
	out := &tensor{shape: slices.Clone(lead.shape), dims: dims}
	out.shape[d].n = 0
	var names []string
	for _, t := range list {
		out.shape[d].n += t.shape[d].n
		g := groups
		if t.c == nil && len(t.dims[order[0]]) == 0 && t.shape[order[0]].batch { // the same for all of the batch: repeated by concat
			u := *t
			u.shape, u.dims = slices.Clone(t.shape), slices.Clone(t.dims)
			u.shape[order[0]] = size{n: 1}
			t, g = &u, groups[1:]
		}
		u, err := p.arranged(t, g)
		if err != nil {
			return nil, err
		}
		names = append(names, u.name)
		if len(g) == len(groups) {
			out.axes = slices.Clone(u.axes)
		}
	}
	axis := dims[d][0]
	if out.axes == nil {
		return nil, fmt.Errorf("%w: nothing but what is the same for all of the batch", ErrUnsupported)
	}
	out.axes[axis] = out.shape[d].n
	out.name = p.build(p.at, graph.Concat{Axis: axis}, names)
	return out, nil
}

// axisOrder lists the dimensions of t in the order of their first axes; those without come last, but the batch first, also one of 1, so that
// a program gives the same graph whichever way its batch was exported.
func (p *program) axisOrder(t *tensor) []int {
	list := upTo(t.rank())
	symbolic := slices.ContainsFunc(t.shape, func(s size) bool { return s.batch })
	first := func(d int) int {
		if t.shape[d].batch || d == 0 && t.shape[d].one() && !symbolic { // a batch of 1 is one as well
			return -1
		}
		if len(t.dims) == 0 || len(t.dims[d]) == 0 {
			return 1 << 20
		}
		return t.dims[d][0]
	}
	slices.SortStableFunc(list, func(a, b int) int { return first(a) - first(b) })
	return list
}
