package calibrate

import (
	"math"

	"qpt/internal/num"
)

// Observer sees the batches of one activation, one after the other, and gives
// the quantization parameters that suit the whole of it. x is not kept. Values
// that are NaN or infinite are left out; an empty batch changes nothing.
type Observer interface {
	Observe(x []float32)
	QParams() QParams
}

// QParams map real numbers to integers: q = clamp(round(x/Scale) + Zero).
// Before any value was seen Scale is 1 and Zero 0.
type QParams struct {
	Scale float32
	Zero  int32
}

// Grid is the integers that a range of reals is mapped to.
type Grid struct {
	QMin, QMax int
	Symmetric  bool    // Zero is the middle of the grid, the range is [-a, a]
	Eps        float32 // least scale; 0: 2^-23, as in PyTorch
}

// QParams maps [lo, hi] extended to hold 0 onto the grid. An empty range (lo > hi) gives scale 1, zero 0.
func (g Grid) QParams(lo, hi float32) QParams {
	if lo > hi {
		return QParams{1, 0}
	}
	eps := g.Eps
	if eps == 0 {
		eps = 0x1p-23
	}
	lo, hi = min(lo, 0), max(hi, 0)
	if g.Symmetric {
		scale := max(-lo, hi) / (float32(g.QMax-g.QMin) / 2)
		return QParams{max(scale, eps), int32(math.Floor(float64(g.QMin+g.QMax+1) / 2))}
	}
	scale := (hi - lo) / float32(g.QMax-g.QMin)
	if math.IsInf(float64(hi-lo), 0) { // the difference may overflow, the scale does not
		scale = float32((float64(hi) - float64(lo)) / float64(g.QMax-g.QMin))
	}
	scale = max(scale, eps)
	z := int32(g.QMin) - num.RoundEven(min(max(lo/scale, -1<<20), 0))
	return QParams{scale, min(max(z, int32(g.QMin)), int32(g.QMax))}
}

// fakeQuant rounds v to the grid and back.
func (g Grid) fakeQuant(v float64, p QParams) float64 {
	q := math.RoundToEven(v/float64(p.Scale)) + float64(p.Zero)
	return (min(max(q, float64(g.QMin)), float64(g.QMax)) - float64(p.Zero)) * float64(p.Scale)
}
