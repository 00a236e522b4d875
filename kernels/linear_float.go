package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"qpt/internal/num"
)

// Float linear layers and attention share one inner loop, dotRows: a few rows
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

// dotRowsGeneric adds to c [rows][16*nb], rows ldc apart, for a [rows][k],
// rows lda apart, and nb blocks of b that lie stride bytes apart. If nb is odd, c
// has room for one more block, which may be spoiled.
func dotRowsGeneric(f Format, c []float32, ldc int, a []float32, lda int, b []byte, stride, rows, nb, k int) {
	for r := range rows {
		for j := range nb {
			c := (*[16]float32)(c[r*ldc+j*16:])
			if f == F32 {
				dotF32(c, a[r*lda:][:k], b[j*stride:][:k*64])
			} else {
				dotBF16(c, a[r*lda:][:k], b[j*stride:][:k*32])
			}
		}
	}
}

func dotF32(c *[16]float32, a []float32, b []byte) {
	for k, v := range a {
		row := b[k*64:][:64]
		for i := range c {
			c[i] += float32(v * math.Float32frombits(binary.LittleEndian.Uint32(row[i*4:])))
		}
	}
}

func dotBF16(c *[16]float32, a []float32, b []byte) {
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

// blockSize is the bytes of one block of b, [k][16].
func blockSize(f Format, k int) int {
	if f == F32 {
		return k * 64
	}
	return k * 32
}

// Blocking: up to fewRows rows take b as it streams by, some blocks a call.
// More rows go manyRows at a time with panelBytes of two blocks of b, which stay in
// the first-level cache meanwhile.
const (
	fewRows    = 8
	manyRows   = 64
	panelBytes = 32 << 10
	callBytes  = 512 << 10 // 50 us at the speed of memory: no call may delay the garbage collector long
)

// linearF32 and linearBF16 carry out Linear for float weights.
func linearF32(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, ep Epilogue, s *Scratch) {
	linearFloat(y, ldy, x, w, b0, b1, ep)
}

func linearBF16(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, ep Epilogue, s *Scratch) {
	linearFloat(y, ldy, x, w, b0, b1, ep)
}

func linearFloat(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, ep Epilogue) {
	var c [manyRows * 32]float32 // [rows][blocks*16]
	kp := Pad(w.K, 64)
	stride := blockSize(w.Format, kp)
	rows, blocks, step := manyRows, 2, panelBytes/2/blockSize(w.Format, 1)
	if x.M <= fewRows {
		rows, blocks, step = fewRows, min(max(callBytes/stride&^1, 2), len(c)/fewRows/16), kp
	}
	for m := 0; m < x.M; m += rows {
		rows := min(rows, x.M-m)
		for b := b0; b < b1; b += blocks {
			nb := min(blocks, b1-b)
			ldc := Pad(nb, 2) * 16
			clear(c[:rows*ldc])
			for k := 0; k < kp; k += step {
				dotRows(w.Format, c[:], ldc, x.F32[m*x.Stride+k:], x.Stride, w.Data[b*stride+blockSize(w.Format, k):], stride, rows, nb, min(step, kp-k))
			}
			finishFloat(y[m*ldy:], ldy, c[:], ldc, rows, w, b, b+nb, ep)
		}
	}
}

// finishFloat adds bias and old values to the sums c of blocks b0 to b1 and stores them.
func finishFloat(y []float32, ldy int, c []float32, ldc, rows int, w *Weight, b0, b1 int, ep Epilogue) {
	n0, n1 := b0*16, min(b1*16, w.N)
	for r := range rows {
		row, out := c[r*ldc:][:n1-n0], y[r*ldy:][n0:n1]
		if w.Bias != nil {
			add(row, row, w.Bias[n0:n1])
		}
		if ep.Add {
			add(out, out, row)
		} else {
			copy(out, row)
		}
	}
}

// PutFloatRows packs rows n0 to n0+r of an F32 or BF16 weight from rows [r][K].
func (w *Weight) PutFloatRows(n0 int, rows []float32, r int) {
	if n0 < 0 || r < 0 || n0+r > w.N || len(rows) < r*w.K || w.Format != F32 && w.Format != BF16 {
		panic(fmt.Sprintf("kernels: PutFloatRows: rows %d to %d of %s weight [%d, %d] from %d values", n0, n0+r, w.Format, w.N, w.K, len(rows)))
	}
	stride := len(w.Data) / w.Blocks()
	for n := n0; n < n0+r; n++ {
		block, i := w.Data[n/16*stride:][:stride], n%16
		row := rows[(n-n0)*w.K:][:w.K]
		if w.Format == F32 {
			for k, v := range row {
				binary.LittleEndian.PutUint32(block[(k*16+i)*4:], math.Float32bits(v))
			}
			continue
		}
		for k, v := range row {
			binary.LittleEndian.PutUint16(block[(k/2*32+i*2+k%2)*2:], num.BF16(v))
		}
	}
}

// PutBF16Block packs block b of a BF16 weight of even K from its rows
// [min(16, N-16b)][K], little-endian bfloat16: pairs of them are transposed like float32.
func (w *Weight) PutBF16Block(b int, rows []byte) {
	r := min(16, w.N-16*b)
	if w.Format != BF16 || w.K%2 != 0 || r <= 0 || len(rows) < 2*r*w.K {
		panic(fmt.Sprintf("kernels: PutBF16Block: block %d of %s weight [%d, %d] from %d bytes", b, w.Format, w.N, w.K, len(rows)))
	}
	stride := len(w.Data) / w.Blocks()
	block := w.Data[b*stride:][:stride]
	clear(block[w.K*32:])
	pairs := func(b []byte) []float32 { return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4) }
	transpose(pairs(block[:w.K*32]), pairs(rows[:2*r*w.K]), r)
}
