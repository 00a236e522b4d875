package calibrate

import "math"

// Entropy picks the magnitude whose quantized distribution has the least
// Kullback-Leibler divergence from the one seen (TensorRT's and ONNX Runtime's rule).
type Entropy struct {
	histogram
	grid Grid
}

// NewEntropy tries magnitudes in steps of 1/2048 of the greatest.
func NewEntropy(g Grid) *Entropy { return &Entropy{grid: g} }

// QParams searches; for an asymmetric grid the range is also cut to the extremes seen.
func (e *Entropy) QParams() QParams {
	if e.counts == nil {
		return e.grid.QParams(1, 0)
	}
	const levels = dstBins / 2 // of |x|
	mag, width := e.magnitudes(histBins)
	best, bestKL := histBins, math.Inf(1)
	tail := 0.0
	var tails [histBins + 1]float64 // counts from bin i on
	for i := histBins - 1; i >= 0; i-- {
		tail += mag[i]
		tails[i] = tail
	}
	for n := levels; n <= histBins; n += 4 {
		if kl := divergence(mag[:n], tails[n], levels); kl < bestKL {
			best, bestKL = n, kl
		}
	}
	a := float32(width * float64(best))
	if e.grid.Symmetric {
		return e.grid.QParams(-a, a)
	}
	return e.grid.QParams(max(-a, e.lo), min(a, e.hi))
}

// divergence is KL(p || q): p is the counts with the cut ones added to the
// last bin, q the counts averaged over each level's bins that are not empty.
func divergence(counts []float64, cut float64, levels int) float64 {
	n := len(counts)
	var q []float64
	for l := range levels {
		a, b := n*l/levels, n*(l+1)/levels
		sum, used := 0.0, 0
		for _, c := range counts[a:b] {
			sum += c
			if c > 0 {
				used++
			}
		}
		for _, c := range counts[a:b] {
			if c > 0 {
				c = sum / float64(used)
			}
			q = append(q, c)
		}
	}
	var sp, sq float64
	for i, c := range counts {
		sp += c
		sq += q[i]
	}
	sp += cut
	const eps = 1e-4 // an empty bin of q under a full one of p costs much, not everything
	kl := 0.0
	for i, c := range counts {
		if i == n-1 {
			c += cut
		}
		if c > 0 {
			kl += c / sp * math.Log(c/sp/max(q[i]/max(sq, 1e-300), eps/float64(n)))
		}
	}
	return kl
}
