package calibrate

import "math"

// MSE shrinks the range in hundredths to the least squared rounding error of
// the histogram's values.
type MSE struct {
	histogram
	grid Grid
}

// NewMSE tries 1.00, 0.99, .. 0.01 of the range seen (of the greatest magnitude when symmetric).
func NewMSE(g Grid) *MSE { return &MSE{grid: g} }

// QParams tries every range; the widest of equals wins.
func (m *MSE) QParams() QParams {
	if m.counts == nil {
		return m.grid.QParams(1, 0)
	}
	best, bestErr := m.grid.QParams(m.lo, m.hi), math.Inf(1)
	for i := 100; i > 0; i-- {
		f := float32(i) / 100
		q := m.grid.QParams(m.lo*f, m.hi*f)
		err := 0.0
		for b, c := range m.counts {
			if c > 0 {
				v := m.center(b)
				d := v - m.grid.fakeQuant(v, q)
				err += float64(c) * d * d
			}
		}
		if err < bestErr {
			best, bestErr = q, err
		}
	}
	return best
}
