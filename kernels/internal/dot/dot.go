// Package dot is the inner loop that float linear layers and attention share: rows times blocks of
// 16 columns.
package dot

import (
	"encoding/binary"
	"math"
)

// Kind is how the values of b are stored.
type Kind uint8

// Kinds of b.
const (
	F32 Kind = iota
	BF16
)

// Float linear layers and attention share one inner loop, Rows: a few rows
// of a times blocks of 16 columns of b, added to c. All rows and columns are
// independent of each other, so results depend neither on the number of rows nor
// on how they are cut into calls; and since c is an exact float32, neither on
// how K is cut (BF16: in slices of 32).
//
// F32, b [k][16] float32 (numerics N6.1): c = fma(a[k], b[k], c) for k in order;
// the twin rounds the product first.
//
// BF16, b [k/2][16][2] bfloat16 (numerics N6.2): for each slice of 32 k, as TDPBF16PS,
//
//	e = sum of a[k]*b[k] over even k, o = over odd k, in order from 0
//	c += e + o
//
// Products of bfloat16 are exact in float32, so FMA or not is the same.
// Denormals count as zero (FTZ, DAZ) but in the twin: equal bits there need
// sums and products that are zero or above 2^-126. a is bfloat16 widened to float32.

// RowsGeneric adds to c [rows][16*nb], rows ldc apart, for a [rows][k],
// rows lda apart, and nb blocks of b that lie stride bytes apart. If nb is odd, c
// has room for one more block, which may be spoiled.
func RowsGeneric(f Kind, c []float32, ldc int, a []float32, lda int, b []byte, stride, rows, nb, k int) {
	for r := range rows {
		for j := range nb {
			c := (*[16]float32)(c[r*ldc+j*16:])
			if f == F32 {
				blockF32(c, a[r*lda:][:k], b[j*stride:][:k*64])
			} else {
				blockBF16(c, a[r*lda:][:k], b[j*stride:][:k*32])
			}
		}
	}
}

func blockF32(c *[16]float32, a []float32, b []byte) {
	for k, v := range a {
		row := b[k*64:][:64]
		for i := range c {
			c[i] += float32(v * math.Float32frombits(binary.LittleEndian.Uint32(row[i*4:])))
		}
	}
}

func blockBF16(c *[16]float32, a []float32, b []byte) {
	for k := 0; k < len(a); k += 32 {
		var e, o [16]float32
		for i := k; i < k+32; i += 2 {
			row := b[i*32:][:64]
			for n := range e {
				pair := binary.LittleEndian.Uint32(row[n*4:])
				e[n] += float32(a[i] * math.Float32frombits(pair<<16))
				o[n] += float32(a[i+1] * math.Float32frombits(pair&0xffff0000))
			}
		}
		for n := range c {
			c[n] += e[n] + o[n]
		}
	}
}

// BlockSize is the bytes of one block of b, [k][16].
func BlockSize(f Kind, k int) int {
	if f == F32 {
		return k * 64
	}
	return k * 32
}
