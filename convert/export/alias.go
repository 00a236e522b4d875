package export

import (
	"fmt"
	"slices"
)

// unfollowed are ops whose results share memory with their argument in ways that are not followed here: they may be read as long as nothing is
// written to either.
var unfollowed = map[string]bool{"diagonal": true, "unfold": true, "expand": true, "expand_as": true, "broadcast_to": true, "as_strided": true, "einsum": true}

// turning are ops whose in-place forms change how a tensor lies, not its elements.
var turning = map[string]bool{"transpose": true, "swapaxes": true, "swapdims": true, "t": true, "squeeze": true, "unsqueeze": true, "as_strided": true}

// shares settles what the result of an op shares with its argument, where that depends on how the argument lies in memory.
func (p *program) shares(name string, c *call) {
	of := nameOf(c.args["self"])
	if of == "" {
		of = nameOf(c.args["input"])
	}
	switch {
	case name == "einsum":
		if list := names(c.args["tensors"]); len(list) == 1 {
			c.link = &link{of: list[0]}
		}
	case unfollowed[name] && c.link == nil:
		c.link = &link{of: of}
	case c.link == nil:
	case name == "contiguous" || name == "reshape" || name == "reshape_as" || name == "flatten" || name == "to":
		in, result := p.values[of], p.values[nameOf(c.n.Outputs[0])]
		want := examples(result.Sizes)
		switch shape, by := examples(in.Sizes), examples(in.Strides); {
		case c.args["memory_format"].kind == "as_memory_format" || name != "to" && (slices.Contains(shape, -1) || slices.Contains(by, -1) || slices.Contains(want, -1) || len(shape) != len(by)):
			c.link = &link{of: of}
		case name == "contiguous" && !contiguous(shape, by), name != "to" && !viewable(shape, by, want):
			c.link = nil
		}
	}
}

// examples are sizes as they were when the program was exported, -1 where that is not known.
func examples(list []symInt) (out []int) {
	for _, s := range list {
		n := s.number()
		if s.Int == nil && s.Expr != nil && s.Expr.Hint != nil {
			n = s.Expr.Hint.number()
		}
		out = append(out, n)
	}
	return out
}

func contiguous(shape, by []int) bool {
	n := 1
	for d, k := range slices.Backward(shape) {
		if k != 1 && by[d] != n {
			return false
		}
		n *= k
	}
	return true
}

// viewable tells whether a tensor of this shape and these strides has a view of another shape, and no copy is needed: each run of
// dimensions that lie one in the other is shared out anew.
func viewable(shape, by, want []int) bool {
	if count(shape) == 0 {
		return true
	}
	d := len(want) - 1
	for end := len(shape) - 1; end >= 0; {
		n, from := shape[end], end
		for from > 0 && (shape[from-1] == 1 || by[from-1] == n*by[end]) {
			from--
			n *= shape[from]
		}
		have := 1
		for d >= 0 && (have < n || want[d] == 1) {
			have *= want[d]
			d--
		}
		if have != n {
			return false
		}
		end = from - 1
	}
	return d < 0
}

// order tells how the dimensions of a tensor are permuted where its memory is read by other strides; those with a stride of -1 lie anywhere.
func order(shape []size, by []int, want []size, wanted []int) (list []int, ok bool) {
	if len(by) != len(shape) || len(want) != len(shape) || len(wanted) != len(shape) {
		return nil, false
	}
	for i, s := range want {
		d := slices.IndexFunc(upTo(len(shape)), func(d int) bool {
			return !slices.Contains(list, d) && shape[d] == s && (by[d] < 0 || by[d] == wanted[i])
		})
		if d < 0 {
			return nil, false
		}
		list = append(list, d)
	}
	return list, true
}

// follows refuses what cannot be followed: a name whose memory is that of another in a way that is not known, and which one of the two was written to.
func (p *program) follows(name string, l link, write bool) error {
	if l.apply != nil || !write && p.version[l.of] == l.version {
		return nil
	}
	return fmt.Errorf("%w: %q shares memory with %q, and one of them is written to in place: write the op out of place, or clone it before", ErrUnsupported, name, l.of)
}
