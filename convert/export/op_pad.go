package export

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

func init() {
	pad := func(c *call, mode string, value float64) ([]*tensor, error) {
		name := "pad"
		if _, ok := c.args["padding"]; ok {
			name = "padding"
		}
		t, list := c.real("self"), c.ints(name, 0)
		if c.err != nil || len(list)%2 != 0 || len(list) > 2*t.rank() {
			c.fail("pad %v", list)
			return nil, c.err
		}
		t, err := c.p.dense(t)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(t.dims, func(g []int) bool { return len(g) != 1 }) {
			if t, err = c.p.straight(t); err != nil {
				return nil, err
			}
		}
		axes, shape := make([]int, 2*len(t.axes)), slices.Clone(t.shape)
		for i := range len(list) / 2 {
			d := t.rank() - 1 - i
			before, after := list[2*i], list[2*i+1]
			if t.shape[d].batch && (before != 0 || after != 0) {
				return nil, fmt.Errorf("%w: pad of the batch", ErrUnsupported)
			}
			if n := shape[d].n; before < 0 || after < 0 { // elements less
				cut, err := c.part(t, d, max(-before, 0), n-max(-after, 0), 1)
				if err != nil {
					return nil, err
				}
				t, before, after = cut[0], max(before, 0), max(after, 0)
				shape[d] = t.shape[d]
			}
			if mode == "circular" {
				if before > shape[d].n || after > shape[d].n {
					return nil, fmt.Errorf("%w: pad %v of %v", ErrUnsupported, list, shape)
				}
				var parts []*tensor
				for _, k := range [][2]int{{shape[d].n - before, shape[d].n}, {0, shape[d].n}, {0, after}} {
					if k[0] < k[1] {
						part, err := c.part(t, d, k[0], k[1], 1)
						if err != nil {
							return nil, err
						}
						parts = append(parts, part[0])
					}
				}
				if t, err = c.p.cat(parts, d); err != nil {
					return nil, err
				}
				shape[d].n += before + after
				continue
			}
			if t, err = c.p.dense(t); err != nil {
				return nil, err
			}
			a := t.dims[d][0]
			axes[2*a], axes[2*a+1] = before, after
			shape[d].n += before + after
		}
		if c.link = nil; mode == "circular" {
			return one(t, nil)
		}
		return c.padded(t, axes, shape, mode, value)
	}
	ops["pad"] = func(c *call) ([]*tensor, error) {
		mode := map[string]string{"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "circular"}[c.string("mode", "constant")]
		if mode == "" {
			c.fail("pad mode %q", c.string("mode", ""))
		}
		value := c.float("value", 0)
		return pad(c, mode, value)
	}
	for r := 1; r <= 3; r++ {
		ops[fmt.Sprintf("reflection_pad%dd", r)] = func(c *call) ([]*tensor, error) { return pad(c, "reflect", 0) }
		ops[fmt.Sprintf("replication_pad%dd", r)] = func(c *call) ([]*tensor, error) { return pad(c, "edge", 0) }
	}
	ops["constant_pad_nd"] = func(c *call) ([]*tensor, error) { return pad(c, "constant", c.float("value", 0)) }
}

// padded adds the node of a pad by axes.
func (c *call) padded(t *tensor, axes []int, shape []size, mode string, value float64) ([]*tensor, error) {
	first := 0
	for first < len(t.axes) && axes[2*first] == 0 && axes[2*first+1] == 0 {
		first++
	}
	if first == len(t.axes) {
		return one(t, nil)
	}
	u := *t
	u.axes, u.shape = slices.Clone(t.axes), shape
	for a := range u.axes {
		if u.axes[a] != batch {
			u.axes[a] += axes[2*a] + axes[2*a+1]
		}
	}
	u.name = c.p.build(c.p.at, graph.Pad{Pad: axes[2*first:], Mode: mode, Value: float64(float32(value))}, []string{t.name})
	return one(&u, nil)
}
