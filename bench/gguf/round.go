package gguf

import (
	"math"

	"qpt/internal/num"
)

// Round replaces a row of a matrix by the numbers that a block format of
// llama.cpp makes of it, for comparisons of accuracy; what is missing to a whole block counts as zeros.
// format is "q4_0", "q4_1", "q4_k", "q6_k" or "q8_0", quantized as llama.cpp's
// reference quantizers are described: without importance of the inputs.
func Round(format string, row []float32) {
	f := rounders[format]
	for i := 0; i < len(row); i += f.numbers {
		x := make([]float32, f.numbers)
		n := copy(x, row[i:])
		f.round(x)
		copy(row[i:], x[:n])
	}
}

// Bits is the size of one of k weights of a row: without the codes of padding, but with all scales of padded blocks.
func Bits(format string, k int) float64 {
	f := rounders[format]
	blocks := (k + f.numbers - 1) / f.numbers
	return f.code + f.scales*float64(blocks)/float64(k)
}

// rounders holds for each format its block, bits of a code, and bits of the scales of a block.
var rounders = map[string]struct {
	numbers      int
	code, scales float64
	round        func(x []float32)
}{
	"q4_0": {32, 4, 16, roundQ4_0},
	"q4_1": {32, 4, 32, roundQ4_1},
	"q4_k": {256, 4, 128, roundQ4_K},
	"q6_k": {256, 6, 144, roundQ6_K},
	"q8_0": {32, 8, 16, roundQ8_0},
}

func nearest(x float32) float32 { return float32(num.RoundEven(x)) }

func half(x float32) float32 { return num.FromF16(num.F16(x)) }

func roundQ8_0(x []float32) {
	d := float32(math.Abs(float64(largest(x)))) / 127
	id := inverse(d)
	for i, v := range x {
		x[i] = float32(math.Round(float64(v*id))) * half(d)
	}
}

func roundQ4_0(x []float32) {
	d := largest(x) / -8
	id := inverse(d)
	for i, v := range x {
		x[i] = float32(int(code4(v*id))-8) * half(d)
	}
}

// roundQ4_1: x = d*code + m with m the least number.
func roundQ4_1(x []float32) {
	lo, hi := x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	d := (hi - lo) / 15
	id := inverse(d)
	for i, v := range x {
		c := min(15, float32(int((v-lo)*id+0.5)))
		x[i] = c*half(d) + half(lo)
	}
}

// roundQ4_K: 8 groups of 32, x = d*sc*code - dmin*m, sc and m of 6 bits.
func roundQ4_K(x []float32) {
	var scales, mins [8]float32
	var topScale, topMin float32
	for g := range scales {
		scales[g], mins[g] = fitAffine(x[32*g : 32*g+32])
		topScale, topMin = max(topScale, scales[g]), max(topMin, mins[g])
	}
	d, dmin := half(topScale/63), half(topMin/63)
	for g := range scales {
		step := d * min(63, nearest(63*inverse(topScale)*scales[g]))
		base := dmin * min(63, nearest(63*inverse(topMin)*mins[g]))
		if step == 0 { // its codes are never written: 0
			for i := range x[32*g : 32*g+32] {
				x[32*g+i] = -base
			}
			continue
		}
		for i, v := range x[32*g : 32*g+32] {
			c := min(max(nearest((v+base)/step), 0), 15)
			x[32*g+i] = step*c - base
		}
	}
}

// fitAffine finds scale and minimum >= 0 of codes 0 to 15, x = scale*code - minimum: of 21 first scales,
// codes to nearest and then the pair of least squared error, weighted by rms + |x|.
func fitAffine(x []float32) (scale, minimum float32) {
	var square float32
	lo, hi := x[0], x[0]
	for _, v := range x {
		square += v * v
		lo, hi = min(lo, v), max(hi, v)
	}
	rms := float32(math.Sqrt(float64(square / float32(len(x)))))
	lo = min(lo, 0)
	if hi == lo {
		return 0, -lo
	}
	weight := func(v float32) float32 { return rms + float32(math.Abs(float64(v))) }
	code := func(v, inv float32) float32 { return min(max(nearest(inv*(v-lo)), 0), 15) }
	var sw, sx float32
	for _, v := range x {
		sw += weight(v)
		sx += weight(v) * v
	}
	best := float32(math.Inf(1))
	try := func(inv, s, m float32) {
		var err float32
		for _, v := range x {
			d := s*code(v, inv) + m - v
			err += weight(v) * d * d
		}
		if err < best {
			best, scale, minimum = err, s, -m
		}
	}
	try(15/(hi-lo), (hi-lo)/15, lo)
	for i := range 21 {
		inv := (-1 + 0.1*float32(i) + 15) / (hi - lo)
		var sl, sl2, sxl float32
		for _, v := range x {
			l, w := code(v, inv), weight(v)
			sl += w * l
			sl2 += w * l * l
			sxl += w * l * v
		}
		det := sw*sl2 - sl*sl
		if det <= 0 {
			continue
		}
		s, m := (sw*sxl-sx*sl)/det, (sl2*sx-sl*sxl)/det
		if m > 0 {
			s, m = sxl/sl2, 0
		}
		try(inv, s, m)
	}
	return scale, minimum
}

// roundQ6_K: 16 groups of 16, x = d*sc*code, sc of 8 bits with sign, codes -32 to 31.
func roundQ6_K(x []float32) {
	var scales [16]float32
	for g := range scales {
		scales[g] = fitSymmetric(x[16*g : 16*g+16])
	}
	top := largest(scales[:])
	if math.Abs(float64(top)) < 1e-15 {
		clear(x)
		return
	}
	inv := -128 / top
	d := half(1 / inv)
	for g, s := range scales {
		step := d * min(127, nearest(inv*s))
		for i, v := range x[16*g : 16*g+16] {
			if step == 0 {
				x[16*g+i] = 0
				continue
			}
			x[16*g+i] = step * min(max(nearest(v/step), -32), 31)
		}
	}
}

// fitSymmetric finds the scale of codes -32 to 31: of 19 first scales, codes to
// nearest and then the scale of least squared error, weighted by x^2.
func fitSymmetric(x []float32) (scale float32) {
	top := largest(x)
	if math.Abs(float64(top)) < 1e-15 {
		return 0
	}
	var best float32
	for _, i := range []int{0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9} {
		inv := -(32 + 0.1*float32(i)) / top
		var sxl, sl2 float32
		for _, v := range x {
			l := min(max(nearest(inv*v), -32), 31)
			sxl += v * v * v * l
			sl2 += v * v * l * l
		}
		if sl2 > 0 && sxl*sxl > best*sl2 {
			scale = sxl / sl2
			best = scale * sxl
		}
	}
	return scale
}
