package export

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
)

// Ops that make constants, and those that look constants up.
func init() {
	make := func(name, shape string, value func(c *call) float64, like bool) {
		ops[name] = func(c *call) ([]*tensor, error) {
			var list []size
			if like {
				list = c.tensor("self").shape
			} else {
				if _, ok := c.args["self"]; ok {
					c.tensor("self")
				}
				list = c.sizes(shape)
			}
			v := value(c)
			n, ok := ints(list)
			if !ok { // the same number for all of the batch
				return one(ofConstant(filled(nil, v, false)), c.err)
			}
			data := filled(n, v, false).values()
			return one(ofConstant(fresh(n, data, false)), c.err)
		}
	}
	zero := func(*call) float64 { return 0 }
	ones := func(*call) float64 { return 1 }
	fill := func(c *call) float64 { return c.number("fill_value") }
	make("zeros", "size", zero, false)
	make("ones", "size", ones, false)
	make("full", "size", fill, false)
	make("new_zeros", "size", zero, false)
	make("new_ones", "size", ones, false)
	make("new_full", "size", fill, false)
	make("zeros_like", "", zero, true)
	make("ones_like", "", ones, true)
	make("full_like", "", fill, true)
	ops["fill"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		n, ok := ints(t.shape)
		if !ok {
			c.fail("fill of a batch")
		}
		return one(ofConstant(filled(n, c.number("value"), false)), c.err)
	}
	ops["zero"] = func(c *call) ([]*tensor, error) {
		n, ok := ints(c.tensor("self").shape)
		if !ok {
			c.fail("fill of a batch")
		}
		return one(ofConstant(filled(n, 0, false)), c.err)
	}
	ops["scalar_tensor"] = func(c *call) ([]*tensor, error) { return one(ofConstant(filled(nil, c.number("s"), false)), nil) }
	ops["arange"] = func(c *call) ([]*tensor, error) {
		from, step := c.float("start", 0), c.float("step", 1)
		to := c.number("end")
		n := math.Ceil((to - from) / step)
		if c.err != nil || !(n >= 0 && n < 1<<24) {
			c.fail("arange from %v to %v by %v", from, to, step)
			return nil, c.err
		}
		var list []float64
		for i := range int(n) {
			list = append(list, from+float64(i)*step)
		}
		return one(ofConstant(fresh([]int{len(list)}, list, true)), nil)
	}
	ops["index"] = func(c *call) ([]*tensor, error) {
		t, index := c.tensor("self"), c.list("indices")
		if c.err != nil {
			return nil, c.err
		}
		given := -1
		for i, x := range index {
			if x == nil {
				continue
			}
			if k, err := c.p.known(x); err != nil {
				return nil, err
			} else if k != nil {
				index[i] = ofConstant(k)
			} else {
				return nil, fmt.Errorf("%w: computed indices", ErrUnsupported)
			}
			if given >= 0 && i != given+1 {
				return nil, fmt.Errorf("%w: indices of dimensions apart", ErrUnsupported)
			}
			given = i
		}
		if t.c == nil {
			if k, err := c.p.known(t); err != nil {
				return nil, err
			} else if k != nil {
				t = ofConstant(k)
			}
		}
		if t.c == nil && given > 0 && index[given-1] != nil {
			return one(c.p.grid(t, index, given))
		}
		if given < 0 {
			return one(t, nil)
		}
		if t.c == nil {
			return one(c.p.gather(t, given, index[given].c))
		}
		first := given
		for first > 0 && index[first-1] != nil {
			first--
		}
		var at *constant // the joined index of the dimensions first to given
		for d := first; d <= given; d++ {
			n := float64(t.c.shape[d])
			x := index[d].c.mapped(func(v float64) float64 {
				if v < 0 {
					v += n
				}
				return v
			})
			for _, v := range x.values() {
				if !(v >= 0 && v < n) {
					return nil, fmt.Errorf("index %v of %v", v, n)
				}
			}
			if at == nil {
				at = x
			} else {
				at = joined(at, x, func(a, b float64) float64 { return a*n + b })
			}
		}
		shape := slices.Concat(t.c.shape[:first], []int{count(t.c.shape[first : given+1])}, t.c.shape[given+1:])
		return one(ofConstant(take(t.c.reshape(shape), first, at)), nil)
	}
	ops["embedding"] = func(c *call) ([]*tensor, error) {
		w, at := c.constant("weight"), c.tensor("indices")
		c.arg("padding_idx") // of training
		c.bool("scale_grad_by_freq", false)
		c.bool("sparse", false)
		if c.err != nil || len(w.shape) != 2 {
			c.fail("a table of rank %d", len(w.shape))
			return nil, c.err
		}
		k, err := c.p.known(at)
		if err != nil {
			return nil, err
		}
		if k != nil {
			return one(ofConstant(take(w, 0, k)), nil)
		}
		if at, err = c.p.ordered(at); err != nil {
			return nil, err
		}
		table, err := c.p.param(w, w.shape, w.values())
		if err != nil {
			return nil, err
		}
		d := at.rank()
		return one(&tensor{name: c.p.build(c.name(), graph.Embedding{}, []string{at.name}, table), axes: append(slices.Clone(at.axes), w.shape[1]),
			shape: append(slices.Clone(at.shape), size{n: w.shape[1]}), dims: append(slices.Clone(at.dims), []int{d})}, nil)
	}
	ops["gather"] = func(c *call) ([]*tensor, error) {
		t, at := c.constant("self"), c.constant("index")
		c.bool("sparse_grad", false)
		if c.err != nil || len(t.shape) != len(at.shape) || len(t.shape) == 0 {
			c.fail("gather from %v", t.shape)
			return nil, c.err
		}
		d := c.dim("dim", 0, ofConstant(t))
		v, index, by := t.values(), at.values(), strides(t.shape)
		out := slices.Repeat([]float64{0}, len(index))
		for i := range out {
			place, rest := 0, i
			for j := len(at.shape) - 1; j >= 0; j-- {
				k := rest % at.shape[j]
				if rest /= at.shape[j]; j == d {
					k = int(index[i])
				}
				if k < 0 || k >= t.shape[j] {
					return nil, fmt.Errorf("index %d of %d", k, t.shape[j])
				}
				place += k * by[j]
			}
			out[i] = v[place]
		}
		return one(ofConstant(fresh(at.shape, out, t.integer)), nil)
	}
	ops["cumsum"] = func(c *call) ([]*tensor, error) {
		t := c.constant("self")
		if c.err != nil {
			return nil, c.err
		}
		d := c.dim("dim", 0, ofConstant(t))
		v, by := t.values(), strides(t.shape)
		for i := range v {
			if i/by[d]%t.shape[d] > 0 {
				v[i] += v[i-by[d]]
			}
		}
		return one(ofConstant(fresh(t.shape, v, t.integer)), nil)
	}
	ops["index_select"] = func(c *call) ([]*tensor, error) {
		t, at := c.tensor("self"), c.constant("index")
		d := c.dim("dim", 0, t)
		if c.err != nil {
			return nil, c.err
		}
		if t.c != nil {
			return one(ofConstant(take(t.c, d, at)), nil)
		}
		return one(c.p.gather(t, d, at))
	}
	ops["slice_scatter"] = func(c *call) ([]*tensor, error) {
		t, src := c.tensor("self"), c.tensor("src")
		d := c.dim("dim", 0, t)
		if c.err != nil || t.c == nil || src.c == nil {
			c.fail("slice_scatter of computed numbers")
			return nil, c.err
		}
		n := t.c.shape[d]
		out := fresh(t.c.shape, t.c.values(), t.c.integer)
		part := out.slice(d, within(c.int("start", 0), n), within(c.int("end", n), n), c.int("step", 1))
		v := src.c.expand(part.shape).values()
		part.write(func(i int) float64 { return v[i] })
		return one(ofConstant(out), nil)
	}
}

// take looks indices up along a dimension, whose place their shape takes.
func take(c *constant, d int, at *constant) *constant {
	index := at.values()
	shape := slices.Concat(c.shape[:d], at.shape, c.shape[d+1:])
	inner := count(c.shape[d+1:])
	v, n := c.values(), c.shape[d]
	out := make([]float64, 0, count(shape))
	for i := range count(c.shape[:d]) {
		for _, x := range index {
			j := int(x)
			if j < 0 {
				j += n
			}
			j = min(max(j, 0), n-1)
			out = append(out, v[(i*n+j)*inner:(i*n+j+1)*inner]...)
		}
	}
	return fresh(shape, out, c.integer)
}

// gather picks elements of a computed dimension by a list that is known: runs of it, joined.
func (p *program) gather(t *tensor, d int, at *constant) (*tensor, error) {
	if t.shape[d].batch {
		return nil, fmt.Errorf("%w: indices of the batch", ErrUnsupported)
	}
	if len(at.shape) != 1 {
		u, err := p.gather(t, d, at.reshape([]int{count(at.shape)}))
		if err != nil {
			return nil, err
		}
		return p.view(u, slices.Concat(t.shape[:d], sizes(at.shape), t.shape[d+1:]))
	}
	c := &call{p: p, n: p.n, args: map[string]arg{}}
	var parts []*tensor
	list, n := at.values(), t.shape[d].n
	for i := 0; i < len(list); {
		from := within(int(list[i]), n)
		step, k := 1, 1
		if i+1 < len(list) && list[i+1] > list[i] {
			step = int(list[i+1] - list[i])
		}
		for i+k < len(list) && within(int(list[i+k]), n) == from+k*step {
			k++
		}
		part, err := c.part(t, d, from, from+(k-1)*step+1, step)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part[0])
		i += k
	}
	return p.cat(parts, d)
}

// grid picks elements of neighbouring computed dimensions up to last, each by an index of its own: index i varies along its own
// dimension of the indices alone.
func (p *program) grid(t *tensor, index []*tensor, last int) (*tensor, error) {
	first := last
	for first > 0 && index[first-1] != nil {
		first--
	}
	n := last + 1 - first
	lists := make([]*constant, n)
	whole := t.rank() == n+2 && first == 2 // nearest neighbours
	size := make([]int, n)
	for i := range n {
		c := index[first+i].c
		for d, e := range c.shape {
			if e != 1 && d-len(c.shape) != i-n {
				return nil, fmt.Errorf("%w: indices that depend on each other", ErrUnsupported)
			}
		}
		lists[i] = c.reshape([]int{count(c.shape)})
		size[i] = count(c.shape)
		in := t.shape[first+i].n
		for o, v := range lists[i].values() {
			whole = whole && int(v) == int(float32(o)*(float32(in)/float32(size[i])))
		}
	}
	if whole {
		c := &call{p: p, n: p.n, args: map[string]arg{"self": {"as_tensor", []byte(`{"name":"` + nameOf(p.n.Inputs[0].Arg) + `"}`)}}}
		list, err := c.spatial("self", n, graph.Resize{Mode: "nearest", Size: size})
		if err != nil {
			return nil, err
		}
		return list[0], nil
	}
	for i, at := range lists {
		var err error
		if t, err = p.gather(t, first+i, at); err != nil {
			return nil, err
		}
	}
	return t, nil
}
