package export

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

func init() {
	for _, name := range []string{"clone", "contiguous", "detach", "alias", "lift_fresh_copy", "dropout", "feature_dropout", "identity", "to", "_to_copy", "positive"} {
		ops[name] = func(c *call) ([]*tensor, error) {
			self := "self"
			if _, ok := c.args["input"]; ok {
				self = "input"
			}
			t := c.tensor(self)
			for _, name := range []string{"train", "dtype", "other", "memory_format", "non_blocking", "copy", "device", "layout"} {
				if c.arg(name); name == "train" && c.bool("train", false) {
					c.fail("dropout for training: export model.eval()")
				}
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
	ops["expand_as"] = func(c *call) ([]*tensor, error) { return one(c.p.expand(c.tensor("self"), c.tensor("other").shape)) }
	ops["repeat"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		times := c.sizes("repeats")
		if c.err != nil {
			return nil, c.err
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
			switch {
			case r.one():
			case t.shape[i].one():
				want[i] = r
			default:
				return nil, fmt.Errorf("%w: repeat of a dimension of %d", ErrUnsupported, t.shape[i].n)
			}
		}
		return one(c.p.expand(t, want))
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
		l := c.link
		u, err := c.p.view(list[0], slices.Delete(slices.Clone(list[0].shape), d, d+1))
		if c.link = l; l != nil {
			first := l.apply
			l.apply = func(t *tensor) (*tensor, error) {
				v, err := first(t)
				if err != nil {
					return nil, err
				}
				return c.p.view(v, slices.Delete(slices.Clone(v.shape), d, d+1))
			}
		}
		return one(u, err)
	}
	split := func(c *call, t *tensor, d int, list []int) (out []*tensor, err error) {
		at := 0
		for _, n := range list {
			part, err := c.part(t, d, at, at+n, 1)
			if err != nil {
				return nil, err
			}
			out = append(out, part...)
			at += n
		}
		c.link = nil
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
				list[i], err = c.p.view(list[i], slices.Delete(slices.Clone(list[i].shape), d, d+1))
			}
		}
		return list, err
	}
	ops["cat"] = func(c *call) ([]*tensor, error) { return one(c.p.cat(c.list("tensors"), c.int("dim", 0))) }
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
	c.link = &link{of: nameOf(c.args["self"]), apply: cut}
	return one(cut(t))
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
	order := p.axisOrder(lead)
	groups, dims := [][]int{}, make([][]int, lead.rank())
	for i, k := range order {
		groups, dims[k] = append(groups, []int{k}), []int{i}
	}
	if lead.shape[d].batch {
		return nil, fmt.Errorf("%w: batches joined", ErrUnsupported)
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

// axisOrder lists the dimensions of t in the order of their first axes; those without come last, but the batch first.
func (p *program) axisOrder(t *tensor) []int {
	list := upTo(t.rank())
	first := func(d int) int {
		if t.shape[d].batch {
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
