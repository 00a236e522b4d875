package graph

func init() { Register[ConvTranspose]() }

// ConvTranspose is a transposed convolution over 1 to 3 dimensions: in x [.., S1 .. Sr, C]; params weight [N, k1 .. kr, C/Groups],
// bias [N] optional; out [.., O1 .. Or, N], O = (S-1)*stride + dilation*(k-1) + 1 + extra - both pads. Element i adds its
// product with tap t to place i*stride + t*dilation - pad.
type ConvTranspose struct {
	Window
	Groups int   `json:"groups,omitempty"` // 0: 1
	Extra  []int `json:"extra,omitempty"`  // more places at the end of each dimension; absent: 0
}

// Kind implements Op.
func (ConvTranspose) Kind() string { return "conv_transpose" }

// Arity implements Op.
func (ConvTranspose) Arity() Arity { return Arity{In: 1, Params: 2, Optional: 1} }

// Infer implements Op.
func (a ConvTranspose) Infer(o *Operands) ([]Value, error) {
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
	if a.Extra != nil && len(a.Extra) != len(kernel) {
		return o.Fail("C4", "extra %v must be %d numbers", a.Extra, len(kernel))
	}
	for i, x := range a.Axes(kernel) {
		extra := 0
		if a.Extra != nil {
			extra = a.Extra[i]
		}
		size[i] = (size[i]-1)*x.Stride + x.Span() + extra - x.Before - x.After
		if size[i] < 1 || size[i] >= maxExtent || extra < 0 || extra >= max(x.Stride, x.Dilation) {
			return o.Fail("C5", "%d places in dimension %d, of them %d extra: there must be 1 or more, and fewer extra ones than stride or dilation", size[i], i, extra)
		}
	}
	return Result(Float, positions(lead, size, n)...)
}

// Linears is what Node.Linears asks.
func (ConvTranspose) Linears(n *Node) []Matrix {
	return []Matrix{{Weight: n.Params[0], Bias: n.Params[1], Input: n.In[0]}}
}
