//go:build !purego

package linear

import (
	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/dot"
	"qpt/kernels/internal/mem"
)

// pairKernels are the lines of bfloat16 by VDPBF16PS, where the machine has it.
func pairKernels() []Kernel {
	if !dot.HasPairs() {
		return nil
	}
	return []Kernel{{BF16, ABF16, cpu.AVX512, "pairs", 0, linearPairs, nil}}
}

// linearPairs is linearBF16 by products of pairs: as there, but for the rows, which are packed first, manyRows at a time.
func linearPairs(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	s.float = mem.Sized(s.float, manyRows*32)
	c := s.float // [rows][blocks*16]
	kp := num.Pad(w.K, 64)
	stride := dot.BlockSize(dot.BF16, kp)
	rows, blocks, step := manyRows, 2, panelBytes/2/dot.BlockSize(dot.BF16, 1)
	if x.M <= fewRows {
		rows, blocks, step = fewRows, min(max(callBytes/stride&^1, 2), len(c)/fewRows/16), kp
	}
	s.pairs = mem.Sized(s.pairs, rows*kp)
	for m := 0; m < x.M; m += rows {
		rows := min(rows, x.M-m)
		for r := range rows {
			dot.PackPairs(s.pairs[r*kp:][:kp], x.BF16[(m+r)*x.Stride:][:kp])
		}
		for b := b0; b < b1; b += blocks {
			nb := min(blocks, b1-b)
			ldc := num.Pad(nb, 2) * 16
			clear(c[:rows*ldc])
			for k := 0; k < kp; k += step {
				dot.RowsPairs(c, ldc, s.pairs[k:], kp, w.Data[b*stride+dot.BlockSize(dot.BF16, k):], stride, rows, nb, min(step, kp-k))
			}
			finishFloat(y[m*ldy+16*(b-b0):], ldy, c, ldc, rows, w, b, b+nb, add)
		}
	}
}
