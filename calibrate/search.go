package calibrate

import (
	"math"

	"qpt/kernels"
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
	w      []float32 // [N, K] target
	n      int
	format kernels.Format
	group  int
	form   kernels.ActForm
}

// worthwhile is the error that scales must fall below, as a share of the error
// without: on models without outliers smaller gains do not carry over to new text.
const worthwhile = 0.9

// searchRows is how many rows of each layer the search rounds.
const searchRows = 32

// searchScales returns s [K], or nil when 1 is best.
func (c *calibration) searchScales(t *site, m *moments, x [][]float32, u []float32, layers []layer) []float32 {
	k := t.k
	rms, wmax := make([]float64, k), make([]float64, k)
	for i := range k {
		rms[i] = m.xx[i*k+i]
	}
	for _, l := range layers {
		for i, v := range l.w {
			wmax[i%k] = max(wmax[i%k], math.Abs(float64(v)))
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
	// A sample of rows, and of tokens for the activations' own error.
	var sample []layer
	for _, l := range layers {
		r := min(l.n, searchRows)
		rows := make([]float32, 0, r*k)
		for i := range r {
			n := i * l.n / r
			rows = append(rows, l.w[n*k:(n+1)*k]...)
		}
		sample = append(sample, layer{w: rows, n: r, format: l.format, group: l.group, form: l.form})
	}
	tokens := make([][]float32, 0, 256)
	for i := range min(len(x), 256) {
		tokens = append(tokens, x[i*len(x)/min(len(x), 256)])
	}
	best, bestErr := []float32(nil), worthwhile*c.outputError(sample, nil, m, u, tokens)
	for _, b := range []float64{0, 0.25, 0.5, 0.75, 1} {
		for a := 0.0; a <= 1; a += 0.125 {
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
			if err := c.outputError(sample, s, m, u, tokens); err < bestErr {
				best, bestErr = s, err
			}
		}
	}
	return best
}

// outputError rounds the layers scaled by s and returns the mean squared error of their outputs.
func (c *calibration) outputError(layers []layer, s []float32, m *moments, u []float32, x [][]float32) float64 {
	k := m.k
	total := 0.0
	act := 0.0 // step^2 / 12, averaged over tokens
	for _, row := range x {
		top := float32(0)
		for i, v := range row {
			if s != nil {
				v /= s[i]
			}
			top = max(top, v, -v)
		}
		act += float64(top) * float64(top) / 127 / 127 / 12 / float64(len(x))
	}
	for _, l := range layers {
		j := c.job(l, s, m, u, 0)
		w, got := j.w, dequantize(j.round())
		d := make([]float64, k)
		for n := range l.n {
			norm := 0.0
			for i := range k {
				d[i] = float64(w[n*k+i] - got[n*k+i])
				norm += float64(float64(got[n*k+i]) * float64(got[n*k+i]))
				if s != nil { // back to the coordinates of H
					d[i] /= float64(s[i])
				}
			}
			for i := range k {
				total += float64(d[i] * dot(m.xx[i*k:(i+1)*k], d))
			}
			if l.form == kernels.A8 {
				total += float64(act * norm)
			}
		}
	}
	return total
}

// job is the rounding of a layer whose columns are multiplied by s (nil: 1):
// H becomes H / (s s^T), so U becomes U * s along its columns.
func (c *calibration) job(l layer, s []float32, m *moments, u []float32, sweeps int) *job {
	k := m.k
	j := &job{w: l.w, n: l.n, k: k, format: l.format, group: l.group, diag: m.diag(), u: u, sweeps: sweeps, threads: c.opt.Threads}
	if sweeps > 0 {
		j.h = make([]float32, k*k)
		for i, v := range m.xx {
			j.h[i] = float32(v)
		}
	}
	if s == nil {
		return j
	}
	j.w = make([]float32, len(l.w))
	for i, v := range l.w {
		j.w[i] = v * s[i%k]
	}
	for i := range k {
		j.diag[i] /= s[i] * s[i]
	}
	if u != nil {
		j.u = make([]float32, k*k)
		for i, v := range u {
			j.u[i] = v * s[i%k]
		}
	}
	for i := range j.h {
		j.h[i] /= s[i/k] * s[i%k]
	}
	return j
}

// dequantize returns the values [N, K] of a packed weight.
func dequantize(w *kernels.Weight) []float32 {
	out := make([]float32, w.N*w.K)
	codes := make([]int8, w.K)
	for n := range w.N {
		kernels.Row(w, n, codes)
		for k, c := range codes {
			out[n*w.K+k] = float32(c) * w.Scale[n]
		}
	}
	return out
}
