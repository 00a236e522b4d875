package calibrate

import (
	"math"
	"sort"

	"qpt/internal/num"
)

const (
	histBins = 2048
	upsample = 16 // parts of an old bin when the range grows
	dstBins  = 256
)

// histogram counts values between lo and hi; when the range grows, the old
// counts move into the new bins in 16 parts each (PyTorch 2's HistogramObserver).
type histogram struct {
	lo, hi float32
	counts []float32 // [histBins]; nil before the first value
}

// Observe adds a batch.
func (h *histogram) Observe(x []float32) {
	lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range x {
		if num.Finite(v) {
			lo, hi = min(lo, limit(v)), max(hi, limit(v))
		}
	}
	if lo > hi {
		return
	}
	if h.counts == nil {
		h.lo, h.hi, h.counts = lo, hi, make([]float32, histBins)
	}
	if lo, hi := min(h.lo, lo), max(h.hi, hi); lo < h.lo || hi > h.hi {
		h.grow(lo, hi)
	}
	var batch [histBins]int // a float32 cannot count one by one beyond 2^24
	for _, v := range x {
		if num.Finite(v) {
			batch[h.bin(limit(v))]++
		}
	}
	for i, n := range batch {
		h.counts[i] += float32(n)
	}
}

// limit keeps the width of the range a float32.
func limit(v float32) float32 { return min(max(v, -1e38), 1e38) }

// bin is the bin of v; a range of one value has it in the middle, as torch.histc.
func (h *histogram) bin(v float32) int {
	lo, hi := h.lo, h.hi
	if lo == hi {
		lo, hi = lo-1, hi+1
	}
	if hi-lo == 0 { // lo-1 == lo
		return 0
	}
	return min(int((v-lo)/(hi-lo)*histBins), histBins-1)
}

// grow maps the counts onto a wider range.
func (h *histogram) grow(lo, hi float32) {
	old, from := h.counts, *h
	h.lo, h.hi, h.counts = lo, hi, make([]float32, histBins)
	if from.lo == from.hi {
		var sum float32
		for _, c := range old {
			sum += c
		}
		h.counts[h.bin(from.lo)] = sum
		return
	}
	edges := make([]float32, histBins+1)
	for i := range edges {
		edges[i] = linspace(lo, hi, histBins, i)
	}
	half := float32(0.5 * ((from.hi - from.lo) / (histBins * upsample)))
	sums := make([]float64, histBins)
	for i := range histBins * upsample {
		mid := linspace(from.lo, from.hi, histBins*upsample, i) + half
		b := sort.Search(len(edges), func(j int) bool { return edges[j] > mid }) - 1
		sums[min(max(b, 0), histBins-1)] += float64(old[i/upsample] / upsample)
	}
	for i, s := range sums {
		h.counts[i] = float32(s)
	}
}

// linspace is point i of lo..hi in steps steps, counted from the nearer end.
func linspace(lo, hi float32, steps, i int) float32 {
	step := (hi - lo) / float32(steps)
	if i < (steps+1)/2 {
		return lo + float32(step*float32(i))
	}
	return hi - float32(step*float32(steps-i))
}

// center is the middle of bin i.
func (h *histogram) center(i int) float64 {
	lo, hi := float64(h.lo), float64(h.hi)
	if lo == hi {
		return lo
	}
	return lo + (hi-lo)*(float64(i)+0.5)/histBins
}

// outside is the share of the values below lo or above hi, those of a
// bin being spread evenly over it, to seven digits.
func (h *histogram) outside(lo, hi float64) float64 {
	width := (float64(h.hi) - float64(h.lo)) / histBins
	var out, all float64
	for i, c := range h.counts {
		a := float64(h.lo) + width*float64(i)
		cut := max(lo-a, 0) + max(a+width-hi, 0)
		if cut > 0 { // width may be 0
			out += float64(c) * min(cut/width, 1)
		}
		all += float64(c)
	}
	return math.Round(out/max(all, 1)*1e7) / 1e7
}

// Histogram narrows the range while that lessens the L2 error of 256 levels,
// by PyTorch's search.
type Histogram struct {
	histogram
	grid Grid
}

// NewHistogram returns PyTorch's default observer for activations.
func NewHistogram(g Grid) *Histogram { return &Histogram{grid: g} }

// QParams searches the range.
func (h *Histogram) QParams() QParams {
	if h.counts == nil {
		return h.grid.QParams(1, 0)
	}
	lo, hi := h.search()
	return h.grid.QParams(lo, hi)
}

// search moves the edge that skips more bins by quantiles of 1e-5 until the error grows.
func (h *Histogram) search() (lo, hi float32) {
	const step = 1e-5
	cum := make([]float32, histBins)
	sum := 0.0
	for i, c := range h.counts {
		sum += float64(c)
		cum[i] = float32(sum)
	}
	total := float64(float32(sum))
	start, end := 0, histBins-1
	best := math.Inf(1)
	for alpha, beta := 0.0, 1.0; alpha < beta; {
		l, r := start, end
		for l < end && cum[l] < float32((alpha+step)*total) {
			l++
		}
		for r > start && cum[r] > float32((beta-step)*total) {
			r--
		}
		s, e := start, end
		if l-start > end-r {
			s, alpha = l, alpha+step
		} else {
			e, beta = r, beta-step
		}
		if s == start && e == end {
			continue
		}
		err := h.errorOf(s, e)
		if err > best {
			break
		}
		best, start, end = err, s, e
	}
	width := (h.hi - h.lo) / histBins
	return h.lo + float32(width*float32(start)), h.lo + float32(width*float32(end+1))
}

// errorOf is the squared error of 256 levels over bins start..end, the values of a
// bin being spread evenly over it: the integral of d^2 is (e^3-b^3)/3.
func (h *Histogram) errorOf(start, end int) float64 {
	width := (float64(h.hi) - float64(h.lo)) / histBins
	dst := width * float64(end-start+1) / dstBins
	if dst == 0 {
		return 0
	}
	w, d := float32(width), float32(dst)
	half := float32(dst / 2)
	level := func(x float32) float32 { return min(max(floorDiv(x, d), 0), dstBins-1) }
	cube := func(b, e float32) float32 { return (float32(float32(e*e)*e) - float32(float32(b*b)*b)) / 3 }
	middle := cube(-half, half)
	sum := 0.0
	for i, c := range h.counts {
		if c == 0 {
			continue
		}
		begin := float32(i-start) * w
		stop := begin + w
		a, z := level(begin), level(stop)
		density := c / w
		n := density * cube(begin-float32((a+0.5)*d), half)
		n += (z - a - 1) * float32(density*middle)
		n += density * cube(-half, stop-(float32(z*d)+half))
		sum += float64(n)
	}
	return sum
}

// floorDiv is Python's float32 floor division for b > 0, |a/b| < 2^28.
func floorDiv(a, b float32) float32 {
	x, y := float64(a), float64(b)
	m := x - float64(math.Trunc(x/y)*y) // math.Mod: the product is exact
	if m != 0 && m < 0 != (x < 0) {     // the quotient was rounded up to a whole number
		m += math.Copysign(y, x)
	}
	mod := float32(m)
	div := (a - mod) / b
	if mod != 0 && mod < 0 {
		div--
	}
	f := float32(math.Floor(float64(div)))
	if div-f > 0.5 {
		f++
	}
	return f
}
