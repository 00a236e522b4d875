package elem

import "math"

// minusZero added changes no number, -0 not either.
var minusZero = float32(math.Copysign(0, -1))

// LayerNorm is one row of dst = (x - mean) / sqrt(variance + eps) * w + b. w or b may be nil; dst
// may be x.
//
// Order (numerics N6.4): the sum of x in 16 lanes as for RMSNorm; mean = sum/n in float64, rounded once;
// d = x - mean; the sum of d^2 in 16 lanes; inv = 1/sqrt(sum/n + eps) in float64, rounded once; (d*inv)*w + b.
func LayerNorm(dst, x, w, b []float32, eps float64) {
	n := len(x)
	checkSame(len(dst), n, n)
	if w != nil {
		checkSame(n, len(w), n)
	}
	if b != nil {
		checkSame(n, len(b), n)
	}
	if n == 0 {
		return
	}
	l := active()
	if l.layerNorm != nil && w != nil && b != nil {
		l.layerNorm(dst, x, w, b, eps)
		return
	}
	l.minus(dst, x, float32(float64(l.sum(x))/float64(n)))
	inv := float32(1 / math.Sqrt(float64(l.sumSquares(dst))/float64(n)+eps))
	if w == nil {
		l.times(dst, dst, inv)
	} else {
		l.normRow(dst, dst, w, inv, minusZero)
	}
	if b != nil {
		l.add(dst, dst, b)
	}
}

// Times is dst = x * s. dst may be x.
func Times(dst, x []float32, s float32) {
	checkSame(len(dst), len(x), len(x))
	if len(x) > 0 {
		active().times(dst, x, s)
	}
}

// Softmax is one row of dst = exp(x - max(x)) / sum(exp(x - max(x))). dst may be x.
//
// Order (numerics N6.4): e = exp(x - max) as in elem.go, their sum in 16 lanes as for RMSNorm, e / sum.
// A row with NaN or +Inf, or of -Inf alone, becomes NaN.
func Softmax(dst, x []float32) {
	checkSame(len(dst), len(x), len(x))
	if len(x) == 0 {
		return
	}
	l := active()
	l.over(dst, dst, l.expSum(dst, x, l.top(x)))
}

// A sum over a row has 16 lanes, lane i those of places 16j+i in order; see FoldLanes.

func sumLanes(lane *[16]float32, x []float32) {
	for i, v := range x {
		lane[i&15] += v
	}
}

func squareLanes(lane *[16]float32, x []float32) {
	for i, v := range x {
		lane[i&15] += float32(v * v)
	}
}

// expLanes: dst = exp(x - top), added to the lanes.
func expLanes(lane *[16]float32, dst, x []float32, top float32) {
	for i, v := range x {
		dst[i] = exp32(v - top)
		lane[i&15] += dst[i]
	}
}

func sumGeneric(x []float32) float32 {
	var lane [16]float32
	sumLanes(&lane, x)
	return FoldLanes(&lane)
}

func sumSquaresGeneric(x []float32) float32 {
	var lane [16]float32
	squareLanes(&lane, x)
	return FoldLanes(&lane)
}

func expSumGeneric(dst, x []float32, top float32) float32 {
	var lane [16]float32
	expLanes(&lane, dst, x, top)
	return FoldLanes(&lane)
}

// topGeneric returns the largest of a row, which is not empty; NaNs count only in the first place.
func topGeneric(x []float32) float32 {
	top := x[0]
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

func minusGeneric(dst, x []float32, s float32) {
	for i, v := range x {
		dst[i] = v - s
	}
}

func timesGeneric(dst, x []float32, s float32) {
	for i, v := range x {
		dst[i] = v * s
	}
}

func overGeneric(dst, x []float32, s float32) {
	for i, v := range x {
		dst[i] = v / s
	}
}
