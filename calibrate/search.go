package calibrate

import (
	"cmp"
	"math"
	"slices"

	"qpt/internal/par"
	"qpt/kernels/linear"
)

// The channel scales of AWQ (arXiv 2306.00978) and SmoothQuant (arXiv
// 2211.10438) are one family: input k is divided by
//
//	s[k] = rms(x[k])^a / max|W[:, k]|^b,
//
// a = b = 1/2 is SmoothQuant's, b = 0 AWQ's. searchScales tries a grid of (a, b), rounds a
// sample of rows for each and keeps the pair of least error of the layers'
// outputs: of the weights, (w-q) H (w-q)^T, plus that of the activations as the scheme rounds them.

// layer is one reader of a site in the search.
type layer struct {
	w      matrix // [N][K] target
	format linear.Format
	group  int
	form   linear.ActForm
}

// worthwhile is the error that scales must fall below, as a share of the error
// without: on models without outliers smaller gains do not carry over to new text.
const worthwhile = 0.9

// DefaultAlpha and DefaultBeta are the exponents a and b of channel scales that are tried.
var (
	DefaultAlpha = []float64{0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1}
	DefaultBeta  = []float64{0, 0.25, 0.5, 0.75, 1}
)

// The search rounds scoutRows rows of each layer for every pair, and searchRows for 1 and the searchBest pairs that those like best.
const (
	scoutRows  = 8
	searchRows = 32
	searchBest = 6
)

// searchScales returns s [K], or nil when 1 is best; x is a sample of inputs.
func (c *calibration) searchScales(t *site, m *moments, x matrix, of columns, ut matrix, layers []layer) []float32 {
	k := t.k
	rms, wmax := make([]float64, k), make([]float64, k)
	for i := range k {
		rms[i] = float64(m.h[i][i])
	}
	for _, l := range layers {
		for _, row := range l.w {
			for i, v := range row {
				wmax[i] = max(wmax[i], math.Abs(float64(v)))
			}
		}
	}
	if t.from != nil { // inputs that come from one row share a scale
		sum, count, top := make([]float64, t.width), make([]float64, t.width), make([]float64, t.width)
		for i, r := range t.from {
			sum[r] += rms[i]
			count[r]++
			top[r] = max(top[r], wmax[i])
		}
		for i, r := range t.from {
			rms[i], wmax[i] = sum[r]/count[r], top[r]
		}
	}
	candidates := [][]float32{nil}
	for _, b := range c.opt.Beta {
		for _, a := range c.opt.Alpha {
			if a == 0 && b == 0 {
				continue
			}
			s := make([]float32, k)
			lo, hi := math.Inf(1), 0.0
			for i := range k {
				v := math.Pow(max(math.Sqrt(rms[i]), 1e-8), a) / math.Pow(max(wmax[i], 1e-8), b)
				s[i] = float32(v)
				lo, hi = min(lo, v), max(hi, v)
			}
			mid := float32(math.Sqrt(lo * hi))
			for i := range s {
				s[i] = min(max(s[i]/mid, 1e-4), 1e4)
			}
			candidates = append(candidates, s)
		}
	}
	errors := func(rows int, candidates [][]float32) []float64 {
		sample := sampled(layers, rows)
		n := len(sample)
		each, errs, steps := make([]float64, len(candidates)*n), make([]float64, len(candidates)), make([]float64, len(candidates))
		if slices.ContainsFunc(layers, func(l layer) bool { return l.form == linear.A8 }) {
			par.For(c.opt.Threads, len(steps), func(_, i int) { steps[i] = rowStep(x, candidates[i]) })
		}
		par.For(c.opt.Threads, len(each), func(_, i int) { each[i] = c.outputError(sample[i%n], candidates[i/n], steps[i/n], m, of, ut) })
		for i, err := range each {
			errs[i/n] += err
		}
		return errs
	}
	if n := 1 + searchBest; len(candidates) > n {
		errs := errors(scoutRows, candidates)
		order := make([]int, len(candidates)-1)
		for i := range order {
			order[i] = i + 1
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(errs[a], errs[b]) })
		list := candidates[:1:1]
		for _, i := range order[:searchBest] {
			list = append(list, candidates[i])
		}
		candidates = list
	}
	errs := errors(searchRows, candidates)
	best, bestErr := 0, worthwhile*errs[0]
	for i, err := range errs {
		if err < bestErr {
			best, bestErr = i, err
		}
	}
	return candidates[best]
}

// sampled is the layers with so many rows each, spread evenly.
func sampled(layers []layer, rows int) []layer {
	sample := slices.Clone(layers)
	for i := range sample {
		l := &sample[i]
		all := l.w
		l.w = nil
		for r, n := 0, min(len(all), rows); r < n; r++ {
			l.w = append(l.w, all[r*len(all)/n])
		}
	}
	return sample
}

// outputError rounds a layer scaled by s and returns the mean squared error of its outputs; step is rowStep.
func (c *calibration) outputError(l layer, s []float32, step float64, m *moments, of columns, ut matrix) (total float64) {
	w := linear.NewWeight(l.format, len(l.w), m.k, l.group)
	c.job(l, s, m, of, ut, 0).rows(w, 0, len(l.w))
	d := dequantize(w)
	norm := 0.0
	for n, row := range d {
		for i, v := range row {
			norm += float64(float64(v) * float64(v))
			if s != nil { // back to the coordinates of H
				v /= s[i]
			}
			row[i] = l.w[n][i] - v
		}
	}
	hd := newMatrix(len(d), m.k)
	addProduct(hd, d, m.h, 1)
	for n, row := range d {
		for i, v := range row {
			total += float64(float64(v) * float64(hd[n][i]))
		}
	}
	if l.form == linear.A8 {
		total += float64(step * norm)
	}
	return total
}

// rowStep is the mean square of what rounding to int8 does to a value of the rows x over s (nil: 1): step^2 / 12, averaged over rows.
func rowStep(x matrix, s []float32) (square float64) {
	for _, row := range x {
		top := float32(0)
		for i, v := range row {
			if s != nil {
				v /= s[i]
			}
			if v = float32(math.Abs(float64(v))); v > top {
				top = v
			}
		}
		square += float64(top) * float64(top) / 127 / 127 / 12 / float64(len(x))
	}
	return square
}

// job is the rounding of a layer whose columns are multiplied by s (nil: 1).
func (c *calibration) job(l layer, s []float32, m *moments, of columns, ut matrix, sweeps int) *job {
	return &job{w: l.w, k: m.k, format: l.format, group: l.group, diag: m.diag(), s: s, columns: of, ut: ut, h: m.h, clip: c.opt.Clip, hqq: c.opt.HQQ, sweeps: sweeps, threads: c.opt.Threads}
}

// dequantize returns the values [N][K] of a packed weight.
func dequantize(w *linear.Weight) matrix {
	data := make([]float32, w.N*w.K)
	Dequantize(data, w, 0, w.N)
	return rowsOf(data, w.K)
}

// Dequantize sets dst [r1-r0, K] to rows r0 to r1-1 of a packed weight (I8 or I4).
func Dequantize(dst []float32, w *linear.Weight, r0, r1 int) {
	codes := make([]int8, w.K)
	for n := r0; n < r1; n++ {
		linear.Row(w, n, codes)
		row := dst[(n-r0)*w.K:][:w.K]
		for k, c := range codes {
			row[k] = float32(c) * w.Scale[n]
		}
		for i, k := range w.Wild {
			row[k] = w.WildData[w.WildAt(n, i)]
		}
	}
}
