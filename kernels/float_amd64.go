//go:build !purego

package kernels

import "qpt/internal/cpu"

// Choice of instruction set for the float kernels: AVX-512, then AVX2 where it
// has a path, then the twin. Lengths were checked by the callers.

func absMax(x []float32) uint32 {
	isa := cpu.Active()
	switch n := len(x); {
	case isa >= cpu.AVX512 && n > 0:
		return absMaxAVX512(&x[0], n)
	case isa >= cpu.AVX2 && n >= 8:
		return max(absMaxAVX2(&x[0], n&^7), absMaxGeneric(x[n&^7:]))
	}
	return absMaxGeneric(x)
}

func codes8(dst []byte, x []float32, inv float32, zero int32, lo, hi float32) {
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

func codes16(hi, lo []byte, x []float32, inv float32) {
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

func roundBF16(dst []uint16, wide, x []float32) {
	if cpu.Active() >= cpu.AVX512 && len(x) > 0 {
		dst, wide = dst[:len(x)], wide[:len(x)]
		roundBF16AVX512(&dst[0], &wide[0], &x[0], len(x))
		return
	}
	roundBF16Generic(dst, wide, x)
}

func siluMul(dst, g, u []float32) {
	if cpu.Active() >= cpu.AVX512 && len(g) > 0 {
		siluMulAVX512(&dst[0], &g[0], &u[0], len(g))
		return
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
	addGeneric(dst, a, b)
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

// dotRows runs 8, 4, 2 and 1 rows at a time.
//
//go:noinline
func dotRows(f Format, c []float32, ldc int, a []float32, lda int, b []byte, stride, rows, nb, k int) {
	isa := cpu.Active()
	if rows == 0 || nb == 0 || k == 0 || isa < cpu.AVX2 || f == BF16 && isa < cpu.AVX512 {
		dotRowsGeneric(f, c, ldc, a, lda, b, stride, rows, nb, k)
		return
	}
	perK := 64
	if f == BF16 {
		perK = 32
	}
	_, _, _ = c[(rows-1)*ldc+nb*16-1], a[(rows-1)*lda+k-1], b[(nb-1)*stride+k*perK-1]
	pb := &b[0]
	for r := 0; r < rows; {
		pc, pa, left := &c[r*ldc], &a[r*lda], rows-r
		switch {
		case isa < cpu.AVX512 && left >= 4:
			dotF32x4AVX2(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r += 4
		case isa < cpu.AVX512:
			dotF32x1AVX2(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r++
		case f == F32 && left >= 8:
			dotF32x8AVX512(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r += 8
		case f == F32 && left >= 4:
			dotF32x4AVX512(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r += 4
		case f == F32 && left >= 2:
			dotF32x2AVX512(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r += 2
		case f == F32:
			dotF32x1AVX512(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r++
		case left >= 8:
			dotBF16x8AVX512(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r += 8
		case left >= 4:
			dotBF16x4AVX512(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r += 4
		case left >= 2:
			dotBF16x2AVX512(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r += 2
		default:
			dotBF16x1AVX512(pc, ldc*4, pa, lda*4, pb, stride, nb, k)
			r++
		}
	}
}

func softmaxBlock(rows int, s []float32, mask []uint32, m, l, o []float32, hd int, half bool) {
	if cpu.Active() < cpu.AVX512 {
		softmaxBlockGeneric(rows, s, mask, m, l, o, hd, half)
		return
	}
	h := 0
	if half {
		h = 1
	}
	softmaxBlockAVX512(rows, &s[0], &mask[0], &m[0], &l[0], &o[0], hd, h)
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
func roundBF16AVX512(dst *uint16, wide, x *float32, n int)

//go:noescape
func siluMulAVX512(dst, gate, u *float32, n int)

//go:noescape
func siluAVX512(dst, x *float32, n int)

//go:noescape
func geluTanhAVX512(dst, x *float32, n int)

//go:noescape
func addAVX512(dst, a, b *float32, n int)

//go:noescape
func mulAVX512(dst, a, b *float32, n int)

//go:noescape
func sumSquaresAVX512(x *float32, n int) float32

//go:noescape
func normRowAVX512(dst, x, w *float32, n int, inv, offset float32)

//go:noescape
func softmaxBlockAVX512(rows int, s *float32, mask *uint32, m, l, o *float32, hd, half int)

//go:noescape
func dotF32x1AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotF32x4AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotF32x1AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotF32x2AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotF32x4AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotF32x8AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotBF16x1AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotBF16x2AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotBF16x4AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotBF16x8AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
