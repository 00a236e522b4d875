//go:build !purego

package elem

import "qpt/internal/cpu"

// active is the level in use.
func active() *level { return &levels[cpu.Active()] }

// levels by cpu.ISA, each the one below but for what it does better.
var levels = func() (l [cpu.AMX + 1]level) {
	v := generic
	l[cpu.Generic] = v

	v.absMax = func(x []float32) uint32 {
		n := len(x) &^ 7
		if n == 0 {
			return absMaxGeneric(x)
		}
		return max(absMaxAVX2(&x[0], n), absMaxGeneric(x[n:]))
	}
	v.extremes = func(x []float32, bits []uint32) (signed int32, unsigned uint32) {
		if n := len(x) &^ 7; n > 0 {
			signed, unsigned = extremesAVX2(&x[0], &bits[0], n)
			x, bits = x[n:], bits[n:]
		}
		s, u := extremesGeneric(x, bits)
		return max(signed, s), max(unsigned, u)
	}
	v.codes8 = func(dst []byte, x []float32, inv float32, zero int32, lo, hi float32) {
		if n := len(x) &^ 7; n > 0 {
			codes8AVX2(&dst[0], &x[0], n, inv, lo, hi, zero, 1, 0)
			dst, x = dst[n:], x[n:]
		}
		codes8Generic(dst, x, inv, zero, lo, hi)
	}
	v.codes8Rows = func(dst []byte, ld int, x []float32, n int, inv float32, zero int32, lo, hi float32) {
		codes8AVX2(&dst[0], &x[0], n, inv, lo, hi, zero, len(x)/n, ld-n)
	}
	v.decode8 = func(dst []float32, x []byte, zero int32, scale float32) {
		if n := len(x) &^ 7; n > 0 {
			decode8AVX2(&dst[0], &x[0], n, zero, scale)
			dst, x = dst[n:], x[n:]
		}
		decode8Generic(dst, x, zero, scale)
	}
	v.interleave3 = func(dst, a, b, c []byte) {
		n := len(a) &^ 15
		if n > 0 {
			interleave3AVX2(&dst[0], &a[0], &b[0], &c[0], n)
		}
		interleave3Generic(dst[3*n:], a[n:], b[n:], c[n:])
	}
	v.codes16 = func(hi, lo []byte, x []float32, inv float32) {
		if n := len(x) &^ 7; n > 0 {
			codes16AVX2(&hi[0], &lo[0], &x[0], n, inv)
			hi, lo, x = hi[n:], lo[n:], x[n:]
		}
		codes16Generic(hi, lo, x, inv)
	}
	v.roundBF16 = func(dst []uint16, wide, x []float32, scale float32) {
		if n := len(x) &^ 7; n > 0 {
			roundBF16AVX2(&dst[0], &wide[0], &x[0], n, scale)
			dst, wide, x = dst[n:], wide[n:], x[n:]
		}
		roundBF16Generic(dst, wide, x, scale)
	}
	v.toBF16 = func(dst []uint16, x []float32) {
		if n := len(x) &^ 7; n > 0 {
			toBF16AVX2(&dst[0], &x[0], n)
			dst, x = dst[n:], x[n:]
		}
		toBF16Generic(dst, x)
	}
	v.fromBF16 = func(dst []float32, x []uint16) {
		if n := len(x) &^ 7; n > 0 {
			fromBF16AVX2(&dst[0], &x[0], n)
			dst, x = dst[n:], x[n:]
		}
		fromBF16Generic(dst, x)
	}
	v.gate8 = func(dst, x []byte, gate []float32, r *Recoding) {
		for n := len(gate); len(x) > 0; dst, x = dst[n:], x[n:] {
			whole := n &^ 7
			if whole > 0 {
				gate8AVX2(&dst[0], &x[0], &gate[0], whole, r)
			}
			if whole < n {
				gate8Generic(dst[whole:], x[whole:n], gate[whole:], r)
			}
		}
	}
	v.siluMul = eights(siluMulAVX2, siluMulGeneric)
	v.add = eights(addAVX2, addGeneric)
	v.sub = eights(subAVX2, subGeneric)
	v.each8()
	l[cpu.AVX2], l[cpu.AVXVNNI] = v, v

	v.absMax = func(x []float32) uint32 {
		if len(x) == 0 {
			return 0
		}
		return absMaxAVX512(&x[0], len(x))
	}
	v.extremes = func(x []float32, bits []uint32) (signed int32, unsigned uint32) {
		if len(x) == 0 {
			return 0, 0
		}
		return extremesAVX512(&x[0], &bits[0], len(x))
	}
	v.codes8 = func(dst []byte, x []float32, inv float32, zero int32, lo, hi float32) {
		if len(x) > 0 {
			codes8AVX512(&dst[0], &x[0], len(x), inv, lo, hi, zero)
		}
	}
	v.codes8Rows = nil // rows are short of few vectors
	v.gate8 = func(dst, x []byte, gate []float32, r *Recoding) {
		if len(x) > 0 {
			gate8AVX512(&dst[0], &x[0], &gate[0], len(gate), r, len(x)/len(gate))
		}
	}
	v.codes16 = func(hi, lo []byte, x []float32, inv float32) {
		if len(x) > 0 {
			codes16AVX512(&hi[0], &lo[0], &x[0], len(x), inv)
		}
	}
	v.roundBF16 = func(dst []uint16, wide, x []float32, scale float32) {
		if len(x) > 0 {
			roundBF16AVX512(&dst[0], &wide[0], &x[0], len(x), scale)
		}
	}
	v.toBF16 = func(dst []uint16, x []float32) {
		if len(x) > 0 {
			toBF16AVX512(&dst[0], &x[0], len(x))
		}
	}
	v.siluMul = masked(siluMulAVX512)
	v.add = masked(addAVX512)
	v.mul = masked(mulAVX512)
	v.unary[fnSiLU] = func(dst, x []float32) {
		n := len(x) &^ 127
		if n > 0 {
			siluAVX512(&dst[0], &x[0], n/16)
		}
		if n < len(x) {
			var last [128]float32
			copy(last[:], x[n:])
			siluAVX512(&last[0], &last[0], 8)
			copy(dst[n:], last[:])
		}
	}
	v.unary[fnGELU] = masked1(geluAVX512)
	v.unary[fnGELUTanh] = masked1(geluTanhAVX512)
	v.sumSquares = func(x []float32) float32 {
		if len(x) == 0 {
			return 0
		}
		return sumSquaresAVX512(&x[0], len(x))
	}
	v.normRow = func(dst, x, w []float32, inv, offset float32) {
		if len(x) > 0 {
			normRowAVX512(&dst[0], &x[0], &w[0], len(x), inv, offset)
		}
	}
	v.layerNorm = func(dst, x, w, b []float32, eps float64) {
		layerNormAVX512(&dst[0], &x[0], &w[0], &b[0], len(x), eps)
	}
	v.rotateHalves = func(x, t []float32, n, headDim int) {
		if len(x) > 0 {
			_, _ = x[headDim-1], t[2*n-1]
			rotateHalvesAVX512(&x[0], &t[0], n, len(x)/headDim, headDim)
		}
	}
	l[cpu.AVX512], l[cpu.AMX] = v, v
	return l
}()

// eights is an assembly loop over a multiple of 8 values made one over any number: the twin does the rest.
func eights(f func(dst, a, b *float32, n int), twin func(dst, a, b []float32)) func(dst, a, b []float32) {
	return func(dst, a, b []float32) {
		if n := len(a) &^ 7; n > 0 {
			f(&dst[0], &a[0], &b[0], n)
			dst, a, b = dst[n:], a[n:], b[n:]
		}
		twin(dst, a, b)
	}
}

// masked is an assembly loop over any number of values but none; masked1 has one operand.
func masked(f func(dst, a, b *float32, n int)) func(dst, a, b []float32) {
	return func(dst, a, b []float32) {
		if len(a) > 0 {
			f(&dst[0], &a[0], &b[0], len(a))
		}
	}
}

func masked1(f func(dst, x *float32, n int)) func(dst, x []float32) {
	return func(dst, x []float32) {
		if len(x) > 0 {
			f(&dst[0], &x[0], len(x))
		}
	}
}

//go:noescape
func absMaxAVX512(x *float32, n int) uint32

//go:noescape
func extremesAVX512(x *float32, bits *uint32, n int) (signed int32, unsigned uint32)

//go:noescape
func extremesAVX2(x *float32, bits *uint32, n int) (signed int32, unsigned uint32)

//go:noescape
func absMaxAVX2(x *float32, n int) uint32

//go:noescape
func codes8AVX512(dst *byte, x *float32, n int, inv, lo, hi float32, zero int32)

//go:noescape
func gate8AVX512(dst, x *byte, gate *float32, n int, r *Recoding, rows int)

//go:noescape
func gate8AVX2(dst, x *byte, gate *float32, n int, r *Recoding)

//go:noescape
func codes8AVX2(dst *byte, x *float32, n int, inv, lo, hi float32, zero int32, rows, skip int)

//go:noescape
func decode8AVX2(dst *float32, x *byte, n int, zero int32, scale float32)

//go:noescape
func codes16AVX512(hi, lo *byte, x *float32, n int, inv float32)

//go:noescape
func codes16AVX2(hi, lo *byte, x *float32, n int, inv float32)

//go:noescape
func roundBF16AVX512(dst *uint16, wide, x *float32, n int, scale float32)

//go:noescape
func roundBF16AVX2(dst *uint16, wide, x *float32, n int, scale float32)

//go:noescape
func toBF16AVX512(dst *uint16, x *float32, n int)

//go:noescape
func toBF16AVX2(dst *uint16, x *float32, n int)

//go:noescape
func fromBF16AVX2(dst *float32, x *uint16, n int)

//go:noescape
func siluMulAVX2(dst, gate, u *float32, n int)

//go:noescape
func siluMulAVX512(dst, gate, u *float32, n int)

//go:noescape
func siluAVX512(dst, x *float32, vectors int)

//go:noescape
func geluAVX512(dst, x *float32, n int)

//go:noescape
func geluTanhAVX512(dst, x *float32, n int)

//go:noescape
func addAVX512(dst, a, b *float32, n int)

//go:noescape
func addAVX2(dst, a, b *float32, n int)

//go:noescape
func subAVX2(dst, a, b *float32, n int)

//go:noescape
func mulAVX512(dst, a, b *float32, n int)

//go:noescape
func sumSquaresAVX512(x *float32, n int) float32

//go:noescape
func layerNormAVX512(dst, x, w, b *float32, n int, eps float64)

//go:noescape
func normRowAVX512(dst, x, w *float32, n int, inv, offset float32)

//go:noescape
func rotateHalvesAVX512(x, t *float32, n, heads, headDim int)

//go:noescape
func interleave3AVX2(dst, a, b, c *byte, n int)
