package export

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

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
