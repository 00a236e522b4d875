package linear

import "qpt/internal/num"

// The twins: what every linear kernel computes, told once. Others must give
// the same bits.
//
// A8 (numerics N3.5): acc[m, n] = sum over k of Hi[m, k] * w8[n, k] as int32; then, each step
// rounded to float32,
//
//	f = float32(acc - Zero[m]*Sum[n])
//	y = f * Scale[m] * wScale[n], left to right, + bias[n], + old y
//
// With wild columns (numerics N3.7) bias[m, n] = fma(Wild[m, i], WildData[n, i], bias[m, n]), i ascending, takes bias's place.
//
// A16: the same with f = float32(256*(accHi - 128*Sum[n]) + accLo), the sum exact.

// linearGeneric is the twin for I8, I6 and I4.
func linearGeneric(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	kp := num.Pad(w.K, 64)
	s.grow(kp*16, 0)
	for b := b0; b < b1; b++ {
		block := w.Data[b*w.BlockBytes():]
		if w.Format != I8 {
			expandBlock(w, b, s.panel)
			block = s.panel
		}
		block = block[:kp*16]
		for m := range x.M {
			var lo [16]int32
			hi := dotBlock(x.Hi[m*x.Stride:], block)
			if x.Form == A16 {
				lo = dotBlock(x.Lo[m*x.Stride:], block)
			}
			for i := range min(16, w.N-16*b) {
				f := accumulated(x, m, hi[i], lo[i], w.Sum[16*b+i])
				v := float32(f*x.Scale[m]) * w.Scale[16*b+i]
				if w.Wild == nil {
					finish(&y[m*ldy+16*(b-b0)+i], v, w, 16*b+i, add)
					continue
				}
				var bias float32
				if w.Bias != nil {
					bias = w.Bias[16*b+i]
				}
				for j, x := range x.Wild[m*len(w.Wild):][:len(w.Wild)] {
					bias = num.FMA32(x, w.WildData[(b*len(w.Wild)+j)*16+i], bias)
				}
				v = float32(v) + bias
				if y := &y[m*ldy+16*(b-b0)+i]; add {
					*y += v
				} else {
					*y = v
				}
			}
		}
	}
}

// accumulated removes the zero points from a sum and rounds it to float32 (numerics N3.5).
func accumulated(x *Acts, m int, hi, lo, wsum int32) float32 {
	if x.Form == A16 {
		return float32(int64(hi-128*wsum)*256 + int64(lo))
	}
	return float32(hi - x.Zero[m]*wsum)
}

// finish adds bias and old value and stores. v is a float32 already: the
// conversions at the callers keep compilers from fusing.
func finish(y *float32, v float32, w *Weight, n int, add bool) {
	v = float32(v)
	if w.Bias != nil {
		v += w.Bias[n]
	}
	if add {
		v = *y + v
	}
	*y = v
}

// dotBlock sums one plane row u [Kp] times a block [Kp/4][16][4] of w8.
func dotBlock(u, block []byte) (acc [16]int32) {
	for k := 0; k*16 < len(block); k += 4 {
		a, b, c, d := int32(u[k]), int32(u[k+1]), int32(u[k+2]), int32(u[k+3])
		w := (*[64]byte)(block[k*16:])
		for n := range acc {
			acc[n] += a*int32(int8(w[4*n])) + b*int32(int8(w[4*n+1])) + c*int32(int8(w[4*n+2])) + d*int32(int8(w[4*n+3]))
		}
	}
	return acc
}

// linearI4FGeneric is the twin for I4F: groups in K order, each rounded on its own (numerics N5.3),
//
//	y = 0; for each group: y += float32(p) * Scale[m] * GroupScale[g, n]
//
// with p as above over the group's k and its sum of (code - zero).
func linearI4FGeneric(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	kp, groups := num.Pad(w.K, 64), w.GroupCount()
	s.grow(kp*16, 0)
	var ones [128]byte
	for i := range ones {
		ones[i] = 1
	}
	for b := b0; b < b1; b++ {
		expandBlock(w, b, s.panel)
		for m := range x.M {
			var sum [16]float32
			for g := range groups {
				k0, k1 := g*w.Group, min((g+1)*w.Group, kp)
				block := s.panel[k0*16 : k1*16]
				var lo [16]int32
				hi := dotBlock(x.Hi[m*x.Stride+k0:], block)
				if x.Form == A16 {
					lo = dotBlock(x.Lo[m*x.Stride+k0:], block)
				}
				wsum := dotBlock(ones[:], block)
				for i := range sum {
					f := accumulated(x, m, hi[i], lo[i], wsum[i])
					sum[i] += float32(float32(f*x.Scale[m]) * w.GroupScale[(b*groups+g)*16+i])
				}
			}
			for i := range min(16, w.N-16*b) {
				finish(&y[m*ldy+16*(b-b0)+i], sum[i], w, 16*b+i, add)
			}
		}
	}
}
