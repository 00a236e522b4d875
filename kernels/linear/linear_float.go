package linear

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/dot"
	"qpt/kernels/internal/mem"
)

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

func linearF32(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	linearFloat(dot.F32, y, ldy, x, w, b0, b1, add, s)
}

func linearBF16(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	linearFloat(dot.BF16, y, ldy, x, w, b0, b1, add, s)
}

func linearFloat(kind dot.Kind, y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	s.float = mem.Sized(s.float, manyRows*32)
	c := s.float // [rows][blocks*16]
	kp := num.Pad(w.K, 64)
	stride := dot.BlockSize(kind, kp)
	rows, blocks, step := manyRows, 2, panelBytes/2/dot.BlockSize(kind, 1)
	if x.M <= fewRows {
		rows, blocks, step = fewRows, min(max(callBytes/stride&^1, 2), len(c)/fewRows/16), kp
	}
	if kind == dot.BF16 {
		s.wide = mem.Sized(s.wide, min(rows, x.M)*kp)
	}
	for m := 0; m < x.M; m += rows {
		rows := min(rows, x.M-m)
		a, lda := s.wide, kp
		if kind == dot.F32 {
			a, lda = x.F32[m*x.Stride:], x.Stride
		} else {
			for r := range rows {
				elem.FromBF16(a[r*kp:][:kp], x.BF16[(m+r)*x.Stride:][:kp])
			}
		}
		for b := b0; b < b1; b += blocks {
			nb := min(blocks, b1-b)
			ldc := num.Pad(nb, 2) * 16
			clear(c[:rows*ldc])
			for k := 0; k < kp; k += step {
				dot.Rows(kind, c, ldc, a[k:], lda, w.Data[b*stride+dot.BlockSize(kind, k):], stride, rows, nb, min(step, kp-k))
			}
			finishFloat(y[m*ldy+16*(b-b0):], ldy, c, ldc, rows, w, b, b+nb, add)
		}
	}
}

// finishFloat adds bias and old values to the sums c of blocks b0 to b1 and stores them to y, rows of which begin there.
func finishFloat(y []float32, ldy int, c []float32, ldc, rows int, w *Weight, b0, b1 int, add bool) {
	n0, n1 := b0*16, min(b1*16, w.N)
	for r := range rows {
		row, out := c[r*ldc:][:n1-n0], y[r*ldy:][:n1-n0]
		if w.Bias != nil {
			elem.Add(row, row, w.Bias[n0:n1])
		}
		if add {
			elem.Add(out, out, row)
		} else {
			copy(out, row)
		}
	}
}

// PutFloatRows packs rows n0 to n0+r of an F32 or BF16 weight from rows [r][K].
func (w *Weight) PutFloatRows(n0 int, rows []float32, r int) {
	if n0 < 0 || r < 0 || n0+r > w.N || len(rows) < r*w.K || w.Format != F32 && w.Format != BF16 {
		panic(fmt.Sprintf("linear: PutFloatRows: rows %d to %d of %s weight [%d, %d] from %d values", n0, n0+r, w.Format, w.N, w.K, len(rows)))
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
		panic(fmt.Sprintf("linear: PutBF16Block: block %d of %s weight [%d, %d] from %d bytes", b, w.Format, w.N, w.K, len(rows)))
	}
	stride := len(w.Data) / w.Blocks()
	block := w.Data[b*stride:][:stride]
	clear(block[w.K*32:])
	pairs := func(b []byte) []float32 { return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4) }
	mem.Transpose(pairs(block[:w.K*32]), pairs(rows[:2*r*w.K]), r)
}
