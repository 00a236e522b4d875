package diff

import "math"

// histBins is the resolution of a Histogram: 512 bins on each side of zero.
const histBins = 1024

// Histogram counts values in equal bins over [-R, R], R a power of two. It
// needs no range beforehand: a value outside doubles R and joins the bins in
// pairs, so the counts are those of a histogram made for the final R. Order
// does not matter.
type Histogram struct {
	r      float64 // R, 0 while only zeros were seen
	counts [histBins]int64
	zeros  int64 // apart, as they are between two bins
	n      int64
}

// Add counts values; NaN and Inf are left out.
func (h *Histogram) Add(values []float32) {
	for _, v := range values {
		x := float64(v)
		a := math.Abs(x)
		if !(a <= math.MaxFloat32) {
			continue
		}
		h.n++
		if a == 0 {
			h.zeros++
			continue
		}
		if h.r == 0 {
			_, e := math.Frexp(a)
			h.r = math.Ldexp(1, e) // a < R
		}
		for a >= h.r {
			h.double()
		}
		h.counts[int((x/h.r+1)*(histBins/2))]++
	}
}

func (h *Histogram) double() {
	var wide [histBins]int64
	for i, c := range h.counts {
		wide[histBins/4+i/2] += c
	}
	h.counts, h.r = wide, 2*h.r
}

// N is the number of values.
func (h *Histogram) N() int64 { return h.n }

// Bins returns the counts of histograms in at most n equal bins, n even, over
// one [-limit, limit], limit being the least power of two, or three quarters of
// it, that covers all values. Half of the zeros count as just below zero, so
// that weights quantized to 0 do not look lopsided.
func Bins(n int, list ...*Histogram) (limit float64, counts [][]int64) {
	var r float64
	for _, h := range list {
		r = max(r, h.r)
	}
	same := make([]Histogram, len(list))
	edge := 0 // bins from the middle outwards in use
	for i, h := range list {
		c := &same[i]
		*c = *h
		if c.r == 0 {
			c.r = r
		}
		for c.r < r {
			c.double()
		}
		c.counts[histBins/2-1] += c.zeros / 2
		c.counts[histBins/2] += c.zeros - c.zeros/2
		for j, v := range c.counts {
			if v > 0 {
				edge = max(edge, histBins/2-j, j-histBins/2+1)
			}
		}
	}
	half := histBins / 2 // bins shown on each side
	if edge <= half*3/4 {
		half = half * 3 / 4
	}
	per := (2*half + n - 1) / n
	for half%per != 0 { // zero is an edge between bins
		per++
	}
	for i := range same {
		c := make([]int64, 2*half/per)
		for j := range 2 * half {
			c[j/per] += same[i].counts[histBins/2-half+j]
		}
		counts = append(counts, c)
	}
	return r * float64(half) / (histBins / 2), counts
}

// LogBins counts positive values in perDecade equal steps of log10: bin i
// holds 10^(first + i/perDecade) and up. Values below 10^floor, zero too, are
// counted in under, NaN nowhere.
func LogBins(values []float64, floor, perDecade int) (first float64, counts []int, under int) {
	lowest, highest := math.MaxInt, math.MinInt
	bins := map[int]int{}
	for _, v := range values {
		if math.IsNaN(v) {
			continue
		}
		if v < math.Pow10(floor) {
			under++
			continue
		}
		b := int(math.Floor(math.Log10(min(v, math.MaxFloat64)) * float64(perDecade)))
		bins[b]++
		lowest, highest = min(lowest, b), max(highest, b)
	}
	if len(bins) == 0 {
		return float64(floor), nil, under
	}
	counts = make([]int, highest-lowest+1)
	for b, c := range bins {
		counts[b-lowest] = c
	}
	return float64(lowest) / float64(perDecade), counts, under
}
