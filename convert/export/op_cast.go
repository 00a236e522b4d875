package export

func init() {
	for _, name := range []string{"clone", "contiguous", "detach", "alias", "lift_fresh_copy", "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "identity", "to", "_to_copy", "positive", "type_as"} {
		ops[name] = func(c *call) ([]*tensor, error) {
			self := "self"
			if _, ok := c.args["input"]; ok {
				self = "input"
			}
			t, was := c.tensor(self), c.p.values[nameOf(c.args[self])].DType
			for _, name := range []string{"train", "dtype", "other", "memory_format", "non_blocking", "copy", "device", "layout"} {
				if c.arg(name); name == "train" && c.bool("train", false) {
					c.fail("dropout for training: export model.eval()")
				}
			}
			if to := c.dtype(); c.err == nil && was != to && was != 0 && to != 0 {
				return one(c.p.cast(t, to))
			}
			if t.c != nil && (name == "clone" || name == "lift_fresh_copy" || name == "_to_copy" || name == "to") {
				own := fresh(t.c.shape, t.c.values(), t.c.integer)
				own.name = t.c.name
				return one(ofConstant(own), nil)
			}
			if name != "clone" && name != "_to_copy" {
				c.link = &link{of: nameOf(c.args[self]), apply: same, invert: same}
			}
			return one(t, nil)
		}
	}
}

// cast is t as another type.
func (p *program) cast(t *tensor, dtype int) (*tensor, error) {
	if dtype == boolean {
		return p.truths(t), nil
	}
	if dtypes[dtype].integer {
		if t.c != nil || !t.integer && !t.truth {
			return p.unary("trunc", t, nil), nil
		}
		return t, nil
	}
	u, err := p.real(t)
	if err == nil && u.truth {
		u = u.plain()
	}
	return u, err
}
