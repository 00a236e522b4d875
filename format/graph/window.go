package graph

import (
	"fmt"
	"slices"
)

// Window is how windows of a kernel lie on the spatial dimensions of a value [.., S1 .. Sr, C]: window o of
// dimension i begins at o*Stride[i] - Pad[2i] and looks at every Dilation[i]-th element.
type Window struct {
	Stride   []int `json:"stride,omitempty"`   // absent: 1 everywhere
	Pad      []int `json:"pad,omitempty"`      // before and after each dimension; absent: 0
	Dilation []int `json:"dilation,omitempty"` // absent: 1 everywhere
}

// Axis is a window along one dimension.
type Axis struct{ Kernel, Stride, Before, After, Dilation int }

// Axes are the window along each of the dimensions of a kernel.
func (w Window) Axes(kernel []int) []Axis {
	list := make([]Axis, len(kernel))
	for i, k := range kernel {
		a := Axis{Kernel: k, Stride: 1, Dilation: 1}
		if i < len(w.Stride) {
			a.Stride = w.Stride[i]
		}
		if 2*i+1 < len(w.Pad) {
			a.Before, a.After = w.Pad[2*i], w.Pad[2*i+1]
		}
		if i < len(w.Dilation) {
			a.Dilation = w.Dilation[i]
		}
		list[i] = a
	}
	return list
}

// Span is the number of elements from the first to the last that a window looks at.
func (a Axis) Span() int { return a.Dilation*(a.Kernel-1) + 1 }

// check holds the lists against the number of dimensions, and each number against sane bounds.
func (w Window) check(kernel []int) error {
	n := len(kernel)
	for _, l := range []struct {
		name       string
		list       []int
		want, from int
	}{{"kernel", kernel, n, 1}, {"stride", w.Stride, n, 1}, {"pad", w.Pad, 2 * n, 0}, {"dilation", w.Dilation, n, 1}} {
		if l.list == nil {
			continue
		}
		if len(l.list) != l.want {
			return fmt.Errorf("%s %v must be %d numbers", l.name, l.list, l.want)
		}
		for _, v := range l.list {
			if v < l.from || v >= 1<<20 {
				return fmt.Errorf("%s %v must be %d or more", l.name, l.list, l.from)
			}
		}
	}
	return nil
}

// spatial returns the r extents before the last of input i, which must all be numbers above 0, and the extents before them.
func (o *Operands) spatial(i, r int) (lead []Dim, size []int, err error) {
	s := o.In[i].Shape
	if o.In[i].DType != Float || r < 1 || r > 3 || len(s) < r+1 || o.Features(i) == 0 {
		return nil, nil, fmt.Errorf("x is %s, must be f32 [.., %d spatial extents, C], of which there are 1 to 3", o.Show(i), r)
	}
	lead = s[:len(s)-1-r]
	for _, d := range s[len(lead) : len(s)-1] {
		if d < 1 {
			return nil, nil, fmt.Errorf("x is %s: its %d spatial extents must be numbers above 0", o.Show(i), r)
		}
		size = append(size, int(d))
	}
	return lead, size, nil
}

// positions is the shape of the results: as many features at each place.
func positions(lead []Dim, size []int, features int) []Dim {
	shape := slices.Clone(lead)
	for _, n := range size {
		shape = append(shape, Dim(n))
	}
	return append(shape, Dim(features))
}
