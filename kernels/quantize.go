package kernels

import (
	"math"

	"qpt/internal/num"
)

// Compat asks for the codes and scales of another tool instead of the most accurate ones.
type Compat uint8

// Compatibility modes.
const (
	CompatNone    Compat = iota
	CompatTorchAO        // torchao 0.19 (numerics N5)
)

// QuantOptions say how QuantizeBlock rounds; the zero value searches for the least error.
type QuantOptions struct {
	Compat Compat
	// Source rounds a result of float arithmetic to the checkpoint's dtype;
	// CompatTorchAO computes scales in it. nil means float32.
	Source func(float32) float32
	// Importance [K] weighs the squared error of column k of W; nil means 1.
	Importance []float32
}

// Scale factors tried by the searches, best guess first: a later one must be
// strictly better. They were chosen on Gaussian and Student-t rows (see
// TestSearchQuality for the SQNR reached).
var (
	factorsI8 = []float32{1, 0.97, 0.94, 0.91, 0.88, 0.85, 0.82}
	factorsI4 = []float32{1, 0.95, 0.9, 0.85, 0.8}
)

// Quantizer holds the working memory to quantize blocks of one K. It is not safe for concurrent use.
type Quantizer struct {
	opt   QuantOptions
	k     int
	t     []float32 // [K][16] block, transposed: a lane is a row of W
	imp   []float32 // [K]
	codes []int8    // [K][16] codes or w8
}

// NewQuantizer prepares for rows of length k.
func NewQuantizer(k int, opt QuantOptions) *Quantizer {
	q := &Quantizer{opt: opt, k: k, t: make([]float32, k*16), imp: opt.Importance, codes: make([]int8, k*16)}
	if q.imp == nil {
		q.imp = make([]float32, k)
		for i := range q.imp {
			q.imp[i] = 1
		}
	}
	return q
}

// Error is the squared weight and the squared rounding error of a block,
// summed; SQNR in dB is 10*log10(Signal/Noise).
type Error struct{ Signal, Noise float64 }

// Add accumulates o.
func (e *Error) Add(o Error) { e.Signal += o.Signal; e.Noise += o.Noise }

// SQNR in dB; +Inf when there is no noise.
func (e Error) SQNR() float64 { return 10 * math.Log10(e.Signal/e.Noise) }

// Block quantizes and packs block b of w, whose format must be I8, I4 or I4F.
// rows is [r][K], r = min(16, N-16b): rows 16b.. of W, all finite. Rows beyond
// N become zeros.
func (q *Quantizer) Block(w *Weight, b int, rows []float32) Error {
	r := min(16, w.N-16*b)
	if len(rows) < r*q.k || w.K != q.k {
		panic("kernels: Block: rows do not match the weight")
	}
	clear(q.t)
	for n := range r {
		for k, v := range rows[n*q.k : (n+1)*q.k] {
			q.t[k*16+n] = v
		}
	}
	switch w.Format {
	case I8:
		return q.blockI8(w, b)
	case I4:
		return q.blockI4(w, b)
	case I4F:
		return q.blockI4F(w, b)
	}
	panic("kernels: Block: not an integer format")
}

// lanes is one value for each of the 16 rows of a block.
type lanes = [16]float32

// minMax returns the extremes of t [n][16] per lane, with 0 included.
func minMax(t []float32) (lo, hi lanes) {
	for ; len(t) >= 16; t = t[16:] {
		for n, v := range t[:16] {
			lo[n] = min(lo[n], v)
			hi[n] = max(hi[n], v)
		}
	}
	return
}

// blockI8: numerics N2.
func (q *Quantizer) blockI8(w *Weight, b int) Error {
	lo, hi := minMax(q.t)
	var scale, inv, qlo, qhi, best lanes
	for n := range 16 {
		qlo[n], qhi[n] = -127, 127
	}
	if q.opt.Compat == CompatTorchAO {
		for n := range 16 {
			qlo[n] = -128
			scale[n] = max(q.source(max(-lo[n], hi[n])/127.5), 0x1p-23)
		}
	} else {
		var try, err, tinv lanes
		for i, f := range factorsI8 {
			for n := range 16 {
				try[n] = max(-lo[n], hi[n]) / 127 * f
				tinv[n] = safeInv(try[n])
			}
			groupError(q.t, q.imp, &tinv, &qlo, &qhi, &try, &err)
			for n := range 16 {
				if i == 0 || err[n] < best[n] {
					best[n], scale[n] = err[n], try[n]
				}
			}
		}
	}
	for n := range 16 {
		inv[n] = safeInv(scale[n])
	}
	base := b * Pad(w.K, 64) * 16
	clear(w.Data[base : base+Pad(w.K, 64)*16])
	var sum [16]int32
	for k := range q.k {
		for n := range 16 {
			c := roundClamp(q.t[k*16+n]*inv[n], qlo[n], qhi[n])
			sum[n] += int32(c)
			q.codes[k*16+n] = int8(c)
			w.Data[base+k/4*64+n*4+k%4] = byte(int8(c))
		}
	}
	copy(w.Scale[16*b:], scale[:])
	copy(w.Sum[16*b:], sum[:])
	return q.noise(0, q.k, &scale)
}

// blockI4: the two-level int4 of numerics N4. For every first-level scale
// tried, each group picks gscale and zero by least error; the scale whose
// groups add up to the least error wins, row by row.
func (q *Quantizer) blockI4(w *Weight, b int) Error {
	groups := (q.k + w.Group - 1) / w.Group
	kp := Pad(w.K, 64)
	lo, hi := minMax(q.t)
	// The smallest scale that reaches all groups: gscale <= 16 and |w8| <= 128.
	var top lanes
	for g := range groups {
		glo, ghi := minMax(q.t[g*w.Group*16 : min((g+1)*w.Group, q.k)*16])
		for n := range 16 {
			top[n] = max(top[n], (ghi[n]-glo[n])/15/16)
		}
	}
	for n := range 16 {
		top[n] = max(top[n], hi[n]/127, -lo[n]/128)
	}
	var scale, total lanes
	chosen := make([][16]groupParam, groups)
	tried := make([][16]groupParam, groups)
	for i, f := range factorsI4 {
		var s, sum lanes
		for n := range 16 {
			s[n] = top[n] * f
		}
		for g := range groups {
			a, e := g*w.Group, min((g+1)*w.Group, q.k)
			err := chooseGroup(q.t[a*16:e*16], q.imp[a:e], &s, &tried[g])
			for n := range 16 {
				sum[n] += err[n]
			}
		}
		for n := range 16 {
			if i == 0 || sum[n] < total[n] {
				total[n], scale[n] = sum[n], s[n]
				for g := range groups {
					chosen[g][n] = tried[g][n]
				}
			}
		}
	}
	data := w.Data[b*kp*8 : (b+1)*kp*8]
	clear(data)
	var sum [16]int32
	var e Error
	for g := range groups {
		a, end := g*w.Group, min((g+1)*w.Group, q.k)
		var inv, qlo, qhi, step lanes
		for n := range 16 {
			p := chosen[g][n]
			step[n] = scale[n] * float32(p.gscale)
			inv[n] = safeInv(step[n])
			qlo[n], qhi[n] = p.bounds()
			w.Groups[(b*groups+g)*16+n] = p.zero | (p.gscale-1)<<4
		}
		for k := a; k < Pad(end, 8); k++ {
			for n := range 16 {
				c := int32(0) // numerics N4.5: padding has code = zero
				if k < end {
					c = roundClamp(q.t[k*16+n]*inv[n], qlo[n], qhi[n])
					q.codes[k*16+n] = int8(c)
				}
				p := chosen[g][n]
				sum[n] += c * int32(p.gscale)
				data[k/8*64+n*4+k%4] |= byte(c+int32(p.zero)) << (k & 4)
			}
		}
		e.Add(q.noise(a, end, &step))
	}
	// Whole bytes beyond the last group's end belong to the last group too.
	last := &chosen[groups-1]
	for k := Pad(q.k, 8); k < kp; k++ {
		for n := range 16 {
			if k < groups*w.Group {
				data[k/8*64+n*4+k%4] |= last[n].zero << (k & 4)
			}
		}
	}
	copy(w.Scale[16*b:], scale[:])
	copy(w.Sum[16*b:], sum[:])
	return e
}

// groupParam is the second level of one group and row: w8 = (code-zero)*gscale.
type groupParam struct{ zero, gscale uint8 }

// bounds returns the least and greatest code-zero whose w8 is an int8 (numerics N4.2).
func (p groupParam) bounds() (lo, hi float32) {
	z, g := int(p.zero), int(p.gscale)
	return float32(max(-z, -(128 / g))), float32(min(15-z, 127/g))
}

// chooseGroup tries, for the scales s, the gscales from 3/4 of the span's up
// to it and the three zeros around the span's (numerics N4.3). t is [len(imp)][16].
func chooseGroup(t, imp []float32, s *lanes, out *[16]groupParam) (best lanes) {
	lo, hi := minMax(t)
	var top, bottom [16]int
	for n := range 16 {
		v := (hi[n] - lo[n]) / 15 * safeInv(s[n])
		top[n] = min(max(int(v)+1, 1), 16)
		bottom[n] = max(int(v*0.75), 1)
	}
	first := true
	for d := 0; d < 6; d++ {
		var p [16]groupParam
		more := false
		for n := range 16 {
			g := top[n] - d
			if g >= bottom[n] {
				more = true
			} else {
				g = bottom[n]
			}
			p[n].gscale = uint8(g)
		}
		if !more {
			break
		}
		for dz := -1; dz <= 1; dz++ {
			var inv, qlo, qhi, step, err lanes
			for n := range 16 {
				step[n] = s[n] * float32(p[n].gscale)
				inv[n] = safeInv(step[n])
				p[n].zero = uint8(roundClamp(float32(-lo[n]*inv[n])+float32(dz), 0, 15))
				qlo[n], qhi[n] = p[n].bounds()
			}
			groupError(t, imp, &inv, &qlo, &qhi, &step, &err)
			for n := range 16 {
				if first || err[n] < best[n] {
					best[n], out[n] = err[n], p[n]
				}
			}
			first = false
		}
	}
	return best
}

// blockI4F: torchao's DA8W4 rule, asymmetric with an integer zero point (numerics N5.2).
func (q *Quantizer) blockI4F(w *Weight, b int) Error {
	groups := (q.k + w.Group - 1) / w.Group
	kp := Pad(w.K, 64)
	data := w.Data[b*kp*8 : (b+1)*kp*8]
	clear(data)
	var e Error
	for g := range groups {
		a, end := g*w.Group, min((g+1)*w.Group, q.k)
		lo, hi := minMax(q.t[a*16 : end*16])
		var inv, scale lanes
		var zero [16]int32
		for n := range 16 {
			scale[n] = max(q.source(q.source(hi[n]-lo[n])/15), q.source(1e-6))
			zero[n] = roundClamp(-q.source(lo[n]/scale[n]), 0, 15)
			inv[n] = 1 / scale[n]
			w.Groups[(b*groups+g)*16+n] = byte(zero[n])
		}
		copy(w.GroupScale[(b*groups+g)*16:], scale[:])
		for k := a; k < min((g+1)*w.Group, kp); k++ {
			for n := range 16 {
				c := zero[n]
				if k < end {
					c = min(max(num.RoundEven(q.t[k*16+n]*inv[n])+zero[n], 0), 15)
					q.codes[k*16+n] = int8(c - zero[n])
				}
				data[k/8*64+n*4+k%4] |= byte(c) << (k & 4)
			}
		}
		e.Add(q.noise(a, end, &scale))
	}
	return e
}

func (q *Quantizer) source(x float32) float32 {
	if q.opt.Source == nil {
		return x
	}
	return q.opt.Source(x)
}

// noise sums the error of codes [a, end) against t, step being the size of one code.
func (q *Quantizer) noise(a, end int, step *lanes) (e Error) {
	for k := a; k < end; k++ {
		for n := range 16 {
			v := float64(q.t[k*16+n])
			d := v - float64(step[n])*float64(q.codes[k*16+n]) // this product and v*v are exact
			e.Signal += v * v
			e.Noise += float64(d * d)
		}
	}
	return e
}

// safeInv is 1/s, or 0 where s is too small to divide by (numerics N2.2).
func safeInv(s float32) float32 {
	if s < 0x1p-120 {
		return 0
	}
	return 1 / s
}

// roundClamp rounds ties to even, then clamps to [lo, hi], |lo|, |hi| <= 128.
func roundClamp(x, lo, hi float32) int32 {
	return num.RoundEven(min(max(x, lo), hi))
}

// groupErrorGeneric sets err[n] to the sum over k of imp[k] * (t[k][n] -
// step[n]*q)^2, q = t[k][n]*inv[n] rounded ties to even within [lo[n], hi[n]].
// Every product and sum is rounded to float32, in the order of k, so that the
// vector version, one lane a row, chooses the same parameters (numerics N4.4).
func groupErrorGeneric(t, imp []float32, inv, lo, hi, step, err *lanes) {
	*err = lanes{}
	for k, h := range imp {
		for n, v := range t[k*16 : k*16+16] {
			c := float32(num.RoundEven(min(max(float32(v*inv[n]), lo[n]), hi[n])))
			d := v - float32(c*step[n])
			err[n] += float32(h * float32(d*d))
		}
	}
}
