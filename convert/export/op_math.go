package export

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"qpt/format/graph"
)

// unaries are functions of one number: how constants are computed, and by the same name the op of the graph.
var unaries = map[string]func(x float64) float64{
	"relu": func(x float64) float64 { return max(x, 0) }, "relu6": func(x float64) float64 { return min(max(x, 0), 6) },
	"sigmoid": func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, "tanh": math.Tanh, "exp": math.Exp, "neg": func(x float64) float64 { return -x },
	"abs": math.Abs, "sqrt": math.Sqrt, "rsqrt": func(x float64) float64 { return 1 / math.Sqrt(x) },
	"silu": func(x float64) float64 { return x / (1 + math.Exp(-x)) }, "hardswish": func(x float64) float64 { return x * min(max(x+3, 0), 6) / 6 },
	"hardsigmoid": func(x float64) float64 { return min(max(x+3, 0), 6) / 6 },
	"gelu":        func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
	"floor":       math.Floor, "ceil": math.Ceil, "round": math.RoundToEven, "trunc": math.Trunc, "log": math.Log, "sin": math.Sin, "cos": math.Cos, "erf": math.Erf,
	"sign":      func(x float64) float64 { return truth(x > 0) - truth(x < 0) },
	"gelu_tanh": func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
}

var binaries = map[string]func(x, y float64) float64{
	"add": func(x, y float64) float64 { return x + y }, "sub": func(x, y float64) float64 { return x - y }, "mul": func(x, y float64) float64 { return x * y },
	"div": func(x, y float64) float64 { return x / y }, "max": math.Max, "min": math.Min, "pow": math.Pow,
	"keep": func(x, y float64) float64 {
		if y == 0 {
			return 0
		}
		return x
	},
}

// turned are functions of two numbers by the name of what they are with the operands the other way round.
var turned = map[string]string{"add": "add", "mul": "mul", "max": "max", "min": "min", "eq": "eq", "ne": "ne", "gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}

func init() {
	maps.Copy(binaries, compare)
	for name := range unaries {
		ops[name] = func(c *call) ([]*tensor, error) {
			fn := name
			if name == "gelu" && c.string("approximate", "none") == "tanh" {
				fn = "gelu_tanh"
			}
			if c.has("decimals") && c.int("decimals", 0) != 0 {
				c.fail("rounding to decimals")
			}
			return one(c.p.unary(fn, c.real("self"), nil), nil)
		}
	}
	delete(ops, "gelu_tanh")
	ops["leaky_relu"] = func(c *call) ([]*tensor, error) {
		a := c.float("negative_slope", 0.01)
		return one(c.p.unary("leaky_relu", c.tensor("self"), &a), nil)
	}
	ops["elu"] = func(c *call) ([]*tensor, error) {
		a := c.float("alpha", 1)
		if c.float("input_scale", 1) != 1 {
			c.fail("elu with a scale of its input")
		}
		if k := c.float("scale", 1); k != 1 {
			return one(c.p.scaled(c.p.unary("elu", c.real("self"), &a), "mul", k), nil)
		}
		return one(c.p.unary("elu", c.tensor("self"), &a), nil)
	}
	for name, fn := range map[string]string{"add": "add", "sub": "sub", "mul": "mul", "div": "div", "maximum": "max", "minimum": "min"} {
		ops[name] = func(c *call) ([]*tensor, error) {
			x, y := c.real("self"), c.real("other")
			if a := c.float("alpha", 1); a != 1 {
				y = c.p.scaled(y, "mul", a)
			}
			if mode := c.string("rounding_mode", ""); mode != "" && c.err == nil {
				z, err := c.p.binary(fn, x, y)
				if err != nil {
					return nil, err
				}
				if mode != "floor" && mode != "trunc" {
					return nil, fmt.Errorf("%w: rounding mode %q", ErrUnsupported, mode)
				}
				return one(c.p.unary(mode, z, nil), nil)
			}
			if c.err != nil {
				return nil, c.err
			}
			z, err := c.p.binary(fn, x, y)
			if err == nil && fn == "mul" && z.c == nil {
				c.p.products[z.name] = [2]*tensor{x, y}
			}
			return one(z, err)
		}
	}
	ops["rsub"] = func(c *call) ([]*tensor, error) {
		x, y := c.real("other"), c.real("self")
		if a := c.float("alpha", 1); a != 1 {
			y = c.p.scaled(y, "mul", a)
		}
		if c.err != nil {
			return nil, c.err
		}
		return one(c.p.binary("sub", x, y))
	}
	clamp := func(c *call, lo, hi float64) ([]*tensor, error) {
		t := c.tensor("self")
		if c.err != nil {
			return nil, c.err
		}
		if lo == 0 && hi == 6 {
			return one(c.p.unary("relu6", t, nil), nil)
		}
		if !math.IsInf(lo, 0) {
			t = c.p.scaled(t, "max", lo)
		}
		if !math.IsInf(hi, 0) {
			t = c.p.scaled(t, "min", hi)
		}
		return one(t, nil)
	}
	ops["clamp"] = func(c *call) ([]*tensor, error) {
		if lo, hi := c.args["min"].kind, c.args["max"].kind; lo == "as_tensor" || hi == "as_tensor" {
			t := c.real("self")
			var err error
			for _, bound := range []struct{ name, fn string }{{"min", "max"}, {"max", "min"}} {
				if c.has(bound.name) && c.err == nil && err == nil {
					t, err = c.p.binary(bound.fn, t, c.real(bound.name))
				}
			}
			return one(t, err)
		}
		return clamp(c, c.float("min", math.Inf(-1)), c.float("max", math.Inf(1)))
	}
	ops["clamp_min"] = func(c *call) ([]*tensor, error) { return clamp(c, c.number("min"), math.Inf(1)) }
	ops["clamp_max"] = func(c *call) ([]*tensor, error) { return clamp(c, math.Inf(-1), c.number("max")) }
	ops["hardtanh"] = func(c *call) ([]*tensor, error) { return clamp(c, c.float("min_val", -1), c.float("max_val", 1)) }
	ops["prelu"] = func(c *call) ([]*tensor, error) {
		t, w := c.tensor("self"), c.constant("weight")
		if c.err != nil {
			return nil, c.err
		}
		if n := count(w.shape); n > 1 && t.rank() > 1 {
			shape := make([]int, t.rank()-1)
			for i := range shape {
				shape[i] = 1
			}
			shape[0] = n
			w = w.reshape(shape)
		}
		low, err := c.p.binary("mul", c.p.scaled(t, "min", 0), ofConstant(w))
		if err != nil {
			return nil, err
		}
		return one(c.p.binary("add", c.p.scaled(t, "max", 0), low))
	}
	ops["pow"] = func(c *call) ([]*tensor, error) {
		x, y := c.real("self"), c.real("exponent")
		if c.err != nil {
			return nil, c.err
		}
		if v, ok := number(y); ok && x.c == nil {
			switch v {
			case 2:
				return one(c.p.binary("mul", x, x))
			case 3:
				z, err := c.p.binary("mul", x, x)
				if err != nil {
					return nil, err
				}
				return one(c.p.binary("mul", z, x))
			case 4:
				z, err := c.p.binary("mul", x, x)
				if err != nil {
					return nil, err
				}
				return one(c.p.binary("mul", z, z))
			case 0.5:
				return one(c.p.unary("sqrt", x, nil), nil)
			case -0.5:
				return one(c.p.unary("rsqrt", x, nil), nil)
			case 1:
				return one(x, nil)
			}
		}
		return one(c.p.binary("pow", x, y))
	}
}

// unary applies a function, whose name is the graph's.
func (p *program) unary(fn string, t *tensor, alpha *float64) *tensor {
	if t.c != nil {
		f, ok := unaries[fn]
		if !ok && alpha == nil {
			f = func(float64) float64 { panic("no function " + fn) }
		}
		if alpha != nil {
			a := *alpha
			f = map[string]func(x float64) float64{"leaky_relu": func(x float64) float64 { return max(x, 0) + a*min(x, 0) }, "elu": func(x float64) float64 { return max(x, 0) + a*math.Expm1(min(x, 0)) }}[fn]
		}
		return ofConstant(t.c.mapped(f))
	}
	op := graph.Unary{Func: fn}
	if alpha != nil {
		a := float64(float32(*alpha))
		op.Alpha = &a
	}
	u := t.plain()
	u.name = p.build(p.at, op, []string{t.name})
	p.steps[u.name] = step{fn, t, 0}
	return u
}

// step is what made a value: a function of a tensor and perhaps a number.
type step struct {
	fn   string
	from *tensor
	by   float64
}

// before is what fn made t of, with the number by, as it lies in t; nil for what was made otherwise.
func (p *program) before(t *tensor, fn string, by float64) *tensor {
	s, ok := p.steps[t.name]
	if !ok || t.c != nil || s.fn != fn || s.by != by || !slices.Equal(s.from.axes, t.axes) {
		return nil
	}
	u := t.plain()
	u.name = s.from.name
	return u
}

// gate is x of min(max(x + 3, 0), 6).
func (p *program) gate(t *tensor) *tensor {
	if u := p.before(t, "relu6", 0); u != nil {
		return p.before(u, "add", 3)
	}
	return nil
}

// alike tells whether two tensors are one.
func alike(x, y *tensor) bool {
	return x.c == nil && y.c == nil && x.name == y.name && slices.Equal(x.axes, y.axes) && slices.EqualFunc(x.dims, y.dims, slices.Equal) && slices.Equal(x.shape, y.shape)
}

// gated finds x of x times a function of it, which is what decomposed programs have for SiLU and, before it is divided by 6, hardswish.
func (p *program) gated(x, y *tensor) (of *tensor, fn string) {
	for range 2 {
		if u := p.before(y, "sigmoid", 0); u != nil && alike(x, u) {
			return x, "silu"
		}
		if u := p.gate(y); u != nil && alike(x, u) {
			return x, "six hardswish"
		}
		x, y = y, x
	}
	return nil, ""
}

// scaled is t with a number.
func (p *program) scaled(t *tensor, fn string, x float64) *tensor {
	if t.c != nil {
		return ofConstant(t.c.mapped(func(v float64) float64 { return binaries[fn](v, x) }))
	}
	x = float64(float32(x))
	switch {
	case fn == "min" && x == 6:
		if u := p.before(t, "max", 0); u != nil {
			return p.unary("relu6", u, nil)
		}
	case fn == "div" && x == 6:
		if u := p.before(t, "six hardswish", 0); u != nil {
			return p.unary("hardswish", u, nil)
		}
		if u := p.gate(t); u != nil {
			return p.unary("hardsigmoid", u, nil)
		}
	}
	u := t.plain()
	u.name = p.build(p.at, graph.Binary{Func: fn, Scalar: &x}, []string{t.name})
	p.steps[u.name] = step{fn, t, x}
	return u
}

// number is what a constant of one finite float32 number is.
func number(t *tensor) (v float64, ok bool) {
	if t.c == nil || count(t.c.shape) != 1 {
		return 0, false
	}
	v = t.c.values()[0]
	return v, math.Abs(v) <= math.MaxFloat32
}

// joined computes with two constants.
func joined(x, y *constant, f func(x, y float64) float64) *constant {
	n := max(len(x.shape), len(y.shape))
	shape := make([]int, n)
	for i := range shape {
		shape[i] = 1
		for _, c := range []*constant{x, y} {
			if j := i - n + len(c.shape); j >= 0 && c.shape[j] != 1 {
				shape[i] = c.shape[j]
			}
		}
	}
	a, b := x.expand(shape).values(), y.expand(shape).values()
	out := make([]float64, len(a))
	for i := range out {
		out[i] = f(a[i], b[i])
	}
	return fresh(shape, out, x.integer && y.integer)
}

// binary computes with two tensors.
func (p *program) binary(fn string, x, y *tensor) (*tensor, error) {
	if x.c != nil && y.c != nil {
		return ofConstant(joined(x.c, y.c, binaries[fn])), nil
	}
	of, gate := p.gated(x, y)
	if gate == "silu" && fn == "mul" {
		return p.unary("silu", of, nil), nil
	}
	if v, ok := number(y); ok && y.rank() <= x.rank() {
		return p.scaled(x, fn, v), nil
	}
	if v, ok := number(x); ok && x.rank() <= y.rank() {
		if fn == "sub" {
			return p.scaled(p.unary("neg", y, nil), "add", v), nil
		}
		if other, ok := turned[fn]; ok {
			return p.scaled(y, other, v), nil
		}
	}
	want, err := joinedShape(x, y)
	if err != nil {
		return nil, err
	}
	lead, other := x, y
	if x.c != nil || !slices.Equal(x.shape, want) && y.c == nil {
		lead, other = y, x
	}
	if !slices.Equal(lead.shape, want) {
		if lead, err = p.expand(lead, want); err != nil {
			return nil, err
		}
	}
	if lead, err = p.dense(lead); err != nil {
		return nil, err
	}
	name, err := p.beside(lead, other)
	if err == errFactors {
		if lead, err = p.straight(lead); err != nil {
			return nil, err
		}
		if other.c == nil {
			if other, err = p.straight(other); err != nil {
				return nil, err
			}
		}
		name, err = p.beside(lead, other)
	}
	if err != nil {
		return nil, err
	}
	in := []string{lead.name, name}
	if (lead.name == x.name) != (x.c == nil && lead == x) || other == x { // keep the order of the operands
		in = []string{name, lead.name}
	}
	if other == y || x == y {
		in = []string{lead.name, name}
	}
	u := lead.plain()
	u.name = p.build(p.at, graph.Binary{Func: fn}, in)
	if gate != "" && fn == "mul" && alike(lead, of) {
		p.steps[u.name] = step{gate, of, 0}
	}
	return u, nil
}

var errFactors = fmt.Errorf("%w: dimensions that are split otherwise", ErrUnsupported)

// beside brings t into an order in which it stands beside lead.
func (p *program) beside(lead, t *tensor) (string, error) {
	axisDim := make([]int, len(lead.axes)) // dimension of each axis of lead, -1 for none
	for a := range axisDim {
		axisDim[a] = -1
	}
	for d, g := range lead.dims {
		for _, a := range g {
			axisDim[a] = d
		}
	}
	at := func(d int) int { return d - lead.rank() + t.rank() } // of t
	present := func(d int) bool { return d >= 0 && at(d) >= 0 && !t.shape[at(d)].one() }
	if t.c != nil {
		var split, first []int // extents of t's dimensions as lead has them, and where each of lead's axes is
		first = make([]int, len(lead.axes))
		for d, g := range lead.dims {
			for _, a := range g {
				first[a] = len(split)
				if present(d) {
					split = append(split, lead.axes[a])
				} else {
					split = append(split, 1)
				}
			}
		}
		if len(split) != 0 && count(split) != count(t.c.shape) || slices.Contains(split, batch) {
			return "", fmt.Errorf("a constant %v beside %v", t.c.shape, lead.shape)
		}
		v := t.c.reshape(split)
		var order, shape []int
		for a := range lead.axes {
			if axisDim[a] >= 0 {
				order = append(order, first[a])
			}
		}
		v = v.permute(order)
		k := 0
		for a := range lead.axes {
			n := 1
			if axisDim[a] >= 0 {
				n = v.shape[k]
				k++
			}
			shape = append(shape, n)
		}
		for len(shape) > 1 && shape[0] == 1 {
			shape = shape[1:]
		}
		if slices.Equal(t.c.shape, shape) || count(t.c.shape) == shape[len(shape)-1] {
			v.name = t.c.name
		}
		return p.constantNode(v, shape, v.values())
	}
	var perm, now, shape []int
	have := map[int]int{} // pieces of t's dimension taken
	for a := range lead.axes {
		d := axisDim[a]
		if !present(d) {
			shape = append(shape, 1)
			continue
		}
		g := t.dims[at(d)]
		if len(g) == 0 { // it repeats
			shape = append(shape, 1)
			continue
		}
		if len(g) != len(lead.dims[d]) {
			return "", errFactors
		}
		k := g[slices.Index(lead.dims[d], a)]
		if t.axes[k] != lead.axes[a] {
			return "", errFactors
		}
		have[d]++
		perm, now, shape = append(perm, k), append(now, t.axes[k]), append(shape, t.axes[k])
	}
	for a, n := range t.axes {
		if !slices.Contains(perm, a) {
			if n != 1 {
				return "", errFactors
			}
			perm, now = append(perm, a), append(now, 1)
		}
	}
	if slices.Contains(now, batch) && now[0] != batch {
		return "", fmt.Errorf("%w: the batch is not the first dimension here", ErrUnsupported)
	}
	if len(shape) > 0 && shape[0] == 1 && lead.axes[0] == batch { // absent
		shape = shape[1:]
	}
	name := t.name
	if !slices.IsSorted(slices.DeleteFunc(slices.Clone(perm), func(a int) bool { return t.axes[a] == 1 })) {
		name = p.build(p.at+".permuted", graph.Transpose{Perm: perm}, []string{name})
	} else {
		now = t.axes
	}
	if !slices.Equal(now, shape) && len(shape) > 0 {
		name = p.build(p.at+".view", graph.Reshape{Shape: p.extents(shape)}, []string{name})
	}
	return name, nil
}

// reduce folds dimensions.
func (p *program) reduce(fn string, t *tensor, dims []int, keep bool) (*tensor, error) {
	drop := func(shape []size) (out []size) {
		for d, s := range shape {
			if !slices.Contains(dims, d) {
				out = append(out, s)
			} else if keep {
				out = append(out, size{n: 1})
			}
		}
		return out
	}
	if t.c != nil {
		order := []int{}
		n := 1
		for d := range t.c.shape {
			if !slices.Contains(dims, d) {
				order = append(order, d)
			}
		}
		for _, d := range dims {
			order = append(order, d)
			n *= t.c.shape[d]
		}
		v := t.c.permute(order).values()
		out := make([]float64, len(v)/max(n, 1))
		for i := range out {
			acc := v[i*n]
			for _, x := range v[i*n+1 : (i+1)*n] {
				switch fn {
				case "max":
					acc = max(acc, x)
				case "min":
					acc = min(acc, x)
				default:
					acc += x
				}
			}
			if fn == "mean" {
				acc /= float64(n)
			}
			out[i] = acc
		}
		list, _ := ints(drop(t.shape))
		return ofConstant(fresh(list, out, t.c.integer)), nil
	}
	t, err := p.dense(t)
	if err != nil {
		return nil, err
	}
	var axes []int
	for _, d := range dims {
		if t.shape[d].batch {
			return nil, fmt.Errorf("%w: the batch is folded", ErrUnsupported)
		}
		for _, a := range t.dims[d] {
			if t.axes[a] != 1 {
				axes = append(axes, a)
			}
		}
	}
	slices.Sort(axes)
	u := t.plain()
	u.axes = slices.Clone(t.axes)
	k := len(axes)
	if (fn == "mean" || fn == "max") && k >= 1 && k <= 3 && axes[k-1] == len(t.axes)-2 && axes[0] == len(t.axes)-1-k {
		ones := make([]int, k)
		for i := range ones {
			ones[i] = 1
		}
		u.name = p.build(p.at, graph.AdaptivePool{Func: fn, Size: ones}, []string{u.name})
	} else {
		for _, a := range axes {
			u.name = p.build(p.at, graph.Reduce{Func: fn, Axis: a}, []string{u.name})
		}
	}
	for _, a := range axes {
		u.axes[a] = 1
	}
	u.shape, u.dims = drop(t.shape), nil
	for d := range t.shape {
		if !slices.Contains(dims, d) || keep {
			u.dims = append(u.dims, t.dims[d])
		}
	}
	return u, nil
}
