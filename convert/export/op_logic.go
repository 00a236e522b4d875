package export

import (
	"fmt"
	"math"
	"reflect"
	"slices"
)

// Comparisons, truth values and choices. Computed truth values are 1 and 0.

// compare are comparisons: of constants, and by the same name the op of the graph.
var compare = map[string]func(x, y float64) float64{
	"eq": func(x, y float64) float64 { return truth(x == y) }, "ne": func(x, y float64) float64 { return truth(x != y) }, "gt": func(x, y float64) float64 { return truth(x > y) },
	"ge": func(x, y float64) float64 { return truth(x >= y) }, "lt": func(x, y float64) float64 { return truth(x < y) }, "le": func(x, y float64) float64 { return truth(x <= y) },
}

// logic are functions of truth values: as computed ones are made, too.
var logic = map[string]string{"and": "mul", "or": "max", "xor": "ne"}

// bits are functions of integers, which constants alone have.
var bits = map[string]func(x, y int) int{
	"and": func(x, y int) int { return x & y }, "or": func(x, y int) int { return x | y }, "xor": func(x, y int) int { return x ^ y },
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func init() {
	for name := range compare {
		f := func(c *call) ([]*tensor, error) {
			x, y := c.real("self"), c.real("other")
			if c.err != nil {
				return nil, c.err
			}
			z, err := c.p.compared(name, x, y)
			if err == nil && z.c == nil {
				z.truth = true
				if name == "gt" && y.c != nil && count(y.c.shape) == 1 && y.c.values()[0] == 0 {
					c.p.positives[z.name] = x
				}
			}
			return one(z, err)
		}
		ops[name] = f
		for long, short := range map[string]string{"greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "not_equal": "ne"} {
			if short == name {
				ops[long] = f
			}
		}
	}
	for kind, fn := range logic {
		f := func(c *call) ([]*tensor, error) {
			x, y := c.tensor("self"), c.tensor("other")
			if c.err != nil {
				return nil, c.err
			}
			if x.c != nil && y.c != nil && c.dtype() != boolean {
				return one(ofConstant(joined(x.c, y.c, func(x, y float64) float64 { return float64(bits[kind](int(x), int(y))) })), nil)
			}
			if c.dtype() != boolean {
				return nil, fmt.Errorf("%w: bits of computed integers", ErrUnsupported)
			}
			z, err := c.p.binary(fn, c.p.truths(x), c.p.truths(y))
			if err == nil && z.c == nil {
				z.truth = true
			}
			return one(z, err)
		}
		ops["bitwise_"+kind], ops["logical_"+kind], ops["__"+kind+"__"] = f, f, f
	}
	not := func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		switch {
		case c.err != nil:
			return nil, c.err
		case c.dtype() == boolean:
			return one(c.p.not(t), nil)
		case t.c != nil:
			return one(ofConstant(t.c.mapped(func(x float64) float64 { return -x - 1 })), nil)
		}
		return nil, fmt.Errorf("%w: bits of computed integers", ErrUnsupported)
	}
	ops["bitwise_not"], ops["logical_not"] = not, not
	ops["isnan"] = func(c *call) ([]*tensor, error) {
		t := c.real("self")
		z, err := c.p.binary("ne", t, t)
		if err == nil && z.c == nil {
			z.truth = true
		}
		return one(z, err)
	}
	ops["isinf"] = func(c *call) ([]*tensor, error) {
		z, err := c.p.compared("eq", c.p.unary("abs", c.real("self"), nil), ofConstant(filled(nil, math.Inf(1), false)))
		if err == nil && z.c == nil {
			z.truth = true
		}
		return one(z, err)
	}
	for name, fn := range map[string]string{"any": "max", "all": "min"} {
		ops[name] = func(c *call) ([]*tensor, error) {
			t := c.p.truths(c.tensor("self"))
			dims, keep := c.dims("dim", t), c.bool("keepdim", false)
			if c.err != nil {
				return nil, c.err
			}
			z, err := c.p.reduce(fn, t, dims, keep)
			if err == nil && z.c == nil {
				z.truth = true
			}
			return one(z, err)
		}
	}
	ops["where"] = func(c *call) ([]*tensor, error) {
		if !c.has("self") {
			c.fail("the places where a condition holds, whose number depends on the inputs")
			return nil, c.err
		}
		cond, x, y := c.tensor("condition"), c.real("self"), c.real("other")
		if c.err != nil {
			return nil, c.err
		}
		alike := func(t *tensor) bool { return reflect.DeepEqual(t.dims, x.dims) && slices.Equal(t.shape, x.shape) }
		if p := c.p.positives[cond.name]; p != nil && x.name == p.name && alike(p) && alike(cond) && alike(y) { // x where it is positive, else x times something: what prelu becomes
			if by := c.p.products[y.name]; by[0] != nil && (by[0].name == p.name || by[1].name == p.name) {
				w := by[0]
				if w.name == p.name {
					w = by[1]
				}
				low, err := c.p.binary("mul", c.p.scaled(p, "min", 0), w)
				if err != nil {
					return nil, err
				}
				return one(c.p.binary("add", c.p.scaled(p, "max", 0), low))
			}
		}
		return one(c.p.choose(cond, x, y))
	}
	fill := func(c *call) ([]*tensor, error) {
		x, m, v := c.real("self"), c.tensor("mask"), c.real("value")
		if c.err != nil {
			return nil, c.err
		}
		return one(c.p.choose(m, v, x))
	}
	ops["masked_fill"] = fill
	ops["nan_to_num"] = func(c *call) ([]*tensor, error) {
		t := c.real("self")
		if c.err != nil {
			return nil, c.err
		}
		same, err := c.p.binary("eq", t, t)
		if err != nil {
			return nil, err
		}
		if t, err = c.p.choose(same, t, ofConstant(filled(nil, c.float("nan", 0), false))); err != nil {
			return nil, err
		}
		lo, hi := c.float("neginf", -math.MaxFloat32), c.float("posinf", math.MaxFloat32)
		if lo != -math.MaxFloat32 || hi != math.MaxFloat32 {
			c.fail("infinities become %v and %v, must become the greatest numbers", lo, hi)
		}
		return one(c.p.scaled(c.p.scaled(t, "max", lo), "min", hi), nil)
	}
	ops["tril"] = func(c *call) ([]*tensor, error) { return one(c.triangle(func(i, j, k int) bool { return j-i <= k })) }
	ops["triu"] = func(c *call) ([]*tensor, error) { return one(c.triangle(func(i, j, k int) bool { return j-i >= k })) }
}

// compared is a comparison; with an infinite number it is one with the greatest finite one, or decided where nothing infinite is in the program.
func (p *program) compared(name string, x, y *tensor) (*tensor, error) {
	if y.c == nil || count(y.c.shape) != 1 || x.c != nil || !math.IsInf(y.c.values()[0], 0) || name != "eq" && name != "ne" {
		return p.binary(name, x, y)
	}
	v := y.c.values()[0]
	if !p.infinite {
		return ofConstant(filled(slices.Repeat([]int{1}, x.rank()), truth(name == "ne"), true)), nil
	}
	u := p.scaled(x, "gt", math.MaxFloat32)
	if v < 0 {
		u = p.scaled(x, "lt", -math.MaxFloat32)
	}
	if name == "ne" {
		u = p.not(u)
	}
	return u, nil
}

// triangle is self where in(row, column, diagonal), else 0.
func (c *call) triangle(in func(i, j, k int) bool) (*tensor, error) {
	t, k := c.real("self"), c.int("diagonal", 0)
	if c.err != nil || t.rank() < 2 {
		c.fail("a triangle of rank %d", t.rank())
		return nil, c.err
	}
	n, m := t.shape[t.rank()-2], t.shape[t.rank()-1]
	if n.batch || m.batch {
		return nil, fmt.Errorf("%w: a triangle of the batch", ErrUnsupported)
	}
	data := make([]float64, n.n*m.n)
	for i := range data {
		data[i] = truth(in(i/m.n, i%m.n, k))
	}
	return c.p.binary("keep", t, ofConstant(fresh([]int{n.n, m.n}, data, t.c != nil && t.c.integer)))
}

// truths makes numbers truth values.
func (p *program) truths(t *tensor) *tensor {
	switch {
	case t.truth || t.c != nil && !slices.ContainsFunc(t.c.values(), func(x float64) bool { return x != 0 && x != 1 }):
		return t
	case t.c != nil:
		return ofConstant(t.c.mapped(func(x float64) float64 { return truth(x != 0) }))
	}
	u := p.scaled(t, "ne", 0)
	u.truth = true
	return u
}

// not is 1 where t is 0, else 0.
func (p *program) not(t *tensor) *tensor {
	u := p.scaled(t, "eq", 0)
	u.truth = u.c == nil
	return u
}

// choose is x where cond is not 0, else y.
func (p *program) choose(cond, x, y *tensor) (*tensor, error) {
	if cond.c != nil {
		v := cond.c.values()
		yes, no := slices.ContainsFunc(v, func(x float64) bool { return x != 0 }), slices.ContainsFunc(v, func(x float64) bool { return x == 0 })
		if from := x; !yes || !no {
			if !yes {
				from = y
			}
			shape, err := joinedShape(cond, x, y)
			if err != nil || slices.Equal(shape, from.shape) {
				return from, err
			}
			return p.expand(from, shape)
		}
	}
	first, err := p.kept(x, cond, p.not(cond))
	if err != nil {
		return nil, err
	}
	second, err := p.kept(y, p.not(cond), cond)
	if err != nil {
		return nil, err
	}
	if second.c != nil && !slices.ContainsFunc(second.c.values(), func(x float64) bool { return x != 0 }) && slices.Equal(first.shape, cond.shape) {
		return first, nil
	}
	return p.binary("add", first, second)
}

// kept is x where cond is not 0, else 0; not is the opposite of cond.
func (p *program) kept(x, cond, not *tensor) (*tensor, error) {
	if x.c != nil && count(x.c.shape) == 1 && cond.c == nil && math.IsInf(x.c.values()[0], 0) { // constants of a file are finite: log(0)
		p.infinite = true
		z := p.unary("log", not, nil)
		if x.c.values()[0] > 0 {
			z = p.unary("neg", z, nil)
		}
		return z, nil
	}
	return p.binary("keep", x, cond)
}

// joinedShape is the shape of what is computed of tensors element by element.
func joinedShape(list ...*tensor) ([]size, error) {
	n := 0
	for _, t := range list {
		n = max(n, t.rank())
	}
	want := make([]size, n)
	for i := range want {
		want[i] = size{n: 1}
		for _, t := range list {
			if j := i - n + t.rank(); j >= 0 && !t.shape[j].one() {
				if !want[i].one() && want[i] != t.shape[j] {
					var shapes [][]size
					for _, t := range list {
						shapes = append(shapes, t.shape)
					}
					return nil, fmt.Errorf("shapes %v do not go together", shapes)
				}
				want[i] = t.shape[j]
			}
		}
	}
	return want, nil
}
