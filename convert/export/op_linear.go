package export

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"qpt/format/graph"
)

func init() {
	lin := func(c *call, t *tensor, w *constant, turned bool, bias *constant) ([]*tensor, error) {
		if c.err != nil || len(w.shape) != 2 {
			c.fail("a matrix of rank %d", len(w.shape))
			return nil, c.err
		}
		v := *w
		if turned {
			v = *w.permute([]int{1, 0})
		}
		if v.name = cmp.Or(v.name, w.name); v.name == "" {
			v.name = c.name() + ".weight"
		}
		return one(c.p.linear(c, t, &v, bias))
	}
	ops["linear"] = func(c *call) ([]*tensor, error) {
		x, w := c.tensor("input"), c.tensor("weight")
		k, err := c.p.known(w)
		if c.err == nil && err == nil && (k == nil || x.c != nil) && w.rank() == 2 {
			z, err := c.p.product(x, w.permute([]int{1, 0}))
			if b := c.optional("bias"); err == nil && b != nil {
				z, err = c.p.binary("add", z, b)
			}
			return one(z, err)
		}
		return lin(c, c.tensor("input"), orEmpty(c.constant("weight")), false, c.constant("bias"))
	}
	// sum is beta*self + alpha*product.
	sum := func(c *call, z *tensor) ([]*tensor, error) {
		beta, alpha := c.float("beta", 1), c.float("alpha", 1)
		t := c.real("self")
		if c.err != nil {
			return nil, c.err
		}
		if alpha != 1 {
			z = c.p.scaled(z, "mul", alpha)
		}
		if beta == 0 {
			return one(z, nil)
		}
		if beta != 1 {
			t = c.p.scaled(t, "mul", beta)
		}
		return one(c.p.binary("add", z, t))
	}
	product := func(c *call, first, second string) (*tensor, error) {
		x, y := c.real(first), c.real(second)
		if c.err != nil {
			return nil, c.err
		}
		if y.c != nil && y.rank() == 2 && x.c == nil && x.rank() > 1 {
			list, err := lin(c, x, y.c, true, nil)
			if err != nil {
				return nil, err
			}
			return list[0], nil
		}
		return c.p.product(x, y)
	}
	ops["addmm"] = func(c *call) ([]*tensor, error) {
		x, w, bias := c.tensor("mat1"), c.tensor("mat2"), c.tensor("self")
		if c.err == nil && w.c != nil && bias.c != nil && bias.rank() == 1 && c.float("beta", 1) == 1 && c.float("alpha", 1) == 1 {
			return lin(c, x, w.c, true, bias.c)
		}
		z, err := product(c, "mat1", "mat2")
		if err != nil {
			return nil, err
		}
		return sum(c, z)
	}
	for name, args := range map[string][2]string{"baddbmm": {"batch1", "batch2"}, "addmv": {"mat", "vec"}} {
		ops[name] = func(c *call) ([]*tensor, error) {
			z, err := product(c, args[0], args[1])
			if err != nil {
				return nil, err
			}
			return sum(c, z)
		}
	}
	ops["tensordot"] = func(c *call) ([]*tensor, error) {
		x, y := c.real("self"), c.real("other")
		a, b := c.dims("dims_self", x), c.dims("dims_other", y)
		if c.err != nil || len(a) != len(b) || x.rank()+y.rank() > 26 {
			c.fail("tensordot of %d and %d dimensions", len(a), len(b))
			return nil, c.err
		}
		const letters = "abcdefghijklmnopqrstuvwxyz"
		xs, ys := letters[:x.rank()], []byte(letters[x.rank():][:y.rank()])
		for i, d := range b {
			ys[d] = xs[a[i]]
		}
		out := ""
		for _, l := range xs + string(ys) {
			if s := string(l); strings.Count(xs+string(ys), s) == 1 {
				out += s
			}
		}
		z, have, err := c.p.contracted(x, xs, y, string(ys), out)
		if err != nil {
			return nil, err
		}
		var order []int
		for _, l := range out {
			order = append(order, strings.IndexRune(have, l))
		}
		return one(z.permute(order), nil)
	}
	ops["bilinear"] = func(c *call) ([]*tensor, error) {
		x, y, w, b := c.real("input1"), c.real("input2"), c.real("weight"), c.optional("bias")
		if c.err != nil || x.rank() != 2 || y.rank() != 2 {
			c.fail("a bilinear form of rank %d", x.rank())
			return nil, c.err
		}
		z, have, err := c.p.contracted(x, "bi", w, "oij", "boj")
		if err == nil {
			z, have, err = c.p.contracted(z, have, y, "bj", "bo")
		}
		if err != nil {
			return nil, err
		}
		if have == "ob" {
			z = z.permute([]int{1, 0})
		}
		if b != nil {
			return one(c.p.binary("add", z, b))
		}
		return one(z, nil)
	}
	for name, second := range map[string]string{"mm": "mat2", "bmm": "mat2", "matmul": "other", "mv": "vec", "dot": "tensor", "vdot": "other"} {
		ops[name] = func(c *call) ([]*tensor, error) { return one(product(c, "self", second)) }
	}
}

func orEmpty(c *constant) *constant {
	if c == nil {
		return filled(nil, 0, false)
	}
	return c
}

// linear multiplies the last dimension of t by w [N, K].
func (p *program) linear(c *call, t *tensor, w, bias *constant) (*tensor, error) {
	d := t.rank() - 1
	name, back, err := p.lastAxis(t, []int{d})
	if err != nil {
		return nil, err
	}
	weight, err := p.paramOf(w)
	if err != nil {
		return nil, err
	}
	b, err := p.vectors(bias)
	if err != nil {
		return nil, err
	}
	u := back(p.build(c.name(), graph.Linear{}, []string{name}, weight, b[0]))
	u.axes, u.shape = slices.Clone(u.axes), slices.Clone(u.shape)
	u.axes[len(u.axes)-1], u.shape[d] = w.shape[0], size{n: w.shape[0]}
	return u, nil
}

// oneMatrix tells whether a constant is the same matrix for all that lies before, of which a tensor of this shape has as many: decomposed programs repeat
// the weight of a layer whose input is permuted.
func oneMatrix(c *constant, shape []size) bool {
	for i, d := range c.shape[:len(c.shape)-2] {
		if d > 1 && (c.stride[i] != 0 || shape[i] != size{n: d}) {
			return false
		}
	}
	return true
}

// product is PyTorch's matmul: of the last two dimensions, the others joined; vectors are matrices of one row or column.
func (p *program) product(x, y *tensor) (*tensor, error) {
	if x.rank() == 0 || y.rank() == 0 {
		return nil, fmt.Errorf("%w: a product of %v and %v", ErrUnsupported, x.shape, y.shape)
	}
	row, column := x.rank() == 1, y.rank() == 1
	var err error
	if row {
		if x, err = p.view(x, append([]size{{n: 1}}, x.shape...)); err != nil {
			return nil, err
		}
	}
	if column {
		if y, err = p.view(y, append(slices.Clone(y.shape), size{n: 1})); err != nil {
			return nil, err
		}
	}
	n, m := x.rank(), y.rank()
	var z *tensor
	c := &call{p: p, n: p.n, args: map[string]arg{}}
	switch {
	case x.shape[n-1] != y.shape[m-2]:
		return nil, fmt.Errorf("a product of %v and %v", x.shape, y.shape)
	case y.c != nil && m > 2 && m <= n && x.c == nil && oneMatrix(y.c, x.shape[n-m:]):
		z, err = p.linear(c, x, y.c.view(y.c.shape[m-2:], y.c.stride[m-2:], y.c.offset).permute([]int{1, 0}), nil)
	case y.c != nil && m == 2 && x.c == nil:
		z, err = p.linear(c, x, y.c.permute([]int{1, 0}), nil)
	case x.c != nil && n == 2 && y.c == nil:
		if z, err = p.linear(c, y.permute(swapped(m, m-2, m-1)), x.c, nil); err == nil {
			z = z.permute(swapped(m, m-2, m-1))
		}
	default:
		if s := x.shape[n-2]; s.batch && n == m { // rows of the batch: it goes first
			u, err := p.view(x, slices.Concat(x.shape[:n-2], []size{{1, true}, {n: s.n}}, x.shape[n-1:]))
			if err != nil {
				return nil, err
			}
			order := append(append([]int{n - 2}, upTo(n-2)...), n-1, n)
			if y, err = p.view(y, append([]size{{n: 1}}, y.shape...)); err != nil {
				return nil, err
			}
			if z, err = p.product(u.permute(order), y); err != nil {
				return nil, err
			}
			back := append([]int{}, upTo(n-2)...)
			for i := range back {
				back[i]++
			}
			z = z.permute(append(back, 0, n-1, n))
			return p.view(z, slices.Concat(x.shape[:n-1], y.shape[m:]))
		}
		lead := func(t *tensor) *tensor { return &tensor{shape: t.shape[:t.rank()-2]} }
		shape, err := joinedShape(lead(x), lead(y))
		if err != nil {
			return nil, err
		}
		if x, err = p.expand(x, slices.Concat(shape, x.shape[n-2:])); err != nil {
			return nil, err
		}
		if y, err = p.expand(y, slices.Concat(shape, y.shape[m-2:])); err != nil {
			return nil, err
		}
		if z, err = p.matmul(x, y); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(z.shape)
	if column {
		shape = shape[:len(shape)-1]
	}
	if row {
		shape = slices.Delete(shape, z.rank()-2, z.rank()-1)
	}
	return p.view(z, shape)
}

// matmul multiplies two computed tensors of equal leading dimensions.
func (p *program) matmul(x, y *tensor) (*tensor, error) {
	n := x.rank()
	if n < 2 || y.rank() != n || !slices.Equal(x.shape[:n-2], y.shape[:n-2]) {
		return nil, fmt.Errorf("%w: a product of %v and %v", ErrUnsupported, x.shape, y.shape)
	}
	x, err := p.dense(x)
	if err != nil {
		return nil, err
	}
	if y, err = p.dense(y); err != nil {
		return nil, err
	}
	// leading dimensions are split as both are
	var shape []size
	for d := range n - 2 {
		if len(x.dims[d]) < 2 {
			shape = append(shape, x.shape[d])
			continue
		}
		for _, a := range x.dims[d] {
			if x.axes[a] == 1 {
				continue
			}
			if x.axes[a] == batch {
				shape = append(shape, size{1, true})
			} else {
				shape = append(shape, size{n: x.axes[a]})
			}
		}
	}
	lead := len(shape)
	a, err := p.view(x, append(slices.Clone(shape), x.shape[n-2:]...))
	if err != nil {
		return nil, err
	}
	b, err := p.view(y, append(slices.Clone(shape), y.shape[n-2:]...))
	if err != nil {
		return nil, err
	}
	var groups [][]int
	for d := range lead {
		groups = append(groups, []int{d})
	}
	u, err := p.arranged(a, append(slices.Clone(groups), []int{lead}, []int{lead + 1}))
	if err != nil {
		return nil, err
	}
	v, err := p.arranged(b, append(slices.Clone(groups), []int{lead + 1}, []int{lead}))
	if err != nil {
		return nil, err
	}
	out := &tensor{name: p.build(p.at, graph.MatMul{}, []string{u.name, v.name}), axes: append(slices.Clone(u.axes[:lead+1]), v.axes[lead])}
	for d := range lead + 2 {
		out.dims = append(out.dims, []int{d})
	}
	out.shape = append(slices.Clone(shape), x.shape[n-2], y.shape[n-1])
	return p.view(out, append(slices.Clone(x.shape[:n-2]), x.shape[n-2], y.shape[n-1]))
}
