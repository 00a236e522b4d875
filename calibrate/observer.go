package calibrate

import (
	"math"

	"qpt/internal/num"
)

// Observer sees the batches of one activation, one after the other, and gives
// the quantization parameters that suit them. x is row-major of the given
// shape and is not kept. Values that are NaN or infinite are left out; an
// empty batch changes nothing.
type Observer interface {
	Observe(x []float32, shape []int)
	QParams() QParams
}

// QParams map real numbers to integers: q = clamp(round(x/Scale) + Zero). There is
// one entry per tensor, or one per channel. Before any value was seen Scale is 1 and Zero 0.
type QParams struct {
	Scale []float32
	Zero  []int32
}

// Grid is the integers that a range of reals is mapped to.
type Grid struct {
	QMin, QMax int
	Symmetric  bool    // Zero is the middle of the grid, the range is [-a, a]
	Eps        float32 // least scale; 0: 2^-23, as in PyTorch
}

// Int8 is -128..127 or, with half the range against 16-bit saturation on old CPUs, -64..63.
func Int8(symmetric, reduceRange bool) Grid {
	if reduceRange {
		return Grid{QMin: -64, QMax: 63, Symmetric: symmetric}
	}
	return Grid{QMin: -128, QMax: 127, Symmetric: symmetric}
}

// Uint8 is 0..255 or 0..127.
func Uint8(symmetric, reduceRange bool) Grid {
	if reduceRange {
		return Grid{QMax: 127, Symmetric: symmetric}
	}
	return Grid{QMax: 255, Symmetric: symmetric}
}

// QParams maps [lo, hi] extended to hold 0 onto the grid. An empty range (lo > hi) gives scale 1, zero 0.
func (g Grid) QParams(lo, hi float32) (scale float32, zero int32) {
	if lo > hi {
		return 1, 0
	}
	eps := g.Eps
	if eps == 0 {
		eps = 0x1p-23
	}
	lo, hi = min(lo, 0), max(hi, 0)
	if g.Symmetric {
		scale = max(-lo, hi) / (float32(g.QMax-g.QMin) / 2)
		return max(scale, eps), int32(math.Floor(float64(g.QMin+g.QMax+1) / 2))
	}
	scale = (hi - lo) / float32(g.QMax-g.QMin)
	if math.IsInf(float64(hi-lo), 0) { // the difference may overflow, the scale does not
		scale = float32((float64(hi) - float64(lo)) / float64(g.QMax-g.QMin))
	}
	scale = max(scale, eps)
	z := int32(g.QMin) - num.RoundEven(min(max(lo/scale, -1<<20), 0))
	return scale, min(max(z, int32(g.QMin)), int32(g.QMax))
}

// one is the result for a whole tensor.
func (g Grid) one(lo, hi float32) QParams {
	s, z := g.QParams(lo, hi)
	return QParams{[]float32{s}, []int32{z}}
}

// fakeQuant rounds v to the grid and back.
func (g Grid) fakeQuant(v, scale float64, zero int32) float64 {
	q := math.RoundToEven(v/scale) + float64(zero)
	return (min(max(q, float64(g.QMin)), float64(g.QMax)) - float64(zero)) * scale
}

func finite(v float32) bool { return v-v == 0 }

// Fixed is for activations whose range is known, such as softmax (1/256, 0).
type Fixed struct {
	Scale float32
	Zero  int32
}

// Observe does nothing.
func (Fixed) Observe([]float32, []int) {}

// QParams returns the fixed pair.
func (f Fixed) QParams() QParams { return QParams{[]float32{f.Scale}, []int32{f.Zero}} }
