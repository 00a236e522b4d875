package quant

import (
	"qpt/internal/num"
	"qpt/kernels/linear"
)

// blockI4F: torchao's DA8W4 rule, asymmetric with an integer zero point (numerics N5.2).
func (q *Quantizer) blockI4F(w *linear.Weight, b int) Error {
	groups, kp := w.GroupCount(), num.Pad(w.K, 64)
	lo, hi := q.lo[:groups], q.hi[:groups]
	active().spans(q.t[:groups*w.Group*16], w.Group, lo, hi)
	data := w.Data[b*kp*8 : (b+1)*kp*8]
	clear(data)
	var e Error
	for g := range groups {
		var scale, inv lanes
		var zero [16]int32
		for n := range 16 {
			scale[n] = max(q.source(q.source(hi[g][n]-lo[g][n])/15), q.source(1e-6))
			e.Signal += float64(scale[n] - scale[n]) // NaN when the range overflows
			zero[n] = roundClamp(-q.source(lo[g][n]/scale[n]), 0, 15)
			inv[n] = 1 / scale[n]
			w.Groups[(b*groups+g)*16+n] = byte(zero[n])
		}
		copy(w.GroupScale[(b*groups+g)*16:], scale[:])
		for k := g * w.Group; k < min((g+1)*w.Group, kp); k++ {
			for n, v := range q.t[k*16 : k*16+16] {
				c := min(max(num.RoundEven(v*inv[n])+zero[n], 0), 15)
				data[k/8*64+n*4+k%4] |= byte(c) << (k & 4)
				d := float64(v) - float64(scale[n])*float64(c-zero[n])
				e.Signal += float64(v) * float64(v)
				e.Noise += float64(d * d)
			}
		}
	}
	return e
}

func (q *Quantizer) source(x float32) float32 {
	if q.opt.Source == nil {
		return x
	}
	return q.opt.Source(x)
}
