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

func roundBF16(dst []uint16, wide, x []float32, scale float32) {
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

// dotRows: AVX-512 takes blocks in pairs. An odd one is paired with itself,
// the second result lands in the spare block of c.
//
//go:noinline
func dotRows(f Format, c []float32, ldc int, a []float32, lda int, b []byte, stride, rows, nb, k int) {
	isa := cpu.Active()
	if rows == 0 || nb == 0 || k == 0 || isa < cpu.AVX2 {
		dotRowsGeneric(f, c, ldc, a, lda, b, stride, rows, nb, k)
		return
	}
	size := blockSize(f, k)
	_, _, _ = c[(rows-1)*ldc+Pad(nb, 2)*16-1], a[(rows-1)*lda+k-1], b[(nb-1)*stride+size-1]
	if isa < cpu.AVX512 {
		r := 0
		if f == BF16 {
			for ; r+2 <= rows; r += 2 {
				dotBF16x2AVX2(&c[r*ldc], ldc*4, &a[r*lda], lda*4, &b[0], stride, nb, k)
			}
			if r < rows {
				dotBF16x1AVX2(&c[r*ldc], ldc*4, &a[r*lda], lda*4, &b[0], stride, nb, k)
			}
			return
		}
		for ; r+4 <= rows; r += 4 {
			dotF32x4AVX2(&c[r*ldc], ldc*4, &a[r*lda], lda*4, &b[0], stride, nb, k)
		}
		for ; r < rows; r++ {
			dotF32x1AVX2(&c[r*ldc], ldc*4, &a[r*lda], lda*4, &b[0], stride, nb, k)
		}
		return
	}
	dot := func(c *float32, b *byte, stride, pairs int) {
		if f == F32 {
			dotF32AVX512(c, ldc*4, &a[0], lda*4, b, stride, rows, pairs, k)
		} else {
			dotBF16AVX512(c, ldc*4, &a[0], lda*4, b, stride, rows, pairs, k)
		}
	}
	if nb > 1 {
		dot(&c[0], &b[0], stride, nb/2)
	}
	if nb%2 != 0 {
		dot(&c[(nb-1)*16], &b[(nb-1)*stride], 0, 1)
	}
}

func putKey(b []byte, x []float32) {
	if cpu.Active() >= cpu.AVX512 {
		_ = b[2*atKey(len(x)-1)+1]
		putKeyAVX512(&b[0], &x[0], len(x))
		return
	}
	putKeyGeneric(b, x)
}

func putValue(b []byte, x []float32) {
	if cpu.Active() >= cpu.AVX512 {
		_ = b[2*atValue(len(x)-1)+1]
		putValueAVX512(&b[0], &x[0], len(x))
		return
	}
	putValueGeneric(b, x)
}

func rotateHalves(x, t []float32, n, headDim int) {
	if cpu.Active() >= cpu.AVX512 && len(x) > 0 {
		_, _ = x[headDim-1], t[2*n-1]
		rotateHalvesAVX512(&x[0], &t[0], n, len(x)/headDim, headDim)
		return
	}
	rotateHalvesGeneric(x, t, n, headDim)
}

func expandKeys(dst, codes []byte, scale []float32) {
	if cpu.Active() >= cpu.AVX512 && len(codes) >= 32 {
		_, _ = dst[2*len(codes)-1], scale[15]
		expandKeysAVX512(&dst[0], &codes[0], len(codes)/32, &scale[0], int(cpu.Active()-cpu.AVX512))
		return
	}
	expandKeysGeneric(dst, codes, scale)
}

func expandValues(dst, codes []byte, scale []float32) {
	if cpu.Active() >= cpu.AVX512 && len(codes) >= 32 {
		_, _ = dst[2*len(codes)-1], scale[len(codes)/16-1]
		expandValuesAVX512(&dst[0], &codes[0], len(codes)/32, &scale[0], int(cpu.Active()-cpu.AVX512))
		return
	}
	expandValuesGeneric(dst, codes, scale)
}

// linearBF16AMX is linearBF16 by tiles of up to 32 rows by 2 blocks, K whole. Rows
// go in passes whose input fills half of the second-level cache.
func linearBF16AMX(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, ep Epilogue, s *Scratch) {
	const halfL2 = 1 << 20
	var c [32 * 32]float32
	stride := blockSize(BF16, Pad(w.K, 64))
	pass := max(halfL2/(2*x.Stride)&^31, 32)
	for m0 := 0; m0 < x.M; m0 += pass {
		for b := b0; b < b1; b += 2 {
			nb, step := min(2, b1-b), stride
			if nb == 1 {
				step = 0 // the last block twice
			}
			for m := m0; m < min(m0+pass, x.M); m += 32 {
				rows := min(32, x.M-m)
				dotBF16AMX(&c[0], 128, &x.BF16[m*x.Stride], 2*x.Stride, &w.Data[b*stride], step, Pad(w.K, 64), rows, &bf16Tiles[rows])
				finishFloat(y[m*ldy:], ldy, c[:], 32, rows, w, b, b+nb, ep)
			}
		}
	}
}

// bf16Tiles are the tile configurations for 1 to 32 rows: at 0 the palette, at
// 16+2i the bytes of a row of tile i, at 48+i its rows.
var bf16Tiles = func() (cfg [33][64]byte) {
	for rows := 1; rows <= 32; rows++ {
		c, lower := &cfg[rows], min(rows, 16)
		c[0] = 1
		for i, n := range [8]int{lower, lower, max(rows-16, 1), max(rows-16, 1), lower, max(rows-16, 1), 16, 16} {
			c[16+2*i], c[48+i] = 64, byte(n)
		}
	}
	return cfg
}()

//go:noescape
func dotBF16AMX(c *float32, ldc int, a *uint16, lda int, b *byte, stride, k, rows int, cfg *[64]byte)

// Modes of attendAVX512.
const (
	attnF32 = iota
	attnBF16
	attnAMX
)

//go:noinline
func attendBlocks(f Format, a *attnArgs) {
	isa := cpu.Active()
	switch {
	case isa < cpu.AVX512:
		attendBlocksGeneric(f, a)
		return
	case f == F32:
		a.mode = attnF32
	case isa < cpu.AMX:
		a.mode = attnBF16
	default:
		a.mode, a.tiles = attnAMX, &bf16Tiles[min(a.rows, 16)]
	}
	attendAVX512(a)
}

func softmaxBlock(rows int, s, m, l, o []float32, hd int, half bool) {
	if cpu.Active() < cpu.AVX2 {
		softmaxBlockGeneric(rows, s, m, l, o, hd, half)
		return
	}
	round := 0
	if half {
		round = 1
	}
	_, _, _, _ = s[rows*32-1], m[rows-1], l[rows*16-1], o[rows*hd-1]
	softmaxBlockAVX2(rows, &s[0], &m[0], &l[0], &o[0], hd, round)
}

func divideRows(out, o, l []float32, rows, dim, hd int) {
	if cpu.Active() >= cpu.AVX512 {
		_, _, _ = out[rows*dim-1], o[rows*hd-1], l[rows*16-1]
		divideRowsAVX512(&out[0], &o[0], &l[0], rows, dim, hd)
		return
	}
	divideRowsGeneric(out, o, l, rows, dim, hd)
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
func softmaxBlockAVX2(rows int, s, m, l, o *float32, hd, half int)

//go:noescape
func siluMulAVX2(dst, gate, u *float32, n int)

//go:noescape
func roundBF16AVX2(dst *uint16, wide, x *float32, n int, scale float32)

//go:noescape
func dotBF16x1AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotBF16x2AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

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
func putKeyAVX512(b *byte, x *float32, n int)

//go:noescape
func putValueAVX512(b *byte, x *float32, n int)

//go:noescape
func rotateHalvesAVX512(x, t *float32, n, heads, headDim int)

//go:noescape
func expandKeysAVX512(dst, codes *byte, rows int, scale *float32, amx int)

//go:noescape
func expandValuesAVX512(dst, codes *byte, rows int, scale *float32, amx int)

//go:noescape
func attendAVX512(args *attnArgs)

//go:noescape
func divideRowsAVX512(out, o, l *float32, rows, dim, hd int)

//go:noescape
func dotF32x1AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotF32x4AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotF32AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, rows, pairs, k int)

//go:noescape
func dotBF16AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, rows, pairs, k int)
