package conv

import (
	"math"
	"unsafe"

	"qpt/kernels/internal/mem"
)

// Pool folds windows: those of Shape (of which Groups and Transposed do not count), or with Adaptive the even parts of each dimension.
type Pool struct {
	Shape
	Max      bool
	Adaptive bool
	// Mean divides by Divisor; if that is 0 by the elements that lie inside or, with After given, in the padding.
	Divisor int
	Padded  bool
	After   [3]int
}

// window is the elements first, first+step .. of dimension i that place o folds, n of them.
func (p *Pool) window(i, o int) (first, step, n int) {
	if p.Adaptive {
		first = o * p.In[i] / p.Out[i]
		return first, 1, ((o+1)*p.In[i]+p.Out[i]-1)/p.Out[i] - first
	}
	return o*p.Stride[i] - p.Before[i], p.Dilation[i], p.Kernel[i]
}

// rows calls f for the rows of the input that row r of the result is made of, count of them at and step after step; it returns the divisor of a mean.
func (p *Pool) rows(r int, f func(at, step, count int)) int {
	places := p.Places()
	image, o := r/places, r%places
	at := [3]int{o / p.Out[2] / p.Out[1], o / p.Out[2] % p.Out[1], o % p.Out[2]}
	var first, step, n [3]int
	padded, inside := 1, 0
	for i := range at {
		first[i], step[i], n[i] = p.window(i, at[i])
		padded *= min(first[i]+step[i]*(n[i]-1)+1, p.In[i]+p.After[i]) - first[i]
	}
	for a := range n[0] {
		d := first[0] + a*step[0]
		if d < 0 || d >= p.In[0] {
			continue
		}
		for b := range n[1] {
			h := first[1] + b*step[1]
			if h < 0 || h >= p.In[1] {
				continue
			}
			w, end := first[2], min(first[2]+n[2]*step[2], p.In[2])
			for w < 0 {
				w += step[2]
			}
			if count := (end - w + step[2] - 1) / step[2]; count > 0 {
				f(((image*p.In[0]+d)*p.In[1]+h)*p.In[2]+w, step[2], count)
				inside += count
			}
		}
	}
	switch {
	case p.Divisor > 0:
		return p.Divisor
	case p.Padded:
		return padded
	}
	return inside
}

// Floats computes rows r0 to r1-1 of the greatest values: NaN if there is one.
func (p *Pool) Floats(dst, x []float32, r0, r1 int, work *Taps) {
	c := p.C
	if !p.Adaptive {
		work.least = leastPadding(work.least, &p.Shape, float32(math.Inf(-1)))
		pooled(&p.Shape, dst, x, work.least, active().maxFloats, r0, r1, work)
		return
	}
	for ; r0 < r1; r0++ {
		to := dst[:c]
		dst = dst[c:]
		fill(to, float32(math.Inf(-1)))
		p.rows(r0, func(at, step, count int) {
			for ; count > 0; count-- {
				for i, v := range x[at*c:][:c] {
					to[i] = max(to[i], v)
				}
				at += step
			}
		})
	}
}

// Mean computes row r of the means, features c0 to c0+len(dst)-1: the binary64 sum in the order of the places, divided and rounded once.
func (p *Pool) Mean(dst, x []float32, r, c0 int, work *Taps) {
	n := places(p, x, r, c0, len(dst), work)
	work.wide = mem.Sized(work.wide, len(dst))
	clear(work.wide)
	if taps := len(work.rows); taps > 0 {
		active().sumFloats(&windowArgs{x: unsafe.Pointer(&work.rows[0]), dst: unsafe.Pointer(&work.wide[0]), taps: taps, places: 1, features: len(dst)})
	}
	for i, v := range work.wide {
		dst[i] = float32(v / float64(n))
	}
}

// MaxCodes computes rows r0 to r1-1 of the greatest codes; a window that lies in the padding alone gives 0.
func (p *Pool) MaxCodes(dst, x []byte, r0, r1 int, work *Taps) {
	if !p.Adaptive {
		work.zeros = leastPadding(work.zeros, &p.Shape, 0)
		pooled(&p.Shape, dst, x, work.zeros, active().maxBytes, r0, r1, work)
		return
	}
	for ; r0 < r1; r0++ {
		to := dst[:p.C]
		dst = dst[p.C:]
		clear(to)
		p.rows(r0, func(at, step, count int) {
			for ; count > 0; count-- {
				for i, v := range x[at*p.C:][:p.C] {
					to[i] = max(to[i], v)
				}
				at += step
			}
		})
	}
}

// leastPadding is padding of which least is all, in the memory of the last if that is enough.
func leastPadding[T byte | float32](last []T, s *Shape, least T) []T {
	if len(last) < (s.In[2]+1)*s.C {
		return padding(s, least)
	}
	return last
}

func pooled[T byte | float32](s *Shape, dst, x, pad []T, kernel windowFunc, r0, r1 int, work *Taps) {
	_ = dst[(r1-r0)*s.C-1]
	a := &windowArgs{features: s.C, ldd: s.C * int(unsafe.Sizeof(x[0]))}
	windows(s, x, 0, pad, r0, r1, work, a, func(r int) {
		a.dst = unsafe.Pointer(&dst[(r-r0)*s.C])
		kernel(a)
	})
}

// MeanCodes is Mean of codes of this scale and zero point: S, the exact sum of (x - zero), is an int32, and
// the result float32(S) * float32(scale / divisor) (numerics N12.3).
func (p *Pool) MeanCodes(dst []float32, x []byte, r, c0 int, scale float32, zero int32, work *Taps) {
	n := places(p, x, r, c0, len(dst), work)
	work.sums = mem.Sized(work.sums, len(dst))
	if taps := len(work.rows); taps > 0 {
		active().sumBytes(&windowArgs{x: unsafe.Pointer(&work.rows[0]), dst: unsafe.Pointer(&work.sums[0]), taps: taps, places: 1, features: len(dst)})
	} else {
		clear(work.sums)
	}
	f := float32(float64(scale) / float64(n))
	for i, v := range work.sums {
		dst[i] = float32(v-int32(len(work.rows))*zero) * f
	}
}

// places puts where feature c0 of each place of row r lies into work.rows, with c features; it returns the divisor of a mean.
func places[T byte | float32](p *Pool, x []T, r, c0, c int, work *Taps) int {
	work.rows = work.rows[:0]
	return p.rows(r, func(at, step, count int) {
		first, by := unsafe.Pointer(&x[at*p.C+c0]), step*p.C*int(unsafe.Sizeof(x[0]))
		_ = x[(at+(count-1)*step)*p.C+c0+c-1]
		for i := range count {
			work.rows = append(work.rows, unsafe.Add(first, i*by))
		}
	})
}
