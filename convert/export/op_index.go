package export

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

// p1 is n, or what exceeds all where n is not known.
func p1(n int) int {
	if n == 0 {
		return 1 << 40
	}
	return n
}

// filled is a tensor of one number.
func (p *program) filled(shape []size, v float64, integer bool) (*tensor, error) {
	if n, ok := ints(shape); ok {
		return ofConstant(fresh(n, filled(n, v, integer).values(), integer)), nil
	}
	return p.expand(ofConstant(filled(nil, v, integer)), shape)
}

// index is t[index..], nil for a dimension that stays; masks are truth values, which stand for the places where they are true.
func (p *program) index(t *tensor, index []*tensor, masks []bool) (*tensor, error) {
	if t.c == nil {
		if k, err := p.known(t); err != nil {
			return nil, err
		} else if k != nil {
			t = ofConstant(k)
		}
	}
	var list []*tensor // one for each dimension
	var given []int
	var computed *tensor
	for i, x := range index {
		if x == nil {
			list = append(list, nil)
			continue
		}
		given = append(given, len(list))
		if x.counts {
			list = append(list, x)
			continue
		}
		k, err := p.known(x)
		switch {
		case err != nil:
			return nil, err
		case k == nil && masks[i] || k == nil && computed != nil:
			return nil, fmt.Errorf("%w: computed indices", ErrUnsupported)
		case k == nil:
			computed = x
			list = append(list, x)
		case masks[i]:
			places := make([][]float64, len(k.shape))
			for at, v := range k.values() {
				for d := len(k.shape) - 1; v != 0 && d >= 0; d-- {
					places[d] = append(places[d], float64(at%k.shape[d]))
					at /= k.shape[d]
				}
			}
			for d, v := range places {
				if d > 0 {
					given = append(given, len(list))
				}
				list = append(list, ofConstant(fresh([]int{len(v)}, v, true)))
			}
		default:
			list = append(list, ofConstant(k))
		}
	}
	if len(given) == 0 {
		return t, nil
	}
	if given[len(given)-1] >= t.rank() {
		return nil, fmt.Errorf("index %d of a tensor of rank %d", given[len(given)-1], t.rank())
	}
	if computed != nil || list[given[0]].counts {
		return p.lookup(t, list, given)
	}
	first, last := given[0], given[len(given)-1]
	if last-first+1 != len(given) { // apart: theirs is the first place
		order := slices.Clone(given)
		for d := range t.rank() {
			if !slices.Contains(given, d) {
				order = append(order, d)
			}
		}
		t = t.permute(order)
		for i, d := range given {
			list[i] = list[d]
		}
		first, last = 0, len(given)-1
	} else if t.c == nil && first < last {
		if u, err := p.grid(t, list, last); err != errTogether {
			return u, err
		}
	}
	var at *constant // the joined index of the dimensions first to last
	joint := 1
	for d := first; d <= last; d++ {
		if t.shape[d].batch {
			return nil, fmt.Errorf("%w: indices of the batch", ErrUnsupported)
		}
		n := t.shape[d].n
		joint *= n
		x := list[d].c.mapped(func(v float64) float64 {
			if v < 0 {
				v += float64(n)
			}
			return v
		})
		for _, v := range x.values() {
			if !(v >= 0 && v < float64(n)) {
				return nil, fmt.Errorf("index %v of %d", v, n)
			}
		}
		if at == nil {
			at = x
		} else {
			at = joined(at, x, func(a, b float64) float64 { return a*float64(n) + b })
		}
	}
	t, err := p.view(t, slices.Concat(t.shape[:first], []size{{n: joint}}, t.shape[last+1:]))
	if err != nil {
		return nil, err
	}
	if t.c != nil {
		return ofConstant(take(t.c, first, at)), nil
	}
	return p.gather(t, first, at)
}

// lookup is index by computed numbers: one of a row of each picture, or rows of a table.
func (p *program) lookup(t *tensor, list []*tensor, given []int) (*tensor, error) {
	bad := fmt.Errorf("%w: computed indices", ErrUnsupported)
	at := list[given[len(given)-1]]
	if at.c != nil || at.counts {
		return nil, bad
	}
	if len(given) == 1 && given[0] == 0 && t.c != nil && t.rank() == 2 { // rows of a table
		return p.embedded(t.c, at, p.at)
	}
	if len(given) != 2 || given[0] != 0 || given[1] != 1 || at.rank() != 1 || at.shape[0] != t.shape[0] {
		return nil, bad
	}
	if rows := list[0]; rows.counts != t.shape[0].batch || !rows.counts && !slices.Equal(rows.c.values(), fresh([]int{t.shape[0].n}, counting(t.shape[0].n), true).values()) {
		return nil, bad
	}
	hot, err := p.hot(at, t.shape[1].n) // [B, T], times [B, T, rest]
	if err != nil {
		return nil, err
	}
	rest := size{n: 1}
	for _, s := range t.shape[2:] {
		rest.n *= s.n
	}
	if hot, err = p.view(hot, []size{t.shape[0], {n: 1}, t.shape[1]}); err != nil {
		return nil, err
	}
	u, err := p.view(t, []size{t.shape[0], t.shape[1], rest})
	if err != nil {
		return nil, err
	}
	if u, err = p.matmul(hot, u); err != nil {
		return nil, err
	}
	return p.view(u, slices.Concat(t.shape[:1], t.shape[2:]))
}

func counting(n int) (list []float64) {
	for i := range n {
		list = append(list, float64(i))
	}
	return list
}

// hot is 1 at the places that indices name among n of a new last dimension, else 0.
func (p *program) hot(at *tensor, n int) (*tensor, error) {
	at, err := p.straight(at)
	if err != nil {
		return nil, err
	}
	u := at.plain()
	u.axes, u.shape = append(slices.Clone(at.axes), n), append(slices.Clone(at.shape), size{n: n})
	u.dims = append(slices.Clone(at.dims), []int{len(at.axes)})
	single := p.build(p.at+".joined", graph.Reshape{Shape: append(p.extents(at.axes), 1)}, []string{at.name})
	u.name = p.build(p.at+".hot", graph.OneHot{N: n}, []string{single})
	return u, nil
}

// picked is t at indices along a dimension; the others have the same extents.
func (p *program) picked(t, at *tensor, d int) (*tensor, error) {
	for i := range t.rank() {
		if i != d && t.shape[i] != at.shape[i] && !(i == 0 && at.c != nil && at.shape[0].one() && t.shape[0].batch) {
			return nil, fmt.Errorf("%w: gather from %v by %v", ErrUnsupported, t.shape, at.shape)
		}
	}
	n := t.shape[d].n
	if t.shape[d].batch || at.shape[d].batch {
		return nil, fmt.Errorf("%w: indices of the batch", ErrUnsupported)
	}
	order := append(slices.DeleteFunc(upTo(t.rank()), func(i int) bool { return i == d }), d)
	back := make([]int, len(order))
	for i, k := range order {
		back[k] = i
	}
	t, at = t.permute(order), at.permute(order)
	var hot *tensor
	if at.c != nil {
		v := at.c.values()
		data := make([]float64, len(v)*n)
		for i, k := range v {
			if k < 0 || k >= float64(n) {
				return nil, fmt.Errorf("index %v of %d", k, n)
			}
			data[i*n+int(k)] = 1
		}
		hot = ofConstant(fresh(append(slices.Clone(at.c.shape), n), data, false))
	} else {
		var err error
		if hot, err = p.hot(at, n); err != nil {
			return nil, err
		}
	}
	u, err := p.view(t, append(slices.Clone(t.shape), size{n: 1}))
	if err != nil {
		return nil, err
	}
	if u, err = p.product(hot, u); err != nil { // [.., K, n] times [.., n, 1]
		return nil, err
	}
	if u, err = p.view(u, u.shape[:u.rank()-1]); err != nil {
		return nil, err
	}
	return u.permute(back), nil
}
