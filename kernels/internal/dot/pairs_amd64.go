//go:build !purego

package dot

import (
	"sync"

	"qpt/internal/cpu"
	"qpt/internal/num"
)

// HasPairs tells whether the machine has VDPBF16PS and rounds after each of its two products, as its manual says: then sums have the
// bits of numerics N6.2.
var HasPairs = sync.OnceValue(func() bool {
	if !cpu.HasBF16() {
		return false
	}
	const k = 64
	var a, packed [k]uint16
	var wide [k]float32
	var got, want [32]float32
	b := make([]byte, k*64)
	state := uint32(1)
	next := func() uint16 { // of either sign, about one, give or take some powers of two
		state = state*1664525 + 1013904223
		return uint16(state>>31<<15) | uint16(0x3e80+state>>8%0x200)
	}
	for i := range a {
		a[i] = next()
		wide[i] = num.FromBF16(a[i])
	}
	for i := 0; i < len(b); i += 2 {
		x := next()
		b[i], b[i+1] = byte(x), byte(x>>8)
	}
	PackPairs(packed[:], a[:])
	RowsPairs(got[:], 32, packed[:], k, b, k*32, 1, 2, k)
	RowsGeneric(BF16, want[:], 32, wide[:], k, b, k*32, 1, 2, k)
	return got == want
})

// PackPairs puts a row of bfloat16, a multiple of 32 of them, in the order that RowsPairs takes: of four those at 2, 0, 3, 1.
func PackPairs(dst, src []uint16) {
	if len(src)%32 != 0 || len(dst) < len(src) {
		panic("dot: PackPairs of a row that is no multiple of 32")
	}
	if len(src) > 0 {
		packPairsAVX512(&dst[0], &src[0], len(src))
	}
}

// RowsPairs is Rows of BF16 by VDPBF16PS, on rows of a that PackPairs made.
func RowsPairs(c []float32, ldc int, a []uint16, lda int, b []byte, stride, rows, nb, k int) {
	if rows == 0 || nb == 0 || k == 0 {
		return
	}
	_, _, _ = c[(rows-1)*ldc+num.Pad(nb, 2)*16-1], a[(rows-1)*lda+k-1], b[(nb-1)*stride+BlockSize(BF16, k)-1]
	if nb > 1 {
		dotPairsAVX512(&c[0], ldc*4, &a[0], lda*2, &b[0], stride, rows, nb/2, k)
	}
	if nb%2 != 0 { // paired with itself, as Rows does
		dotPairsAVX512(&c[(nb-1)*16], ldc*4, &a[0], lda*2, &b[(nb-1)*stride], 0, rows, 1, k)
	}
}

// rowsPairs is the loop as other assembly calls it, see rowsBF16; rows of a are what PackPairs makes.
//
//lint:ignore U1000 assembly calls it
func rowsPairs()

//go:noescape
func packPairsAVX512(dst, src *uint16, n int)

//go:noescape
func dotPairsAVX512(c *float32, ldc int, a *uint16, lda int, b *byte, stride, rows, pairs, k int)
