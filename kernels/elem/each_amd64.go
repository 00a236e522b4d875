//go:build !purego

package elem

// each8 puts what each_avx2_amd64.s has into a level.
func (v *level) each8() {
	for i, f := range []func(dst, x *float32, n int){expAVX2, sigmoidAVX2, siluAVX2, geluAVX2, geluTanhAVX2, quickGELUAVX2, tanhAVX2, reluAVX2, relu2AVX2,
		negAVX2, relu6AVX2, hardswishAVX2, hardsigmoidAVX2, absAVX2, sqrtAVX2, rsqrtAVX2} {
		twin := v.unary[i]
		v.unary[i] = func(dst, x []float32) {
			if n := len(x) &^ 7; n > 0 {
				f(&dst[0], &x[0], n)
				dst, x = dst[n:], x[n:]
			}
			twin(dst, x)
		}
	}
	for i, f := range []func(dst, a, b *float32, n, sa, sb int){addStepsAVX2, subStepsAVX2, mulStepsAVX2, divStepsAVX2} {
		twin := v.binary[i]
		v.binary[i] = func(dst, a, b []float32) {
			if n := len(dst) &^ 7; n > 0 {
				f(&dst[0], &a[0], &b[0], n, 32*step(a), 32*step(b))
				dst, a, b = dst[n:], a[n*step(a):], b[n*step(b):]
			}
			twin(dst, a, b)
		}
	}
	v.mul = v.binary[fnMul]
	v.minus = func(dst, x []float32, s float32) {
		if n := len(x) &^ 7; n > 0 {
			subStepsAVX2(&dst[0], &x[0], &s, n, 32, 0)
			dst, x = dst[n:], x[n:]
		}
		minusGeneric(dst, x, s)
	}
	v.times = func(dst, x []float32, s float32) {
		if n := len(x) &^ 7; n > 0 {
			mulStepsAVX2(&dst[0], &x[0], &s, n, 32, 0)
			dst, x = dst[n:], x[n:]
		}
		timesGeneric(dst, x, s)
	}
	v.over = func(dst, x []float32, s float32) {
		if n := len(x) &^ 7; n > 0 {
			divStepsAVX2(&dst[0], &x[0], &s, n, 32, 0)
			dst, x = dst[n:], x[n:]
		}
		overGeneric(dst, x, s)
	}
	v.sum = func(x []float32) float32 {
		var lane [16]float32
		if n := len(x) &^ 15; n > 0 {
			sumAVX2(&x[0], n, &lane[0])
			x = x[n:]
		}
		sumLanes(&lane, x)
		return FoldLanes(&lane)
	}
	v.sumSquares = func(x []float32) float32 {
		var lane [16]float32
		if n := len(x) &^ 15; n > 0 {
			sumSquaresAVX2(&x[0], n, &lane[0])
			x = x[n:]
		}
		squareLanes(&lane, x)
		return FoldLanes(&lane)
	}
	v.expSum = func(dst, x []float32, top float32) float32 {
		var lane [16]float32
		if n := len(x) &^ 15; n > 0 {
			expSumAVX2(&dst[0], &x[0], n, &lane[0], top)
			dst, x = dst[n:], x[n:]
		}
		expLanes(&lane, dst, x, top)
		return FoldLanes(&lane)
	}
	v.top = func(x []float32) float32 {
		n := len(x) &^ 7
		if n == 0 {
			return topGeneric(x)
		}
		top := topAVX2(&x[0], n)
		for _, v := range x[n:] {
			if v > top {
				top = v
			}
		}
		return top
	}
	v.normRow = func(dst, x, w []float32, inv, offset float32) {
		if n := len(x) &^ 7; n > 0 {
			normRowAVX2(&dst[0], &x[0], &w[0], n, inv, offset)
			dst, x, w = dst[n:], x[n:], w[n:]
		}
		normRowGeneric(dst, x, w, inv, offset)
	}
}

//go:noescape
func expAVX2(dst, x *float32, n int)

//go:noescape
func sigmoidAVX2(dst, x *float32, n int)

//go:noescape
func siluAVX2(dst, x *float32, n int)

//go:noescape
func geluAVX2(dst, x *float32, n int)

//go:noescape
func geluTanhAVX2(dst, x *float32, n int)

//go:noescape
func quickGELUAVX2(dst, x *float32, n int)

//go:noescape
func tanhAVX2(dst, x *float32, n int)

//go:noescape
func reluAVX2(dst, x *float32, n int)

//go:noescape
func relu2AVX2(dst, x *float32, n int)

//go:noescape
func negAVX2(dst, x *float32, n int)

//go:noescape
func relu6AVX2(dst, x *float32, n int)

//go:noescape
func hardswishAVX2(dst, x *float32, n int)

//go:noescape
func hardsigmoidAVX2(dst, x *float32, n int)

//go:noescape
func absAVX2(dst, x *float32, n int)

//go:noescape
func sqrtAVX2(dst, x *float32, n int)

//go:noescape
func rsqrtAVX2(dst, x *float32, n int)

//go:noescape
func addStepsAVX2(dst, a, b *float32, n, sa, sb int)

//go:noescape
func subStepsAVX2(dst, a, b *float32, n, sa, sb int)

//go:noescape
func mulStepsAVX2(dst, a, b *float32, n, sa, sb int)

//go:noescape
func divStepsAVX2(dst, a, b *float32, n, sa, sb int)

//go:noescape
func sumAVX2(x *float32, n int, lane *float32)

//go:noescape
func sumSquaresAVX2(x *float32, n int, lane *float32)

//go:noescape
func expSumAVX2(dst, x *float32, n int, lane *float32, top float32)

//go:noescape
func topAVX2(x *float32, n int) float32

//go:noescape
func normRowAVX2(dst, x, w *float32, n int, inv, offset float32)
