package export

import (
	"fmt"
	"slices"
	"strings"
)

// einsum of two tensors: a product of matrices, with what both have and the result keeps before them.
func init() {
	ops["einsum"] = func(c *call) ([]*tensor, error) {
		equation := strings.ReplaceAll(c.string("equation", ""), " ", "")
		list := c.list("tensors")
		c.arg("path") // the order of more than two
		if c.err != nil {
			return nil, c.err
		}
		in, out, ok := strings.Cut(equation, "->")
		x, y, two := strings.Cut(in, ",")
		if !ok || !two || len(list) != 2 || strings.ContainsAny(equation, ".") || strings.Contains(y, ",") || len(x) != list[0].rank() || len(y) != list[1].rank() {
			c.fail("einsum %q of %d tensors", equation, len(list))
			return nil, c.err
		}
		var both, rows, inner, columns string
		for _, letter := range out {
			switch l := string(letter); {
			case strings.Contains(x, l) && strings.Contains(y, l):
				both += l
			case strings.Contains(x, l):
				rows += l
			default:
				columns += l
			}
		}
		for _, letter := range x {
			if l := string(letter); strings.Contains(y, l) && !strings.Contains(out, l) {
				inner += l
			}
		}
		if len(both+rows+inner) != len(x) || len(both+inner+columns) != len(y) {
			c.fail("einsum %q sums or repeats what only one tensor has", equation)
			return nil, c.err
		}
		extent := map[rune]size{}
		// matrices is t with its dimensions in the order of both, a, b, and a and b joined each.
		matrices := func(t *tensor, letters, a, b string) (*tensor, error) {
			t, err := c.p.dense(t)
			if err != nil {
				return nil, err
			}
			for d, l := range letters {
				if was, ok := extent[l]; ok && was != t.shape[d] {
					return nil, fmt.Errorf("einsum %q: %q is %v and %v", equation, l, was, t.shape[d])
				}
				extent[l] = t.shape[d]
			}
			var order []int
			for _, l := range both + a + b {
				order = append(order, strings.IndexRune(letters, l))
			}
			var shape []size
			for _, l := range both {
				shape = append(shape, extent[l])
			}
			for _, part := range []string{a, b} {
				joined := size{n: 1}
				for _, l := range part {
					joined = size{joined.n * extent[l].n, joined.batch || extent[l].batch}
				}
				shape = append(shape, joined)
			}
			return c.p.view(t.permute(order), shape)
		}
		a, err := matrices(list[0], x, rows, inner)
		if err != nil {
			return nil, err
		}
		b, err := matrices(list[1], y, inner, columns)
		if err != nil {
			return nil, err
		}
		product, err := c.p.matmul(a, b)
		if err != nil {
			return nil, err
		}
		now := both + rows + columns
		var shape []size
		for _, l := range now {
			shape = append(shape, extent[l])
		}
		if product, err = c.p.view(product, shape); err != nil {
			return nil, err
		}
		var order []int
		for _, l := range out {
			order = append(order, strings.IndexRune(now, l))
		}
		if slices.IsSorted(order) {
			return one(product, nil)
		}
		return one(product.permute(order), nil)
	}
}
