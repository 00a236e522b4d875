package export

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
)

// size is an extent of a tensor: n, or n times the batch.
type size struct {
	n     int
	batch bool
}

func (s size) one() bool { return s == size{n: 1} }

// tensor is a tensor of PyTorch: a constant, or a value of the graph whose axes lie in another order than the tensor's dimensions.
// Each dimension is the product of some axes; one without axes and of more than 1 repeats. So views, transposes and splits of
// dimensions cost nothing, and images are features last without a word of the program's.
type tensor struct {
	c     *constant
	name  string // of the value
	axes  []int  // its extents; batch for the symbol, which is the first
	shape []size
	dims  [][]int // axes of each dimension
	// integer marks i32 values.
	integer bool
	// counts marks the numbers of the pictures of a batch, from 0 on, which no value holds.
	counts bool
	// codes are what a quantized value is made of: only dequantize_per_tensor takes it.
	codes *qparams
	// truth marks values that are 1 or 0.
	truth bool
}

// batch stands for the symbol's extent among axes.
const batch = -1

// plain is t without marks, for values made of it.
func (t *tensor) plain() *tensor {
	u := *t
	u.truth, u.integer, u.codes = false, false, nil
	return &u
}

func (t *tensor) rank() int { return len(t.shape) }

// ints is a shape of numbers.
func ints(shape []size) ([]int, bool) {
	var list []int
	for _, s := range shape {
		if s.batch {
			return nil, false
		}
		list = append(list, s.n)
	}
	return list, true
}

func sizes(shape []int) []size {
	var list []size
	for _, d := range shape {
		list = append(list, size{n: d})
	}
	return list
}

func ofConstant(c *constant) *tensor { return &tensor{c: c, shape: sizes(c.shape)} }

// dim makes a dimension of 0 to rank-1 of one that may count from the end.
func (t *tensor) dim(d int) (int, error) {
	if d < 0 {
		d += t.rank()
	}
	if d < 0 || d >= t.rank() {
		return 0, fmt.Errorf("dimension %d of a tensor of rank %d", d, t.rank())
	}
	return d, nil
}

// build adds a node and returns its value; name is made unique.
func (p *program) build(name string, op graph.Op, in []string, params ...string) string {
	return p.b.Node(p.unique(name), op, in, params...)
}

// unique is name, or name with a number behind it.
func (p *program) unique(name string) string {
	if name == "" {
		name = p.at
	}
	n := name
	for i := 1; p.taken[n]; i++ {
		n = fmt.Sprintf("%s.%d", name, i)
	}
	p.taken[n] = true
	return n
}

// extents are axes as the graph has them.
func (p *program) extents(axes []int) (list []graph.Dim) {
	for _, a := range axes {
		if a == batch {
			list = append(list, p.batch)
		} else {
			list = append(list, graph.Dim(a))
		}
	}
	return list
}

// reshaped is t with other axes under the same numbers; dims as given.
func (p *program) reshaped(t *tensor, axes []int, dims [][]int) *tensor {
	u := *t
	u.axes, u.dims = axes, dims
	if !slices.Equal(t.axes, axes) {
		u.name = p.build(p.at+".view", graph.Reshape{Shape: p.extents(axes)}, []string{t.name})
		p.below[u.name] = p.below[t.name]
	}
	return &u
}

// arranged brings a value into axes of this order: each of the groups becomes one axis, made of dimensions of t.
func (p *program) arranged(t *tensor, groups [][]int) (*tensor, error) {
	t, err := p.dense(t)
	if err != nil {
		return nil, err
	}
	var perm, axes []int
	for _, g := range groups {
		n := 1
		for _, d := range g {
			for _, a := range t.dims[d] {
				perm = append(perm, a)
				if t.axes[a] == batch {
					if n = batch; len(axes) > 0 || len(g) > 1 && len(t.dims[d]) > 1 {
						return nil, fmt.Errorf("%w: the batch is not the first dimension here", ErrUnsupported)
					}
				} else if n == batch {
					return nil, fmt.Errorf("%w: the batch is joined with another dimension here", ErrUnsupported)
				} else {
					n *= t.axes[a]
				}
			}
		}
		axes = append(axes, n)
	}
	for a, n := range t.axes { // axes of 1 that no dimension has
		if !slices.Contains(perm, a) {
			if n != 1 {
				return nil, fmt.Errorf("an axis of %d is lost", n)
			}
			perm = append(perm, a)
		}
	}
	name := t.name
	moved := slices.DeleteFunc(slices.Clone(perm), func(a int) bool { return t.axes[a] == 1 })
	key := fmt.Sprint(name, perm, axes)
	if known, ok := p.arrangements[key]; ok {
		name = known
	} else {
		now := t.axes
		if !slices.IsSorted(moved) { // else the order of axes of 1 is all that changes
			name = p.build(p.at+".permuted", graph.Transpose{Perm: perm}, []string{name})
			now = nil
			for _, a := range perm {
				now = append(now, t.axes[a])
			}
		}
		if !slices.Equal(now, axes) {
			name = p.build(p.at+".joined", graph.Reshape{Shape: p.extents(axes)}, []string{name})
		}
		p.arrangements[key] = name
	}
	return &tensor{name: name, axes: axes, integer: t.integer}, nil
}

// ordered is t with one axis for each dimension, in order.
func (p *program) ordered(t *tensor) (*tensor, error) {
	groups, dims := make([][]int, t.rank()), make([][]int, t.rank())
	for i := range groups {
		groups[i], dims[i] = []int{i}, []int{i}
	}
	u, err := p.arranged(t, groups)
	if err != nil {
		return nil, err
	}
	u.shape, u.dims = t.shape, dims
	return u, nil
}

// dense is a value whose dimensions do not repeat: constants become values of the graph, repeated dimensions are written out.
func (p *program) dense(t *tensor) (*tensor, error) {
	if t.c != nil {
		return p.constantValue(t.c)
	}
	for d, s := range t.shape {
		if len(t.dims[d]) > 0 || s.one() {
			continue
		}
		if s.batch && s.n > 1 { // of the batch and of another dimension
			u := *t
			u.shape, u.dims = slices.Insert(slices.Clone(t.shape), d+1, size{n: s.n}), slices.Insert(slices.Clone(t.dims), d+1, nil)
			u.shape[d].n = 1
			v, err := p.dense(&u)
			if err != nil {
				return nil, err
			}
			w := *v
			w.shape, w.dims = t.shape, slices.Delete(slices.Clone(v.dims), d+1, d+2)
			w.dims[d] = slices.Concat(v.dims[d], v.dims[d+1])
			return &w, nil
		}
		if s.batch {
			u, err := p.batched(t, d)
			if err != nil {
				return nil, err
			}
			return p.dense(u)
		}
		one := p.reshaped(t, append(slices.Clone(t.axes), 1), t.dims)
		axis := len(one.axes) - 1
		list := make([]string, s.n)
		for i := range list {
			list[i] = one.name
		}
		u := *one
		u.name = p.build(p.at+".repeated", graph.Concat{Axis: axis}, list)
		u.axes = slices.Clone(one.axes)
		u.axes[axis] = s.n
		u.dims = slices.Clone(t.dims)
		u.dims[d] = []int{axis}
		return p.dense(&u)
	}
	return t, nil
}

// batched is t with dimension d, which repeats for the batch, written out: zeros of the batch are added.
func (p *program) batched(t *tensor, d int) (*tensor, error) {
	if t.integer || slices.Contains(t.axes, batch) || t.counts {
		return nil, fmt.Errorf("%w: a tensor that is the same for all of the batch cannot be written out here", ErrUnsupported)
	}
	if p.zeros == "" {
		for i, x := range p.b.Inputs() {
			if x.DType != graph.Float || x.Shape[0] != p.batch {
				continue
			}
			p.zeros = x.Name
			for axis := range x.Shape[1:] {
				p.zeros = p.build(fmt.Sprintf("batch.%d.part", i), graph.Slice{Axis: axis + 1, From: 0, To: 1}, []string{p.zeros})
			}
			p.zeros = p.build("batch.zeros", graph.Binary{Func: "keep", Scalar: new(float64)}, []string{p.zeros})
			break
		}
		if p.zeros == "" {
			return nil, fmt.Errorf("%w: a tensor that is the same for all of the batch, which no input of floats has", ErrUnsupported)
		}
	}
	u := *t
	shape := p.extents(append([]int{batch}, slices.Repeat([]int{1}, len(t.axes))...))
	zeros := p.build(p.at+".zeros", graph.Reshape{Shape: shape}, []string{p.zeros})
	u.name = p.build(p.at+".batched", graph.Binary{Func: "add"}, []string{zeros, t.name})
	u.axes, u.dims = append([]int{batch}, t.axes...), nil
	for _, g := range t.dims {
		var moved []int
		for _, a := range g {
			moved = append(moved, a+1)
		}
		u.dims = append(u.dims, moved)
	}
	u.dims[d] = []int{0}
	return &u, nil
}

// constantValue is a constant as a value of the graph.
func (p *program) constantValue(c *constant) (*tensor, error) {
	if c.integer && len(c.shape) == 0 {
		c = fresh([]int{1}, c.values(), false)
	}
	t := &tensor{shape: sizes(c.shape), axes: c.shape}
	if len(c.shape) == 0 {
		t.axes = []int{1}
	}
	for i := range c.shape {
		t.dims = append(t.dims, []int{i})
	}
	var err error
	t.name, err = p.constantNode(c, t.axes, c.values())
	return t, err
}

// constantNode is the value of a param of these numbers; infinite ones, which no file holds, are log(0).
func (p *program) constantNode(c *constant, shape []int, data []float64) (string, error) {
	infinite := [2][]float64{} // 0 where they are, else 1; of +Inf and of -Inf
	for i, x := range data {
		if math.IsInf(x, 0) {
			if infinite[0] == nil {
				infinite[0], infinite[1] = slices.Repeat([]float64{1}, len(data)), slices.Repeat([]float64{1}, len(data))
				data, c = slices.Clone(data), nil
			}
			infinite[int(truth(x < 0))][i], data[i] = 0, 0
		}
	}
	name, err := p.param(c, shape, data)
	if err != nil {
		return "", err
	}
	value := p.build(name+".value", graph.Constant{}, nil, name)
	for i, fn := range []string{"sub", "add"} {
		if slices.Contains(infinite[i], 0) {
			p.infinite = true
			if name, err = p.param(nil, shape, infinite[i]); err != nil {
				return "", err
			}
			log := p.build(name+".log", graph.Unary{Func: "log"}, []string{p.build(name+".value", graph.Constant{}, nil, name)})
			value = p.build(value+".infinite", graph.Binary{Func: fn}, []string{value, log})
		}
	}
	return value, nil
}

// view gives t another shape over the same numbers in the same order.
func (p *program) view(t *tensor, shape []size) (*tensor, error) {
	if t.c != nil {
		list, ok := ints(shape)
		if !ok || count(list) != count(t.c.shape) {
			return nil, fmt.Errorf("shape %v of a constant %v", shape, t.c.shape)
		}
		return ofConstant(t.c.reshape(list)), nil
	}
	if slices.Equal(shape, t.shape) {
		return t, nil
	}
	if u, ok := p.regroup(t, shape); ok {
		return u, nil
	}
	t, err := p.straight(t)
	if err != nil {
		return nil, err
	}
	if u, ok := p.regroup(t, shape); ok {
		return u, nil
	}
	var axes []int
	dims := make([][]int, len(shape))
	for i, s := range shape {
		n := s.n
		if s.batch {
			if i > 0 {
				return nil, fmt.Errorf("%w: a view that joins the batch with another dimension", ErrUnsupported)
			}
			if dims[i], axes = []int{0}, []int{batch}; n == 1 {
				continue
			}
		}
		dims[i], axes = append(dims[i], len(axes)), append(axes, n)
	}
	u := p.reshaped(t, axes, dims)
	u.shape = shape
	return u, nil
}

// regroup shares the axes out to dimensions anew, splitting them where that is all it takes.
func (p *program) regroup(t *tensor, shape []size) (*tensor, bool) {
	type factor struct{ axis, n int } // n 0: the batch
	var list []factor
	for d, s := range t.shape {
		if len(t.dims[d]) == 0 && !s.one() {
			return nil, false
		}
		for _, a := range t.dims[d] {
			n := t.axes[a]
			if n == batch {
				n = 0
			}
			list = append(list, factor{a, n})
		}
	}
	axes := slices.Clone(t.axes)
	pieces := make([][]int, len(axes)) // extents that an axis is split into
	type piece struct{ axis, part int }
	groups := make([][]piece, len(shape))
	i := 0
	part := make([]int, len(axes))
	for d, s := range shape {
		n, sym := 1, false
		for n != s.n || sym != s.batch {
			if i == len(list) {
				return nil, false
			}
			f := &list[i]
			switch {
			case f.n == 1: // no dimension needs it
				pieces[f.axis] = append(pieces[f.axis], 1)
				part[f.axis]++
				i++
			case f.n == 0:
				if !s.batch || sym {
					return nil, false
				}
				sym = true
				groups[d] = append(groups[d], piece{f.axis, 0})
				i++
			case s.n%(n*f.n) == 0:
				n *= f.n
				groups[d] = append(groups[d], piece{f.axis, part[f.axis]})
				pieces[f.axis] = append(pieces[f.axis], f.n)
				part[f.axis]++
				i++
			case s.n%n == 0 && f.n%(s.n/n) == 0 && s.n/n > 1:
				take := s.n / n
				groups[d] = append(groups[d], piece{f.axis, part[f.axis]})
				pieces[f.axis] = append(pieces[f.axis], take)
				part[f.axis]++
				f.n /= take
				n = s.n
			default:
				return nil, false
			}
		}
	}
	for ; i < len(list); i++ {
		if list[i].n != 1 {
			return nil, false
		}
		pieces[list[i].axis] = append(pieces[list[i].axis], 1)
	}
	first := make([]int, len(axes))
	var now []int
	for a, n := range axes {
		first[a] = len(now)
		if len(pieces[a]) == 0 {
			now = append(now, n)
			continue
		}
		now = append(now, pieces[a]...)
	}
	dims := make([][]int, len(shape))
	for d, g := range groups {
		for _, q := range g {
			dims[d] = append(dims[d], first[q.axis]+q.part)
		}
	}
	if len(now) > 8 {
		return nil, false
	}
	u := p.reshaped(t, now, dims)
	u.shape = shape
	return u, true
}

// permute reorders dimensions.
func (t *tensor) permute(order []int) *tensor {
	if t.c != nil {
		return ofConstant(t.c.permute(order))
	}
	u := *t
	u.shape, u.dims = nil, nil
	for _, d := range order {
		u.shape, u.dims = append(u.shape, t.shape[d]), append(u.dims, t.dims[d])
	}
	return &u
}

// single makes sure that a dimension is one axis, and returns it.
func (p *program) single(t *tensor, d int) (*tensor, int, error) {
	if len(t.dims[d]) == 1 {
		return t, t.dims[d][0], nil
	}
	t, err := p.straight(t)
	if err != nil {
		return nil, 0, err
	}
	return t, t.dims[d][0], nil
}

// lastAxis makes dimensions from, in this order, the last axis, and returns the value with a function that gives its results, of
// the same extents but for that axis, their dimensions back.
func (p *program) lastAxis(t *tensor, from []int) (string, func(name string) *tensor, error) {
	t, err := p.dense(t)
	if err != nil {
		return "", nil, err
	}
	var perm, axes, last []int
	for _, d := range from {
		last = append(last, t.dims[d]...)
	}
	for a, n := range t.axes {
		if !slices.Contains(last, a) {
			perm, axes = append(perm, a), append(axes, n)
		}
	}
	others, width := len(axes), 1
	for _, a := range last {
		if t.axes[a] == batch {
			return "", nil, fmt.Errorf("%w: an op along the batch", ErrUnsupported)
		}
		perm, width = append(perm, a), width*t.axes[a]
	}
	name := t.name
	now := t.axes
	if !slices.IsSorted(slices.DeleteFunc(slices.Clone(perm), func(a int) bool { return t.axes[a] == 1 })) {
		name = p.build(p.at+".permuted", graph.Transpose{Perm: perm}, []string{name})
		now = nil
		for _, a := range perm {
			now = append(now, t.axes[a])
		}
	}
	if axes = append(axes, width); !slices.Equal(now, axes) {
		name = p.build(p.at+".joined", graph.Reshape{Shape: p.extents(axes)}, []string{name})
	}
	return name, func(name string) *tensor {
		u := &tensor{name: name, axes: slices.Clone(axes), shape: t.shape, dims: make([][]int, t.rank())}
		for d, g := range t.dims {
			for _, a := range g {
				u.dims[d] = append(u.dims[d], slices.Index(perm, a))
			}
		}
		if len(from) == 1 {
			u.dims[from[0]] = []int{others}
			return u
		}
		split := slices.Clone(axes[:others])
		for _, d := range from {
			u.dims[d] = []int{len(split)}
			split = append(split, t.shape[d].n)
		}
		return p.reshaped(u, split, u.dims)
	}, nil
}

// real is t in float32: of indices below a known number, by a list of these.
func (p *program) real(t *tensor) (*tensor, error) {
	if t.c != nil || !t.integer {
		return t, nil
	}
	below := p.below[t.name]
	if below == 0 {
		return ofConstant(filled(nil, 0, false)), fmt.Errorf("%w: arithmetic with integers of an input", ErrUnsupported)
	}
	t, err := p.dense(t)
	if err != nil {
		return nil, err
	}
	n := make([]float64, below)
	for i := range n {
		n[i] = float64(i)
	}
	list, err := p.param(nil, []int{len(n)}, n)
	if err != nil {
		return nil, err
	}
	u := t.plain()
	one := p.build(p.at+".joined", graph.Reshape{Shape: append(p.extents(t.axes), 1)}, []string{t.name})
	hot := p.build(p.at+".hot", graph.OneHot{N: len(n)}, []string{one})
	each := p.build(p.at+".each", graph.Binary{Func: "mul"}, []string{hot, p.build(list+".value", graph.Constant{}, nil, list)})
	sum := p.build(p.at+".sum", graph.Reduce{Func: "sum", Axis: len(t.axes)}, []string{each})
	u.name = p.build(p.at+".float", graph.Reshape{Shape: p.extents(t.axes)}, []string{sum})
	return u, nil
}
