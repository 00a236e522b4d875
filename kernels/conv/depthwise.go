package conv

import (
	"fmt"

	"qpt/kernels/linear"
)

// Depthwise is a convolution whose every result feature looks at one feature of the input: N = Groups * M of them, feature n at n/M,
// where Groups = C. Weights are stored as those of any other and laid out tap by tap here.
type Depthwise struct {
	Shape
	M     int       // results a feature of the input
	Bias  []float32 // [N] or nil
	F32   []float32 // [taps][N]
	I8    []int8    // [taps][N], in place of F32
	Scale []float32 // [N], of I8
}

// NewDepthwise lays out the weights w [N, taps] of a layer of format F32 or I8.
func NewDepthwise(s Shape, w *linear.Weight) (*Depthwise, error) {
	taps, n := s.Taps(), w.N
	if s.Groups != s.C || w.K != taps || n%s.C != 0 {
		return nil, fmt.Errorf("weights [%d, %d] of a depthwise convolution of %d features and %d taps", n, w.K, s.C, taps)
	}
	d := &Depthwise{Shape: s, M: n / s.C}
	if w.Bias != nil {
		d.Bias = w.Bias[:n]
	}
	switch w.Format {
	case linear.F32:
		d.F32 = make([]float32, taps*n)
		row := make([]float32, taps)
		for i := range n {
			linear.EmbedRow(row, w, i)
			for t, v := range row {
				d.F32[t*n+i] = v
			}
		}
	case linear.I8:
		d.I8, d.Scale = make([]int8, taps*n), w.Scale[:n]
		row := make([]int8, taps)
		for i := range n {
			linear.Row(w, i, row)
			for t, v := range row {
				d.I8[t*n+i] = v
			}
		}
	default:
		return nil, fmt.Errorf("weights of a depthwise convolution are stored as %s, must be F32 or I8", w.Format)
	}
	return d, nil
}

// N is the number of results of a place.
func (d *Depthwise) N() int { return d.C * d.M }

// Ints computes row r of the result from codes x of this scale and zero point: the sum of (x - zero) * w over the taps inside, an
// int32, then as a linear layer (numerics N3.5). sums is working memory of N.
func (d *Depthwise) Ints(dst []float32, x []byte, r int, scale float32, zero int32, sums []int32) {
	n := d.N()
	sums = sums[:n]
	clear(sums)
	d.each(r, func(tap, at int) {
		multiplyInts(sums, x[at*d.C:][:d.C], d.I8[tap*n:][:n], zero)
	})
	for i, v := range sums {
		y := float32(float32(float32(v)*scale) * d.Scale[i])
		if d.Bias != nil {
			y += d.Bias[i]
		}
		dst[i] = y
	}
}

// Floats computes row r of the result: products rounded, then added tap by tap to 0, and the bias last (numerics N11.2).
func (d *Depthwise) Floats(dst []float32, x []float32, r int) {
	n := d.N()
	dst = dst[:n]
	clear(dst)
	d.each(r, func(tap, at int) {
		row, w := x[at*d.C:][:d.C], d.F32[tap*n:][:n]
		if d.M == 1 {
			for i, v := range row {
				dst[i] += float32(v * w[i])
			}
			return
		}
		for i, w := range w {
			dst[i] += float32(row[i/d.M] * w)
		}
	})
	for i, b := range d.Bias {
		dst[i] += b
	}
}

// multiplyInts adds (x - zero) * w to sums; each x meets len(w)/len(x) weights.
func multiplyInts(sums []int32, x []byte, w []int8, zero int32) {
	if len(x) == len(w) {
		sums = sums[:len(x)]
		w = w[:len(x)]
		for i, v := range x {
			sums[i] += (int32(v) - zero) * int32(w[i])
		}
		return
	}
	m := len(w) / len(x)
	for i, w := range w {
		sums[i] += (int32(x[i/m]) - zero) * int32(w)
	}
}

// each calls f for the taps of row r that lie inside, with the row of the input that they look at.
func (s *Shape) each(r int, f func(tap, at int)) {
	places := s.Places()
	image, p := r/places, r%places
	w := p % s.Out[2]
	h := p / s.Out[2] % s.Out[1]
	d := p / s.Out[2] / s.Out[1]
	tap := 0
	for kd := range s.Kernel[0] {
		id := s.element(0, d, kd)
		for kh := range s.Kernel[1] {
			ih := s.element(1, h, kh)
			if id < 0 || ih < 0 {
				tap += s.Kernel[2]
				continue
			}
			from := ((image*s.In[0]+id)*s.In[1] + ih) * s.In[2]
			for kw := range s.Kernel[2] {
				if iw := s.element(2, w, kw); iw >= 0 {
					f(tap, from+iw)
				}
				tap++
			}
		}
	}
}
