package graph

import "math"

// FreqsAt returns the inverse frequencies for a sequence of n positions: Freqs
// unless dynamic scaling has set in.
func (r RoPE) FreqsAt(n int) []float64 {
	d := r.Dynamic
	if d == nil || n <= d.MaxPos {
		return r.Freqs
	}
	dim := float64(r.Rotary)
	base := d.Theta * math.Pow(d.Factor*float64(n)/float64(d.MaxPos)-(d.Factor-1), dim/(dim-2))
	f := make([]float64, r.Rotary/2)
	for i := range f {
		f[i] = float64(float32(math.Pow(base, -float64(2*i)/dim)))
	}
	return f
}
