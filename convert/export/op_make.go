package export

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
)

// Ops that make constants, and those that look constants up.
func init() {
	maker := func(name, shape string, value func(c *call) float64, like bool) {
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
			c.arg("stride") // of memory that is to be written
			c.arg("physical_layout")
			if c.err != nil {
				return nil, c.err
			}
			return one(c.p.filled(list, v, dtypes[c.dtype()].integer))
		}
	}
	zero := func(*call) float64 { return 0 }
	ones := func(*call) float64 { return 1 }
	fill := func(c *call) float64 { return c.number("fill_value") }
	maker("zeros", "size", zero, false)
	maker("ones", "size", ones, false)
	maker("full", "size", fill, false)
	maker("new_zeros", "size", zero, false)
	maker("new_ones", "size", ones, false)
	maker("new_full", "size", fill, false)
	maker("empty", "size", zero, false)
	maker("empty_strided", "size", zero, false)
	maker("empty_permuted", "size", zero, false)
	maker("new_empty", "size", zero, false)
	maker("empty_like", "", zero, true)
	maker("zeros_like", "", zero, true)
	maker("ones_like", "", ones, true)
	maker("full_like", "", fill, true)
	ops["fill"] = func(c *call) ([]*tensor, error) {
		t, v := c.tensor("self"), c.tensor("value")
		if c.err != nil {
			return nil, c.err
		}
		return one(c.p.expand(v, t.shape))
	}
	ops["zero"] = func(c *call) ([]*tensor, error) { return one(c.p.filled(c.tensor("self").shape, 0, false)) }
	ops["eye"] = func(c *call) ([]*tensor, error) {
		n := c.int("n", 0)
		m := c.int("m", n)
		if c.err != nil || n < 0 || m < 0 || n > 1<<14 || m > 1<<14 {
			c.fail("eye of %d, %d", n, m)
			return nil, c.err
		}
		data := make([]float64, n*m)
		for i := range min(n, m) {
			data[i*m+i] = 1
		}
		return one(ofConstant(fresh([]int{n, m}, data, false)), nil)
	}
	ops["linspace"] = func(c *call) ([]*tensor, error) {
		from, to, n := c.number("start"), c.number("end"), c.int("steps", 0)
		if c.err != nil || n < 1 || n > 1<<24 {
			c.fail("linspace of %d", n)
			return nil, c.err
		}
		list := make([]float64, n)
		for i := range list {
			if list[i] = from; n > 1 {
				list[i] += (to - from) * float64(i) / float64(n-1)
			}
		}
		return one(ofConstant(fresh([]int{n}, list, false)), nil)
	}
	ops["meshgrid"] = func(c *call) ([]*tensor, error) {
		list, xy := c.list("tensors"), c.string("indexing", "ij") == "xy"
		if c.err != nil {
			return nil, c.err
		}
		var out []*tensor
		for i, t := range list {
			if t.rank() > 1 {
				return nil, fmt.Errorf("%w: meshgrid of rank %d", ErrUnsupported, t.rank())
			}
			at := i
			if xy && i < 2 {
				at = min(1, len(list)-1) - i
			}
			ones, want := slices.Repeat([]size{{n: 1}}, len(list)), make([]size, len(list))
			for j, u := range list {
				k := j
				if xy && j < 2 {
					k = min(1, len(list)-1) - j
				}
				if want[k] = (size{n: 1}); u.rank() == 1 {
					want[k] = u.shape[0]
				}
			}
			ones[at] = want[at]
			u, err := c.p.view(t, ones)
			if err == nil {
				u, err = c.p.expand(u, want)
			}
			if err != nil {
				return nil, err
			}
			out = append(out, u)
		}
		return out, nil
	}
	ops["scalar_tensor"] = func(c *call) ([]*tensor, error) { return one(ofConstant(filled(nil, c.number("s"), false)), nil) }
	ops["arange"] = func(c *call) ([]*tensor, error) {
		from, step := c.float("start", 0), c.float("step", 1)
		if a, ok := c.arg("end"); ok && from == 0 && step == 1 && a.kind == "as_sym_int" {
			if s := c.size(a); s == (size{1, true}) { // the numbers of the batch: index alone knows what they are
				return one(&tensor{shape: []size{s}, dims: [][]int{nil}, counts: true, integer: true}, nil)
			}
		}
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
		return one(c.p.index(t, index, c.booleans("indices")))
	}
	ops["index_fill"] = func(c *call) ([]*tensor, error) {
		t, at, v := c.real("self"), c.constant("index"), c.real("value")
		d := c.dim("dim", 0, t)
		if c.err != nil {
			return nil, c.err
		}
		return one(c.p.written1(t, v, d, at))
	}
	ops["index_put"] = func(c *call) ([]*tensor, error) {
		t, index, v := c.real("self"), c.list("indices"), c.real("values")
		masks := c.booleans("indices")
		if c.bool("accumulate", false) {
			c.fail("index_put that adds up")
		}
		if c.err != nil {
			return nil, c.err
		}
		given := slices.IndexFunc(index, func(x *tensor) bool { return x != nil })
		if given < 0 || slices.ContainsFunc(index[given+1:], func(x *tensor) bool { return x != nil }) {
			return nil, fmt.Errorf("%w: writes at places of several indices", ErrUnsupported)
		}
		x := index[given]
		if masks[given] { // a value where it is true
			if _, ok := number(v); !ok {
				return nil, fmt.Errorf("%w: writes of several values by a mask", ErrUnsupported)
			}
			shape := slices.Concat(slices.Repeat([]size{{n: 1}}, given), x.shape)
			for len(shape) < t.rank() {
				shape = append(shape, size{n: 1})
			}
			if v.rank() > 0 {
				v = ofConstant(filled(nil, v.c.values()[0], false))
			}
			m, err := c.p.view(x, shape)
			if err != nil {
				return nil, err
			}
			return one(c.p.choose(m, v, t))
		}
		at, err := c.p.known(x)
		if err != nil || at == nil {
			if err == nil {
				err = fmt.Errorf("%w: writes at computed indices", ErrUnsupported)
			}
			return nil, err
		}
		return one(c.p.written1(t, v, given, at))
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
		return one(c.p.embedded(w, at, c.name()))
	}
	ops["gather"] = func(c *call) ([]*tensor, error) {
		t, at := c.tensor("self"), c.tensor("index")
		c.bool("sparse_grad", false)
		d := c.dim("dim", 0, t)
		if c.err != nil || t.rank() != at.rank() || t.rank() == 0 {
			c.fail("gather from %v by %v", t.shape, at.shape)
			return nil, c.err
		}
		for i := range t.rank() {
			if i != d && (t.shape[i].batch != at.shape[i].batch || at.shape[i].n > t.shape[i].n) {
				return nil, fmt.Errorf("%w: gather from %v by %v", ErrUnsupported, t.shape, at.shape)
			}
		}
		if at.c == nil && at.shape[0].batch && len(at.dims[0]) == 0 { // the same for all of the batch
			u := *at
			u.shape = slices.Clone(at.shape)
			u.shape[0], at = size{n: 1}, &u
		}
		k, err := c.p.known(at)
		if err != nil {
			return nil, err
		}
		if t.c == nil || k == nil {
			if k != nil {
				at = ofConstant(k)
			}
			return one(c.p.picked(t, at, d))
		}
		v, index, by := t.c.values(), k.values(), strides(t.c.shape)
		out := slices.Repeat([]float64{0}, len(index))
		for i := range out {
			place, rest := 0, i
			for j := len(k.shape) - 1; j >= 0; j-- {
				e := rest % k.shape[j]
				if rest /= k.shape[j]; j == d {
					e = int(index[i])
				}
				if e < 0 || e >= t.c.shape[j] {
					return nil, fmt.Errorf("index %d of %d", e, t.c.shape[j])
				}
				place += e * by[j]
			}
			out[i] = v[place]
		}
		return one(ofConstant(fresh(k.shape, out, t.c.integer)), nil)
	}
	ops["one_hot"] = func(c *call) ([]*tensor, error) {
		t, n := c.tensor("self"), c.int("num_classes", -1)
		if c.err != nil || t.c != nil || !t.integer || n < 1 || p1(c.p.below[t.name]) > n {
			c.fail("one_hot of %d classes of what may be more", n)
			return nil, c.err
		}
		return one(c.p.hot(t, n))
	}
	ops["cumsum"] = func(c *call) ([]*tensor, error) {
		t := c.real("self")
		d := c.dim("dim", 0, t)
		if c.err != nil {
			return nil, c.err
		}
		if t.c == nil { // a product with a triangle of ones
			n := t.shape[d].n
			if t.shape[d].batch || n > 1<<10 {
				return nil, fmt.Errorf("%w: sums along %d elements", ErrUnsupported, n)
			}
			ones := make([]float64, n*n)
			for i := range ones {
				ones[i] = truth(i%n <= i/n)
			}
			order := append(slices.DeleteFunc(upTo(t.rank()), func(i int) bool { return i == d }), d)
			back := make([]int, len(order))
			for i, k := range order {
				back[k] = i
			}
			u, err := c.p.product(t.plain().permute(order), ofConstant(fresh([]int{n, n}, ones, false).permute([]int{1, 0})))
			if err != nil {
				return nil, err
			}
			return one(u.permute(back), nil)
		}
		v, by := t.c.values(), strides(t.c.shape)
		for i := range v {
			if i/by[d]%t.c.shape[d] > 0 {
				v[i] += v[i-by[d]]
			}
		}
		return one(ofConstant(fresh(t.c.shape, v, t.c.integer)), nil)
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
}

// embedded are rows of a table.
func (p *program) embedded(w *constant, at *tensor, name string) (*tensor, error) {
	at, err := p.ordered(at)
	if err != nil {
		return nil, err
	}
	table, err := p.paramOf(w)
	if err != nil {
		return nil, err
	}
	d := at.rank()
	return &tensor{name: p.build(name, graph.Embedding{}, []string{at.name}, table), axes: append(slices.Clone(at.axes), w.shape[1]),
		shape: append(slices.Clone(at.shape), size{n: w.shape[1]}), dims: append(slices.Clone(at.dims), []int{d})}, nil
}

// written1 is t with v at indices of dimension d.
func (p *program) written1(t, v *tensor, d int, at *constant) (*tensor, error) {
	if len(at.shape) > 1 || t.shape[d].batch || count(at.shape) > 1<<10 {
		return nil, fmt.Errorf("%w: writes at indices %v of a dimension of %v", ErrUnsupported, at.shape, t.shape[d])
	}
	list := at.values()
	shape := slices.Clone(t.shape)
	shape[d] = size{n: len(list)}
	v, err := p.expand(v, shape)
	for i, k := range list {
		to := within(int(k), t.shape[d].n)
		var part []*tensor
		if err == nil {
			part, err = (&call{p: p, n: p.n, args: map[string]arg{}}).part(v, d, i, i+1, 1)
		}
		if err != nil {
			return nil, err
		}
		if t, err = p.replaced(t, part[0], d, to, to+1, 1); err != nil {
			return nil, err
		}
	}
	return t, err
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
		if len(parts) > 1<<12 {
			return nil, fmt.Errorf("%w: more than %d indices that do not follow each other", ErrUnsupported, 1<<12)
		}
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

// errTogether says that indices are no grid.
var errTogether = fmt.Errorf("%w: indices that depend on each other", ErrUnsupported)

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
				return nil, errTogether
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
		return p.spatial(t, n, graph.Resize{Mode: "nearest", Size: size})
	}
	for i, at := range lists {
		var err error
		if t, err = p.gather(t, first+i, at); err != nil {
			return nil, err
		}
	}
	return t, nil
}
