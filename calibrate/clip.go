package calibrate

// How clip and hqq choose the zeros and gscales of groups: among those that rowBatch.choose
// tries, the ones of least cost of the differences d = v - q of the group's weights (all others: kernels/quant, sum of h[k] d[k]^2):
//
//	d^T H_gg d, H_gg the group's block of H   clip search of AWQ (arXiv 2306.00978, section 3.2)
//
//	sum of |d[k]|^0.7                         HQQ (hqq.go)
//
// The first is the squared error of what the group adds to the layer's outputs on the calibration text. It
// tries smaller ranges too, to half the group's span, as AWQ does.

// cost returns the cost of differences in columns g0 to g1-1, in the scaled coordinates; it may change them.
func (b *rowBatch) cost(g0, g1 int) func(d []float32) float32 {
	if b.hqq {
		return func(d []float32) (err float32) {
			for _, v := range d {
				err += power(v)
			}
			return err
		}
	}
	s := b.s[g0:g1]
	return func(d []float32) (err float32) {
		for k := range d {
			d[k] /= s[k]
			row := b.h[g0+k][g0 : g0+k+1]
			err += d[k] * (2*dot32(d[:k], row[:k]) + d[k]*row[k])
		}
		return err
	}
}

// static chooses the groups of all rows anew, for their weights as they are, and rounds to nearest;
// a group whose codes, chosen for another scale (numerics N4.6), cost less stays.
func (b *rowBatch) static() {
	scaled, d, codes := make([]float32, b.group), make([]float32, b.group), make([]int8, b.group)
	for i, row := range b.w {
		g := &b.grids[i]
		for g0 := 0; g0 < b.k; g0 += b.group {
			n := min(g0+b.group, b.k) - g0
			step, _, _ := g.step(g0)
			for k := range n {
				scaled[k] = row[g0+k] * b.s[g0+k]
				d[k] = scaled[k] - float32(float32(b.codes[i][g0+k])*step)
			}
			zero, gscale, old := g.zero[g0/b.group], g.gscale[g0/b.group], b.cost(g0, g0+n)(d[:n])
			b.choose(g, g0/b.group, scaled[:n])
			step, lo, hi := g.step(g0)
			for k := range n {
				var q float32
				codes[k], q = nearest(scaled[k], step, lo, hi)
				d[k] = scaled[k] - q
			}
			if b.cost(g0, g0+n)(d[:n]) < old {
				copy(b.codes[i][g0:], codes[:n])
			} else {
				g.zero[g0/b.group], g.gscale[g0/b.group] = zero, gscale
			}
		}
	}
}
