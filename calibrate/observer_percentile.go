package calibrate

// Percentile leaves out the rarest values: half of the rest below and half
// above, or for a symmetric grid the greatest magnitudes (ONNX Runtime).
type Percentile struct {
	histogram
	grid    Grid
	percent float64
}

// NewPercentile keeps percent (ONNX Runtime: 99.999) of the values.
func NewPercentile(g Grid, percent float64) *Percentile {
	return &Percentile{grid: g, percent: percent}
}

// QParams cuts the tails at bin edges.
func (p *Percentile) QParams() QParams {
	if p.counts == nil {
		return p.grid.QParams(1, 0)
	}
	total := 0.0
	for _, c := range p.counts {
		total += float64(c)
	}
	width := (float64(p.hi) - float64(p.lo)) / histBins
	if p.grid.Symmetric {
		mag, step := p.magnitudes(histBins)
		keep, sum := total*p.percent/100, 0.0
		for i, c := range mag {
			if sum += c; sum >= keep {
				a := float32(min(step*float64(i+1), float64(max(-p.lo, p.hi))))
				return p.grid.QParams(-a, a)
			}
		}
		return p.grid.QParams(p.lo, p.hi)
	}
	cut := total * (1 - p.percent/100) / 2
	a, b := 0, histBins
	for sum := 0.0; a < histBins-1; a++ {
		if sum += float64(p.counts[a]); sum > cut {
			break
		}
	}
	for sum := 0.0; b > a+1; b-- {
		if sum += float64(p.counts[b-1]); sum > cut {
			break
		}
	}
	lo, hi := p.lo, p.hi
	if a > 0 {
		lo = float32(float64(p.lo) + width*float64(a))
	}
	if b < histBins {
		hi = float32(float64(p.lo) + width*float64(b))
	}
	return p.grid.QParams(lo, hi)
}

// magnitudes counts |x| in bins of the returned width from 0.
func (h *histogram) magnitudes(bins int) ([]float64, float64) {
	top := max(-float64(h.lo), float64(h.hi))
	mag := make([]float64, bins)
	for i, c := range h.counts {
		v := h.center(i)
		b := 0
		if top > 0 {
			b = min(int(max(v, -v)/top*float64(bins)), bins-1)
		}
		mag[b] += float64(c)
	}
	return mag, top / float64(bins)
}
