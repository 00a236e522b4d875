package calibrate

import "math"

// A value of one place, such as the means of a global pool, has as many numbers a channel as there are rows of calibration data: the extremes of so few say little
// of the next row's. If there are fewer than fewNumbers, the range holds so many standard deviations beside the mean of each channel. Larger ones
// are better where a range was too narrow (MobileNetV3, DenseNet), and cost what a wider step costs where it was not (docs/vision.md).
const (
	spreads    = 4
	fewNumbers = 100
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

// widen is q with the range that the channels demand; what was never below 0 stays so.
func (s *spread) widen(q QParams, least float32) QParams {
	lo, hi := float64(q.Scale)*float64(int32(s.grid.QMin)-q.Zero), float64(q.Scale)*float64(int32(s.grid.QMax)-q.Zero)
	for c, sum := range s.sum {
		mean := sum / float64(max(s.n, 1))
		d := spreads * math.Sqrt(max(s.square[c]/float64(max(s.n, 1))-mean*mean, 0))
		lo, hi = min(lo, mean-d), max(hi, mean+d)
	}
	if least >= 0 {
		lo = max(lo, 0)
	}
	return s.grid.QParams(float32(lo), float32(hi))
}
