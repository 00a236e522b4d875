package export

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

func init() {
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
