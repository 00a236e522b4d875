//go:build !purego

package elem

import "qpt/internal/cpu"

// Choice of instruction set for the float kernels: AVX-512, then AVX2 where it
// has a path, then the twin. Lengths were checked by the callers.

func AbsMax(x []float32) uint32 {
	isa := cpu.Active()
	switch n := len(x); {
	case isa >= cpu.AVX512 && n > 0:
		return absMaxAVX512(&x[0], n)
	case isa >= cpu.AVX2 && n >= 8:
		return max(absMaxAVX2(&x[0], n&^7), absMaxGeneric(x[n&^7:]))
	}
	return absMaxGeneric(x)
}

func Codes8(dst []byte, x []float32, inv float32, zero int32, lo, hi float32) {
	dst = dst[:len(x)]
	isa, n := cpu.Active(), len(x)
	switch {
	case isa >= cpu.AVX512 && n > 0:
		codes8AVX512(&dst[0], &x[0], n, inv, lo, hi, zero)
		return
	case isa >= cpu.AVX2 && n >= 8:
		codes8AVX2(&dst[0], &x[0], n&^7, inv, lo, hi, zero)
		dst, x = dst[n&^7:], x[n&^7:]
	}
	codes8Generic(dst, x, inv, zero, lo, hi)
}

func Codes16(hi, lo []byte, x []float32, inv float32) {
	hi, lo = hi[:len(x)], lo[:len(x)]
	isa, n := cpu.Active(), len(x)
	switch {
	case isa >= cpu.AVX512 && n > 0:
		codes16AVX512(&hi[0], &lo[0], &x[0], n, inv)
		return
	case isa >= cpu.AVX2 && n >= 8:
		codes16AVX2(&hi[0], &lo[0], &x[0], n&^7, inv)
		hi, lo, x = hi[n&^7:], lo[n&^7:], x[n&^7:]
	}
	codes16Generic(hi, lo, x, inv)
}

func RoundBF16(dst []uint16, wide, x []float32, scale float32) {
	if cpu.Active() >= cpu.AVX512 && len(x) > 0 {
		dst, wide = dst[:len(x)], wide[:len(x)]
		roundBF16AVX512(&dst[0], &wide[0], &x[0], len(x), scale)
		return
	}
	if n := len(x) &^ 7; cpu.Active() >= cpu.AVX2 && n > 0 {
		_, _ = dst[n-1], wide[n-1]
		roundBF16AVX2(&dst[0], &wide[0], &x[0], n, scale)
		dst, wide, x = dst[n:], wide[n:], x[n:]
	}
	roundBF16Generic(dst, wide, x, scale)
}

func siluMul(dst, g, u []float32) {
	if cpu.Active() >= cpu.AVX512 && len(g) > 0 {
		siluMulAVX512(&dst[0], &g[0], &u[0], len(g))
		return
	}
	if n := len(g) &^ 7; cpu.Active() >= cpu.AVX2 && n > 0 {
		siluMulAVX2(&dst[0], &g[0], &u[0], n)
		dst, g, u = dst[n:], g[n:], u[n:]
	}
	siluMulGeneric(dst, g, u)
}

func silu(dst, x []float32) {
	if cpu.Active() >= cpu.AVX512 && len(x) > 0 {
		siluAVX512(&dst[0], &x[0], len(x))
		return
	}
	siluGeneric(dst, x)
}

func geluTanh(dst, x []float32) {
	if cpu.Active() >= cpu.AVX512 && len(x) > 0 {
		geluTanhAVX512(&dst[0], &x[0], len(x))
		return
	}
	geluTanhGeneric(dst, x)
}

func add(dst, a, b []float32) {
	if cpu.Active() >= cpu.AVX512 && len(a) > 0 {
		addAVX512(&dst[0], &a[0], &b[0], len(a))
		return
	}
	if n := len(a) &^ 7; cpu.Active() >= cpu.AVX2 && n > 0 {
		addAVX2(&dst[0], &a[0], &b[0], n)
		dst, a, b = dst[n:], a[n:], b[n:]
	}
	addGeneric(dst, a, b)
}

func sub(dst, a, b []float32) {
	if n := len(a) &^ 7; cpu.Active() >= cpu.AVX2 && n > 0 {
		subAVX2(&dst[0], &a[0], &b[0], n)
		dst, a, b = dst[n:], a[n:], b[n:]
	}
	subGeneric(dst, a, b)
}

func mul(dst, a, b []float32) {
	if cpu.Active() >= cpu.AVX512 && len(a) > 0 {
		mulAVX512(&dst[0], &a[0], &b[0], len(a))
		return
	}
	mulGeneric(dst, a, b)
}

func sumSquares(x []float32) float32 {
	if cpu.Active() >= cpu.AVX512 && len(x) > 0 {
		return sumSquaresAVX512(&x[0], len(x))
	}
	return sumSquaresGeneric(x)
}

func normRow(dst, x, w []float32, inv, offset float32) {
	if cpu.Active() >= cpu.AVX512 && len(x) > 0 {
		normRowAVX512(&dst[0], &x[0], &w[0], len(x), inv, offset)
		return
	}
	normRowGeneric(dst, x, w, inv, offset)
}

func rotateHalves(x, t []float32, n, headDim int) {
	if cpu.Active() >= cpu.AVX512 && len(x) > 0 {
		_, _ = x[headDim-1], t[2*n-1]
		rotateHalvesAVX512(&x[0], &t[0], n, len(x)/headDim, headDim)
		return
	}
	rotateHalvesGeneric(x, t, n, headDim)
}

//go:noescape
func absMaxAVX512(x *float32, n int) uint32

//go:noescape
func absMaxAVX2(x *float32, n int) uint32

//go:noescape
func codes8AVX512(dst *byte, x *float32, n int, inv, lo, hi float32, zero int32)

//go:noescape
func codes8AVX2(dst *byte, x *float32, n int, inv, lo, hi float32, zero int32)

//go:noescape
func codes16AVX512(hi, lo *byte, x *float32, n int, inv float32)

//go:noescape
func codes16AVX2(hi, lo *byte, x *float32, n int, inv float32)

//go:noescape
func roundBF16AVX512(dst *uint16, wide, x *float32, n int, scale float32)

//go:noescape
func roundBF16AVX2(dst *uint16, wide, x *float32, n int, scale float32)

//go:noescape
func siluMulAVX2(dst, gate, u *float32, n int)

//go:noescape
func siluMulAVX512(dst, gate, u *float32, n int)

//go:noescape
func siluAVX512(dst, x *float32, n int)

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
func normRowAVX512(dst, x, w *float32, n int, inv, offset float32)

//go:noescape
func rotateHalvesAVX512(x, t *float32, n, heads, headDim int)
