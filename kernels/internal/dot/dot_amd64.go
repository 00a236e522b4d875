//go:build !purego

package dot

import (
	"qpt/internal/cpu"
	"qpt/internal/num"
)

// Rows is RowsGeneric with the best instructions.
//
//go:noinline
func Rows(f Kind, c []float32, ldc int, a []float32, lda int, b []byte, stride, rows, nb, k int) {
	isa := cpu.Active()
	if rows == 0 || nb == 0 || k == 0 || isa < cpu.AVX2 {
		RowsGeneric(f, c, ldc, a, lda, b, stride, rows, nb, k)
		return
	}
	size := BlockSize(f, k)
	_, _, _ = c[(rows-1)*ldc+num.Pad(nb, 2)*16-1], a[(rows-1)*lda+k-1], b[(nb-1)*stride+size-1]
	if isa < cpu.AVX512 {
		rowsAVX2(f, c, ldc, a, lda, &b[0], stride, rows, nb, k)
		return
	}
	// Blocks go in pairs. An odd one is paired with itself, the second result lands in the spare block of c.
	if nb > 1 {
		rowsAVX512(f, &c[0], ldc, &a[0], lda, &b[0], stride, rows, nb/2, k)
	}
	if nb%2 != 0 {
		rowsAVX512(f, &c[(nb-1)*16], ldc, &a[0], lda, &b[(nb-1)*stride], 0, rows, 1, k)
	}
}

func rowsAVX512(f Kind, c *float32, ldc int, a *float32, lda int, b *byte, stride, rows, pairs, k int) {
	if f == F32 {
		dotF32AVX512(c, ldc*4, a, lda*4, b, stride, rows, pairs, k)
	} else {
		dotBF16AVX512(c, ldc*4, a, lda*4, b, stride, rows, pairs, k)
	}
}

// callSums is the products by 16 columns of a call of BF16 on AVX2, some 50 us: no call may delay the garbage collector long.
const callSums = 1 << 17

// rowsAVX2 takes rows as many at a time as registers hold.
func rowsAVX2(f Kind, c []float32, ldc int, a []float32, lda int, b *byte, stride, rows, nb, k int) {
	r := 0
	if f == BF16 {
		for r+2 <= rows {
			pairs := min((rows-r)/2, max(callSums/(2*nb*k), 1))
			dotBF16x2AVX2(&c[r*ldc], ldc*4, &a[r*lda], lda*4, b, stride, pairs, nb, k)
			r += 2 * pairs
		}
		if r < rows {
			dotBF16x1AVX2(&c[r*ldc], ldc*4, &a[r*lda], lda*4, b, stride, nb, k)
		}
		return
	}
	for ; r+4 <= rows; r += 4 {
		dotF32x4AVX2(&c[r*ldc], ldc*4, &a[r*lda], lda*4, b, stride, nb, k)
	}
	for ; r < rows; r++ {
		dotF32x1AVX2(&c[r*ldc], ldc*4, &a[r*lda], lda*4, b, stride, nb, k)
	}
}

// tiles are the tile configurations for 1 to 32 rows: at 0 the palette, at
// 16+2i the bytes of a row of tile i, at 48+i its rows.
var tiles = func() (cfg [33][64]byte) {
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
func dotBF16x1AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotBF16x2AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, pairs, nb, k int)

//go:noescape
func dotF32x1AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotF32x4AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)

//go:noescape
func dotF32AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, rows, pairs, k int)

//go:noescape
func dotBF16AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, rows, pairs, k int)

// Tiles is the configuration of AMX for products of 1 to 32 rows.
func Tiles(rows int) *[64]byte { return &tiles[rows] }

// rowsF32 and rowsBF16 are the loops of AVX-512 as other assembly calls them,
// with registers as dot_avx512_amd64.s says.

//lint:ignore U1000 assembly calls it
func rowsF32()

//lint:ignore U1000 assembly calls it
func rowsBF16()
