package calibrate

import "math"

// A value of one place, such as the means of a global pool, has as many numbers a channel as there are rows of calibration data: the extremes of so few say little
// of the next row's. If there are fewer than fewNumbers, the range is that of least expected error for numbers that are spread about the mean of each channel as a
// Gaussian's: between what the observer chose and mostDeviations beside every mean, of which it tries rangeSteps at each end.
const (
	mostDeviations = 6
	rangeSteps     = 24
	fewNumbers     = 100
)

// spread is the mean and deviation of each channel.
type spread struct {
	grid        Grid
	sum, square []float64
	n           int // of a channel
}

func newSpread(g Grid, channels int) *spread {
	return &spread{grid: g, sum: make([]float64, channels), square: make([]float64, channels)}
}

func (s *spread) observe(x []float32) {
	for i, v := range x {
		c := i % len(s.sum)
		s.sum[c] += float64(v)
		s.square[c] += float64(v) * float64(v)
	}
	s.n += len(x) / len(s.sum)
}

// widen is q with the range of least expected error; what was never below 0 stays so.
func (s *spread) widen(q QParams, least float32) QParams {
	lo, hi := float64(q.Scale)*float64(int32(s.grid.QMin)-q.Zero), float64(q.Scale)*float64(int32(s.grid.QMax)-q.Zero)
	n := float64(max(s.n, 2))
	mean, dev := make([]float64, len(s.sum)), make([]float64, len(s.sum))
	from, to := lo, hi
	for c, sum := range s.sum {
		mean[c] = sum / n
		dev[c] = math.Sqrt(max(s.square[c]-n*mean[c]*mean[c], 0) / (n - 1) * (1 + 1/n)) // of one more number
		from, to = min(from, mean[c]-mostDeviations*dev[c]), max(to, mean[c]+mostDeviations*dev[c])
	}
	if least >= 0 {
		from = lo
	}
	// beyond is the mean square of what is cut off above x, or below it with sign -1
	beyond := func(x, sign float64) (e float64) {
		for c, d := range dev {
			if d > 0 {
				z := sign * (x - mean[c]) / d
				e += d * d * ((1+z*z)*math.Erfc(z/math.Sqrt2)/2 - z*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi))
			}
		}
		return e / float64(len(dev))
	}
	var below, above [rangeSteps + 1]float64
	at := func(a, b float64, i int) float64 { return a + (b-a)*float64(i)/rangeSteps }
	for i := range below {
		below[i], above[i] = beyond(at(lo, from, i), -1), beyond(at(hi, to, i), 1)
	}
	best, bestLo, bestHi := math.Inf(1), lo, hi
	for i := range below {
		for j := range above {
			l, h := at(lo, from, i), at(hi, to, j)
			step := (h - l) / float64(s.grid.QMax-s.grid.QMin)
			if e := step*step/12 + below[i] + above[j]; e < best {
				best, bestLo, bestHi = e, l, h
			}
		}
	}
	return s.grid.QParams(float32(bestLo), float32(bestHi))
}
