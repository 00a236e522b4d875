package calibrate

import "math"

// minMax keeps the extremes of a tensor or of its channels.
type minMax struct {
	grid    Grid
	axis    int     // of the channels; < 0: one range for all
	average float32 // weight of a new batch; 0: the extremes of all batches
	lo, hi  []float32
}

// NewMinMax covers everything seen.
func NewMinMax(g Grid) Observer { return &minMax{grid: g, axis: -1} }

// NewMovingAverageMinMax moves the range by c (PyTorch: 0.01) towards each batch's.
func NewMovingAverageMinMax(g Grid, c float32) Observer {
	return &minMax{grid: g, axis: -1, average: c}
}

// NewPerChannelMinMax is NewMinMax for every index of dimension axis. The shape given with a batch decides
// what a channel is: of [tokens, K] axis 1 is a channel of activations and axis 0 a token; weights
// [N, K] with axis 0 have one range a row, and given as [N*K/group, group] one a group.
func NewPerChannelMinMax(g Grid, axis int) Observer { return &minMax{grid: g, axis: axis} }

// NewMovingAveragePerChannelMinMax is NewMovingAverageMinMax for every index of dimension axis.
func NewMovingAveragePerChannelMinMax(g Grid, axis int, c float32) Observer {
	return &minMax{grid: g, axis: axis, average: c}
}

// Observe takes the extremes of a batch.
func (o *minMax) Observe(x []float32, shape []int) {
	channels, inner := 1, max(len(x), 1) // x is [.., channels, inner]
	if o.axis >= 0 {
		channels, inner = shape[o.axis], 1
		for _, d := range shape[o.axis+1:] {
			inner *= d
		}
	}
	lo, hi := empty(channels)
	for i, v := range x {
		if c := i / inner % channels; finite(v) {
			lo[c], hi[c] = min(lo[c], v), max(hi[c], v)
		}
	}
	if o.lo == nil {
		o.lo, o.hi = empty(channels)
	}
	for c := range lo {
		switch {
		case lo[c] > hi[c]: // nothing seen
		case o.average == 0 || o.lo[c] > o.hi[c]:
			o.lo[c], o.hi[c] = min(o.lo[c], lo[c]), max(o.hi[c], hi[c])
		default:
			o.lo[c] += float32(o.average * (lo[c] - o.lo[c]))
			o.hi[c] += float32(o.average * (hi[c] - o.hi[c]))
		}
	}
}

// QParams maps the range of each channel.
func (o *minMax) QParams() (q QParams) {
	if o.lo == nil {
		return o.grid.one(1, 0)
	}
	for c := range o.lo {
		s, z := o.grid.QParams(o.lo[c], o.hi[c])
		q.Scale, q.Zero = append(q.Scale, s), append(q.Zero, z)
	}
	return q
}

// empty is n ranges that hold nothing.
func empty(n int) (lo, hi []float32) {
	lo, hi = make([]float32, n), make([]float32, n)
	for c := range lo {
		lo[c], hi[c] = float32(math.Inf(1)), float32(math.Inf(-1))
	}
	return lo, hi
}
