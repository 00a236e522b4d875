package calibrate

import (
	"math"

	"qpt/internal/num"
)

// minMax keeps the extremes of a tensor.
type minMax struct {
	grid    Grid
	average float32 // weight of a new batch; 0: the extremes of all batches
	seen    bool
	lo, hi  float32
}

// NewMinMax covers everything seen.
func NewMinMax(g Grid) Observer { return &minMax{grid: g} }

// NewMovingAverageMinMax moves the range by c (PyTorch: 0.01) towards each batch's.
func NewMovingAverageMinMax(g Grid, c float32) Observer { return &minMax{grid: g, average: c} }

// Observe takes the extremes of a batch.
func (o *minMax) Observe(x []float32) {
	lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range x {
		if num.Finite(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	switch {
	case lo > hi: // nothing seen
	case !o.seen:
		o.lo, o.hi, o.seen = lo, hi, true
	case o.average == 0:
		o.lo, o.hi = min(o.lo, lo), max(o.hi, hi)
	default:
		o.lo += float32(o.average * (lo - o.lo))
		o.hi += float32(o.average * (hi - o.hi))
	}
}

// QParams maps the range.
func (o *minMax) QParams() QParams {
	if !o.seen {
		return o.grid.QParams(1, 0)
	}
	return o.grid.QParams(o.lo, o.hi)
}
