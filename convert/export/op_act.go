package export

import (
	"fmt"
	"math"
)

// Functions of one value that are made of others.
func init() {
	type fn = func(p *program, t *tensor) (*tensor, error)
	plain := func(p *program, name string, t *tensor) *tensor { return p.unary(name, t, nil) }
	// softplus is max(x, 0) + log(1 + e^-|x|)
	softplus := func(p *program, t *tensor) (*tensor, error) {
		e := plain(p, "exp", plain(p, "neg", plain(p, "abs", t)))
		return p.binary("add", p.scaled(t, "max", 0), plain(p, "log", p.scaled(e, "add", 1)))
	}
	for name, f := range map[string]fn{
		"reciprocal": func(p *program, t *tensor) (*tensor, error) {
			return p.binary("div", ofConstant(filled(nil, 1, false)), t)
		},
		"square": func(p *program, t *tensor) (*tensor, error) { return p.binary("mul", t, t) },
		"log2": func(p *program, t *tensor) (*tensor, error) {
			return p.scaled(plain(p, "log", t), "mul", 1/math.Ln2), nil
		},
		"log10": func(p *program, t *tensor) (*tensor, error) {
			return p.scaled(plain(p, "log", t), "mul", 1/math.Ln10), nil
		},
		"log1p": func(p *program, t *tensor) (*tensor, error) { return plain(p, "log", p.scaled(t, "add", 1)), nil },
		"expm1": func(p *program, t *tensor) (*tensor, error) { return p.scaled(plain(p, "exp", t), "sub", 1), nil },
		"exp2": func(p *program, t *tensor) (*tensor, error) {
			return p.binary("pow", ofConstant(filled(nil, 2, false)), t)
		},
		"frac": func(p *program, t *tensor) (*tensor, error) { return p.binary("sub", t, plain(p, "trunc", t)) },
		"tan": func(p *program, t *tensor) (*tensor, error) {
			return p.binary("div", plain(p, "sin", t), plain(p, "cos", t))
		},
		"selu": func(p *program, t *tensor) (*tensor, error) {
			a := 1.6732632423543772
			return p.scaled(p.unary("elu", t, &a), "mul", 1.0507009873554805), nil
		},
		"mish": func(p *program, t *tensor) (*tensor, error) {
			s, err := softplus(p, t)
			if err != nil {
				return nil, err
			}
			return p.binary("mul", t, plain(p, "tanh", s))
		},
		"tanhshrink": func(p *program, t *tensor) (*tensor, error) { return p.binary("sub", t, plain(p, "tanh", t)) },
		"erfc": func(p *program, t *tensor) (*tensor, error) {
			return p.binary("sub", ofConstant(filled(nil, 1, false)), plain(p, "erf", t))
		},
		"softsign": func(p *program, t *tensor) (*tensor, error) {
			return p.binary("div", t, p.scaled(plain(p, "abs", t), "add", 1))
		},
		"log_sigmoid": func(p *program, t *tensor) (*tensor, error) {
			s, err := softplus(p, plain(p, "neg", t))
			if err != nil {
				return nil, err
			}
			return plain(p, "neg", s), nil
		},
	} {
		ops[name] = func(c *call) ([]*tensor, error) {
			t := c.real("self")
			if c.err != nil {
				return nil, c.err
			}
			return one(f(c.p, t))
		}
	}
	ops["log_sigmoid_forward"] = ops["log_sigmoid"]
	ops["softplus"] = func(c *call) ([]*tensor, error) {
		t, beta, end := c.real("self"), c.float("beta", 1), c.float("threshold", 20)
		if c.err != nil || beta == 0 {
			c.fail("softplus of beta %v", beta)
			return nil, c.err
		}
		x := t
		if beta != 1 {
			x = c.p.scaled(t, "mul", beta)
		}
		z, err := softplus(c.p, x)
		if err != nil {
			return nil, err
		}
		if beta != 1 {
			z = c.p.scaled(z, "div", beta)
		}
		if end >= 20 { // beyond it the difference is less than the roundings
			return one(z, nil)
		}
		return one(c.p.choose(c.p.scaled(x, "gt", end), t, z))
	}
	ops["celu"] = func(c *call) ([]*tensor, error) {
		t, a := c.real("self"), c.float("alpha", 1)
		if c.err != nil || a == 0 {
			c.fail("celu of alpha %v", a)
			return nil, c.err
		}
		low := c.p.scaled(c.p.unary("exp", c.p.scaled(c.p.scaled(t, "min", 0), "div", a), nil), "sub", 1)
		return one(c.p.binary("add", c.p.scaled(t, "max", 0), c.p.scaled(low, "mul", a)))
	}
	ops["threshold"] = func(c *call) ([]*tensor, error) {
		t, end, v := c.real("self"), c.number("threshold"), c.number("value")
		if c.err != nil {
			return nil, c.err
		}
		return one(c.p.choose(c.p.scaled(t, "gt", end), t, ofConstant(filled(nil, v, false))))
	}
	ops["hardshrink"] = func(c *call) ([]*tensor, error) {
		t, end := c.real("self"), c.float("lambd", 0.5)
		if c.err != nil {
			return nil, c.err
		}
		return one(c.p.binary("keep", t, c.p.scaled(c.p.unary("abs", t, nil), "gt", end)))
	}
	ops["softshrink"] = func(c *call) ([]*tensor, error) {
		t, end := c.real("self"), c.float("lambd", 0.5)
		if c.err != nil {
			return nil, c.err
		}
		return one(c.p.binary("add", c.p.scaled(c.p.scaled(t, "sub", end), "max", 0), c.p.scaled(c.p.scaled(t, "add", end), "min", 0)))
	}
	ops["rrelu"] = func(c *call) ([]*tensor, error) {
		a := (c.float("lower", 1.0/8) + c.float("upper", 1.0/3)) / 2
		if c.bool("training", false) {
			c.fail("rrelu for training: export model.eval()")
		}
		c.arg("generator")
		return one(c.p.unary("leaky_relu", c.real("self"), &a), c.err)
	}
	ops["glu"] = func(c *call) ([]*tensor, error) {
		t := c.real("self")
		d := c.dim("dim", -1, t)
		if c.err != nil || t.shape[d].batch || t.shape[d].n%2 != 0 {
			c.fail("glu of dimension %d", d)
			return nil, c.err
		}
		n := t.shape[d].n / 2
		a, err := c.part(t, d, 0, n, 1)
		if err != nil {
			return nil, err
		}
		b, err := c.part(t, d, n, 2*n, 1)
		if c.link = nil; err != nil {
			return nil, err
		}
		return one(c.p.binary("mul", a[0], c.p.unary("sigmoid", b[0], nil)))
	}
	for name, fn := range map[string]string{"addcmul": "mul", "addcdiv": "div"} {
		ops[name] = func(c *call) ([]*tensor, error) {
			t, x, y, k := c.real("self"), c.real("tensor1"), c.real("tensor2"), c.float("value", 1)
			if c.err != nil {
				return nil, c.err
			}
			z, err := c.p.binary(fn, x, y)
			if err != nil {
				return nil, err
			}
			if k != 1 {
				z = c.p.scaled(z, "mul", k)
			}
			return one(c.p.binary("add", t, z))
		}
	}
	ops["lerp"] = func(c *call) ([]*tensor, error) {
		x, y, w := c.real("self"), c.real("end"), c.real("weight")
		if c.err != nil {
			return nil, c.err
		}
		z, err := c.p.binary("sub", y, x)
		if err == nil {
			z, err = c.p.binary("mul", z, w)
		}
		if err != nil {
			return nil, err
		}
		return one(c.p.binary("add", x, z))
	}
	ops["floor_divide"] = func(c *call) ([]*tensor, error) {
		x, y := c.real("self"), c.real("other")
		if c.err != nil {
			return nil, c.err
		}
		z, err := c.p.binary("div", x, y)
		if err != nil {
			return nil, err
		}
		return one(c.p.unary("floor", z, nil), nil)
	}
	for name, f := range map[string]func(x, y float64) float64{"fmod": math.Mod, "remainder": func(x, y float64) float64 { return x - math.Floor(x/y)*y }} {
		ops[name] = func(c *call) ([]*tensor, error) {
			x, y := c.real("self"), c.real("other")
			if c.err != nil {
				return nil, c.err
			}
			if x.c == nil || y.c == nil {
				return nil, fmt.Errorf("%w: %s of computed numbers", ErrUnsupported, name)
			}
			return one(ofConstant(joined(x.c, y.c, f)), nil)
		}
	}
}
