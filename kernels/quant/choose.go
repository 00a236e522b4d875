package quant

import "qpt/kernels/linear"

// Chooser finds zeros and gscales of groups for scales that stay. It is not safe for concurrent use.
type Chooser struct {
	a      groupSearch
	lo, hi [1]lanes
	params [16]byte
}

// NewChooser is for groups of I4 or I6.
func NewChooser(f linear.Format, group int) *Chooser {
	levels, gscales := f.Levels()
	c := new(Chooser)
	c.a = groupSearch{cand: fineWeighted, fit: 1 / float32(levels), group: group, bits: int32(f.Bits()), levels: float32(levels), gscales: float32(gscales),
		lo: c.lo[:], hi: c.hi[:], params: c.params[:]}
	return c
}

// Choose returns them, as Weight.Groups has them, of least error of one group of 16 rows, t [group][16], column k of importance imp[k]: the last search of numerics N4.3.
func (c *Chooser) Choose(t, imp []float32, scale *[16]float32) *[16]byte {
	active().spans(t, c.a.group, c.lo[:], c.hi[:])
	c.a.t, c.a.imp, c.a.scale = t, imp, *scale
	active().search(&c.a)
	return &c.params
}
