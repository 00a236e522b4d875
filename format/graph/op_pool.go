package graph

import "slices"

func init() { Register[Pool]() }

// Pool folds windows of 1 to 3 dimensions, each channel alone: in x [.., S1 .. Sr, C]; out [.., O1 .. Or, C].
type Pool struct {
	Func   string `json:"func"` // one of PoolFuncs
	Kernel []int  `json:"kernel"`
	Window
	// Ceil lets a last window reach beyond the padding, if it begins in the input or the padding before it.
	Ceil bool `json:"ceil,omitempty"`
	// Divisor of mean: 0 the elements of the window that lie in the input or, with Padded, in its padding.
	Divisor int  `json:"divisor,omitempty"`
	Padded  bool `json:"padded,omitempty"`
	// Single: means have sums of float32, in the order of PyTorch's kernels.
	Single bool `json:"single,omitempty"`
}

// PoolFuncs are the functions of Pool and AdaptivePool.
var PoolFuncs = []string{"max", "mean"}

// Kind implements Op.
func (Pool) Kind() string { return "pool" }

// Arity implements Op.
func (Pool) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a Pool) Infer(o *Operands) ([]Value, error) {
	lead, size, err := o.spatial(0, len(a.Kernel))
	if err != nil {
		return o.Fail("C1", "%v", err)
	}
	if err := a.check(a.Kernel); err != nil {
		return o.Fail("C2", "%v", err)
	}
	for i, x := range a.Axes(a.Kernel) {
		if 2*x.Before > x.Span() || 2*x.After > x.Span() || size[i]+x.Before+x.After < x.Span() {
			return o.Fail("C3", "windows over %d of %d + %d + %d elements of %s: padding is at most half a window", x.Span(), x.Before, size[i], x.After, o.Show(0))
		}
		size[i] = a.out(x, size[i])
	}
	if !slices.Contains(PoolFuncs, a.Func) {
		return o.Unknown("C4", "func", a.Func, PoolFuncs...)
	}
	if a.Divisor < 0 || a.Func == "max" && (a.Divisor != 0 || a.Padded || a.Single) || a.Divisor > 0 && a.Padded {
		return o.Fail("C5", "divisor %d, padded %v, single %v: for mean only, and one of the first two", a.Divisor, a.Padded, a.Single)
	}
	return Result(Float, positions(lead, size, o.Features(0))...)
}

// out is the number of windows along a dimension.
func (a Pool) out(x Axis, size int) int {
	room := size + x.Before + x.After - x.Span()
	n := room/x.Stride + 1
	if a.Ceil && room%x.Stride != 0 && n*x.Stride < size+x.Before {
		n++
	}
	return n
}
