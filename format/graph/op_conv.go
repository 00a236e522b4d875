package graph

func init() { Register[Conv]() }

// Conv is a convolution over 1 to 3 dimensions: in x [.., S1 .. Sr, C]; params weight [N, k1 .. kr, C/Groups], bias [N]
// optional; out [.., O1 .. Or, N]. What lies in the padding counts as 0.
type Conv struct {
	Window
	Groups int `json:"groups,omitempty"` // 0: 1
}

// Kind implements Op.
func (Conv) Kind() string { return "conv" }

// Arity implements Op.
func (Conv) Arity() Arity { return Arity{In: 1, Params: 2, Optional: 1} }

// Infer implements Op.
func (a Conv) Infer(o *Operands) ([]Value, error) {
	w := o.Params[0]
	lead, size, err := o.spatial(0, len(w.Shape)-2)
	if err != nil {
		return o.Fail("C1", "%v", err)
	}
	n, c, groups := w.Shape[0], o.Features(0), max(a.Groups, 1)
	if a.Groups < 0 || c%groups != 0 || n%groups != 0 || w.Shape[len(w.Shape)-1] != c/groups {
		return o.Fail("C2", "weight %s has shape %v, must be [N, kernel, C/groups] for %s in %d groups, which divide N and C", w.Name, w.Shape, o.Show(0), a.Groups)
	}
	if bias := o.Params[1]; bias != nil && !isShape(bias, n) {
		return o.Fail("C3", "bias %s has shape %v, must be [%d] to match weight %s", bias.Name, bias.Shape, n, w.Name)
	}
	kernel := w.Shape[1 : len(w.Shape)-1]
	if err := a.check(kernel); err != nil {
		return o.Fail("C4", "%v", err)
	}
	for i, x := range a.Axes(kernel) {
		room := size[i] + x.Before + x.After - x.Span()
		if room < 0 {
			return o.Fail("C5", "a kernel over %d of %d + %d + %d elements of %s", x.Span(), x.Before, size[i], x.After, o.Show(0))
		}
		size[i] = room/x.Stride + 1
	}
	return Result(Float, positions(lead, size, n)...)
}

// Linears is what Node.Linears asks.
func (Conv) Linears(n *Node) []Matrix {
	return []Matrix{{Weight: n.Params[0], Bias: n.Params[1], Input: n.In[0]}}
}
