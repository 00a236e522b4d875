package runtime

import (
	"fmt"
	"slices"

	"qpt/format"
	"qpt/kernels/linear"
)

// coded finds what a tensor of format Codes has besides Data and takes it away from what others have.
func (w *weights) coded(t *format.Tensor, m *linear.Weight) error {
	c := &linear.Coded{Bits: t.Codes.Bits, Zero: t.Codes.Zero, Factor: t.Codes.Factor}
	m.Coded = c
	var err error
	if c.Scale.Form, err = linear.ParseNumberForm(t.Codes.Scale); err != nil {
		return err
	}
	if t.Codes.Offset != "" {
		if c.Offset.Form, err = linear.ParseNumberForm(t.Codes.Offset); err != nil {
			return err
		}
	}
	if c.Round.Kind, err = linear.ParseRounding(t.Codes.Inputs); err != nil {
		return err
	}
	c.Round.Scale, c.Round.Zero = t.Codes.InputScale, t.Codes.InputZero
	if err := c.Round.Check(); err != nil {
		return err
	}
	for _, p := range t.Parts {
		b, err := w.f.Part(p)
		if err != nil {
			return err
		}
		if len(b)%4 != 0 && p.Role != format.RoleData {
			return fmt.Errorf("part %q has %d bytes, must be a multiple of 4", p.Role, len(b))
		}
		switch p.Role {
		case format.RoleGroups:
			c.Zeros = b
		case format.RoleGScale:
			c.Scale.Data = b
		case format.RoleGOffset:
			c.Offset.Data = b
		case format.RoleSuper:
			c.Scale.Super = view[float32](b)
		case format.RoleSuperOffs:
			c.Offset.Super = view[float32](b)
		case format.RoleTable:
			c.Table = view[float32](b)
		case format.RoleOrder:
			c.Order = view[int32](b)
		}
	}
	seen := make([]bool, len(c.Order))
	for j, k := range c.Order { // or kernels would write elsewhere
		if k < 0 || int(k) >= m.K || len(seen) != m.K || seen[k] {
			return fmt.Errorf("column %d at place %d of its order is out of range or there twice", k, j)
		}
		seen[k] = true
	}
	if c.Order != nil {
		c.Order = once(&w.orders, c.Order)
	}
	return nil
}

// once returns the list that has x's numbers, x itself if none has.
func once(lists *[][]int32, x []int32) []int32 {
	i := slices.IndexFunc(*lists, func(o []int32) bool { return slices.Equal(o, x) })
	if i < 0 {
		i, *lists = len(*lists), append(*lists, x)
	}
	return (*lists)[i]
}
