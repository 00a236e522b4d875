package export

import (
	"fmt"
	"slices"
	"strings"
)

// einsum: products of pairs, from the left, each a product of matrices; what both have and the result keeps comes before these.
func init() {
	ops["einsum"] = func(c *call) ([]*tensor, error) {
		equation := strings.ReplaceAll(c.string("equation", ""), " ", "")
		list := c.list("tensors")
		c.arg("path")
		if c.err != nil {
			return nil, c.err
		}
		letters, out, err := einsumTerms(equation, list)
		if err != nil {
			return nil, fmt.Errorf("%w: einsum %q of %d tensors: %w", ErrUnsupported, equation, len(list), err)
		}
		for i, t := range list {
			if t.rank() != len(letters[i]) {
				return nil, fmt.Errorf("einsum %q: a tensor of rank %d for %q", equation, t.rank(), letters[i])
			}
		}
		t, have := list[0], letters[0]
		for i := 1; ; i++ {
			rest := out + strings.Join(letters[i:], "")
			if t, have, err = c.p.summed(t, have, rest); err != nil {
				return nil, err
			}
			if i == len(list) {
				break
			}
			after := out + strings.Join(letters[i+1:], "")
			other, its, err := c.p.summed(list[i], letters[i], after+have)
			if err != nil {
				return nil, err
			}
			if t, have, err = c.p.contracted(t, have, other, its, after); err != nil {
				return nil, fmt.Errorf("einsum %q: %w", equation, err)
			}
		}
		if len(have) != len(out) {
			return nil, fmt.Errorf("%w: einsum %q", ErrUnsupported, equation)
		}
		var order []int
		for _, l := range out {
			order = append(order, strings.IndexRune(have, l))
		}
		return one(t.permute(order), nil)
	}
}

// einsumTerms are the letters of the dimensions of each tensor, and of the result; those that dots stand for have letters of their own.
func einsumTerms(equation string, list []*tensor) (letters []string, out string, err error) {
	in, out, ok := strings.Cut(equation, "->")
	letters = strings.Split(in, ",")
	if len(letters) != len(list) {
		return nil, "", fmt.Errorf("as many terms as tensors are needed")
	}
	const dots = "0123456789"
	most := 0
	for i, l := range letters {
		if k := strings.Index(l, "..."); k >= 0 {
			n := list[i].rank() - len(l) + 3
			if n < 0 || n > len(dots) {
				return nil, "", fmt.Errorf("dots for %d dimensions", n)
			}
			letters[i] = l[:k] + dots[len(dots)-n:] + l[k+3:]
			most = max(most, n)
		}
	}
	out = strings.Replace(out, "...", dots[len(dots)-most:], 1)
	if !ok { // what is there once, in order
		all := []byte(strings.Join(letters, ""))
		slices.Sort(all)
		for _, l := range all {
			if s := string(l); strings.Count(string(all), s) == 1 || strings.Contains(dots, s) && !strings.Contains(out, s) {
				out += s
			}
		}
	}
	for _, l := range append(slices.Clone(letters), out) {
		for i := range l {
			if strings.Contains(l[:i], l[i:i+1]) {
				return nil, "", fmt.Errorf("%q repeats a letter", l)
			}
		}
	}
	return letters, out, nil
}

// summed is t without the dimensions whose letters nobody needs.
func (p *program) summed(t *tensor, letters, needed string) (*tensor, string, error) {
	var dims []int
	left := ""
	for d, l := range letters {
		if strings.ContainsRune(needed, l) {
			left += string(l)
		} else {
			dims = append(dims, d)
		}
	}
	if dims == nil {
		return t, letters, nil
	}
	t, err := p.reduce("sum", t, dims, false)
	return t, left, err
}

// contracted is the product of two tensors, summed over the letters of both that are not needed after it.
func (p *program) contracted(x *tensor, xs string, y *tensor, ys, needed string) (*tensor, string, error) {
	extent := map[rune]size{}
	for i, letters := range []string{xs, ys} {
		t := []*tensor{x, y}[i]
		for d, l := range letters {
			s := t.shape[d]
			if was, ok := extent[l]; !ok || was.one() {
				extent[l] = s
			} else if !s.one() && was != s {
				return nil, "", fmt.Errorf("%q is %v and %v", l, was, s)
			}
		}
	}
	var both, rows, inner, columns string
	for _, l := range xs {
		switch s := string(l); {
		case !strings.Contains(ys, s):
			rows += s
		case strings.Contains(needed, s):
			both += s
		default:
			inner += s
		}
	}
	for _, l := range ys {
		if s := string(l); !strings.Contains(xs, s) {
			columns += s
		}
	}
	if x.c != nil && y.c == nil { // a layer is on the right
		x, y, xs, ys, rows, columns = y, x, ys, xs, columns, rows
	}
	if !(both == "" && y.c != nil) { // the batch comes first, so that both have it
		for _, side := range []*string{&rows, &columns} {
			for _, l := range *side {
				if extent[l].batch {
					*side = strings.ReplaceAll(*side, string(l), "")
					both = string(l) + both
				}
			}
		}
	}
	for i, l := range both {
		if extent[l].batch {
			both = string(l) + both[:i] + both[i+1:]
		}
	}
	// in is t with its dimensions in this order; one that it has not repeats.
	in := func(t *tensor, letters, order string) (*tensor, error) {
		var perm []int
		shape, want := []size{}, []size{}
		for _, l := range order {
			d := strings.IndexRune(letters, l)
			if want = append(want, extent[l]); d < 0 {
				shape = append(shape, size{n: 1})
				continue
			}
			perm, shape = append(perm, d), append(shape, t.shape[d])
		}
		t, err := p.view(t.permute(perm), shape)
		if err != nil {
			return nil, err
		}
		return p.expand(t, want)
	}
	join := func(letters string) size {
		s := size{n: 1}
		for _, l := range letters {
			s = size{s.n * extent[l].n, s.batch || extent[l].batch}
		}
		return s
	}
	each := func(letters string) (list []size) {
		for _, l := range letters {
			list = append(list, extent[l])
		}
		return list
	}
	a, err := in(x, xs, both+rows+inner)
	if err != nil {
		return nil, "", err
	}
	b, err := in(y, ys, both+inner+columns)
	if err != nil {
		return nil, "", err
	}
	front := each(both)
	if both == "" && y.c != nil { // rows stay as they are
		front = each(rows)
	} else {
		front = append(front, join(rows))
	}
	if a, err = p.view(a, append(slices.Clone(front), join(inner))); err != nil {
		return nil, "", err
	}
	if b, err = p.view(b, append(each(both), join(inner), join(columns))); err != nil {
		return nil, "", err
	}
	if a.rank() == 1 {
		if a, err = p.view(a, append([]size{{n: 1}}, a.shape...)); err != nil {
			return nil, "", err
		}
	}
	z, err := p.product(a, b)
	if err != nil {
		return nil, "", err
	}
	now := both + rows + columns
	z, err = p.view(z, each(now))
	return z, now, err
}
