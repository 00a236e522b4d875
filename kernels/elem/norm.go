package elem

import "math"

// RMSNorm is one row of dst = x / sqrt(mean(x^2) + eps) * (w + offset). dst
// may be x.
//
// Order (numerics N6.4): 16 lanes, lane i sums x[16j+i]^2 in float32, multiply then
// add; lane i += lane i+8, then 4, 2, 1; the root in float64, rounded once;
// then x*inv, then times w+offset.
func RMSNorm(dst, x, w []float32, eps float64, offset float32) {
	checkSame(len(dst), len(x), len(w))
	if len(x) == 0 {
		return
	}
	inv := float32(1 / math.Sqrt(float64(active().sumSquares(x))/float64(len(x))+eps))
	active().normRow(dst, x, w, inv, offset)
}

// FoldLanes adds 16 lanes: i and i+8, then 4, 2, 1 apart.
func FoldLanes(lane *[16]float32) float32 {
	for n := 8; n > 0; n /= 2 {
		for i := range n {
			lane[i] += lane[i+n]
		}
	}
	return lane[0]
}

func normRowGeneric(dst, x, w []float32, inv, offset float32) {
	for i, v := range x {
		dst[i] = float32(v*inv) * (w[i] + offset)
	}
}
