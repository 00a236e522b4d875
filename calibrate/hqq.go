package calibrate

import (
	"math"

	"qpt/kernels/linear"
)

// HQQ (Badri and Shaji, 2023, "Half-Quadratic Quantization") chooses a group's zero
// without data, so that sum |w - q|^p is least, p = 0.7: a norm that forgives the outliers, whose errors are
// large whatever is done, and looks at the bulk. It moves a fractional zero by half-quadratic steps. Zeros are
// integers here, so all are tried; steps rounded at the end are no better (doc.go), and seldom end at the least. The
// gscale stays what the search for least squares made it: if the norm chose it too, it would cut outliers off.

// power returns |x|^0.7 to 22 bits or so, with the same bits on every machine:
// for |x| = m 2^e the product of two tables, linear between the entries of the first.
func power(x float32) float32 {
	b := math.Float32bits(x) &^ (1 << 31)
	i := b >> 15 & 0xff
	m := mantissas[i]
	m += float32((mantissas[i+1] - m) * float32(float32(b&0x7fff)*0x1p-15))
	return float32(m * exponents[b>>23])
}

var (
	mantissas [257]float32 // (1 + i/256)^0.7
	exponents [256]float32 // 2^(0.7 (e-127)); 0 for e = 0
)

func init() {
	for i := range mantissas {
		mantissas[i] = float32(power64(1 + float64(i)/256))
	}
	step := power64(2)
	up, down := 1.0, 1.0
	for e := range 128 {
		exponents[127+e] = float32(up)
		if e < 127 {
			exponents[127-e] = float32(down)
		}
		up, down = up*step, down/step
	}
}

// power64 is x^0.7 by square roots, which are exactly rounded: 0.7 = 0.10110011001.. in binary.
func power64(x float64) float64 {
	y, share := 1.0, 0.7
	for range 52 {
		x = math.Sqrt(x)
		if share *= 2; share >= 1 {
			share--
			y *= x
		}
	}
	return y
}

// Nearest rounds rows [N][K] without calibration data, groups by HQQ.
// Rows do not depend on each other.
func Nearest(rows []float32, k int, t Target) *linear.Weight {
	j := job{w: rowsOf(rows, k), k: k, format: t.Format, group: t.Group, hqq: true, threads: 1}
	return j.round()
}
