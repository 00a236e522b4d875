package attn

import (
	"math"
	"math/bits"
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/dot"
)

// divideRowsGeneric: out [rows][dim] = o [rows][hd] * (1 / sum(l [rows][16])).
func divideRowsGeneric(out, o, l []float32, rows, dim, hd int) {
	for r := range rows {
		inv := 1 / elem.FoldLanes((*[16]float32)(l[r*16:]))
		for d := range dim {
			out[r*dim+d] = o[r*hd+d] * inv
		}
	}
}

// attendBySteps takes a run of blocks through products, x unless it is nil, mask, softmax and products.
func attendBySteps(f dot.Kind, a *attnArgs, x *extras) {
	q, o := unsafe.Slice(a.q, a.rows*a.hd), unsafe.Slice(a.o, a.rows*a.hd)
	s, m, l := unsafe.Slice(a.s, 16*32), unsafe.Slice(a.m, a.rows), unsafe.Slice(a.l, a.rows*16)
	for i := range a.blocks {
		k, v := unsafe.Slice(a.k, a.blocks*a.size)[i*a.size:][:a.size], unsafe.Slice(a.v, a.blocks*a.size)[i*a.size:][:a.size]
		for r := 0; r < a.rows; r += 16 {
			n := min(16, a.rows-r)
			clear(s)
			dot.Rows(f, s, 32, q[r*a.hd:], a.hd, k, a.size/2, n, 2, a.hd)
			if x != nil {
				x.adjust(s[:n*32], r, i, k)
			}
			if a.at[i] >= 0 {
				hide(s, unsafe.Slice((*uint32)(unsafe.Add(unsafe.Pointer(a.mask), a.at[i])), a.rows)[r:][:n])
			}
			active().softmaxBlock(n, s, m[r:], l[r*16:], o[r*a.hd:], a.hd, f == dot.BF16)
			dot.Rows(f, o[r*a.hd:], a.hd, s, 32, v, dot.BlockSize(f, 32), n, a.hd/16, 32)
		}
	}
}

// hide makes -Inf of the scores s [len(mask)][32] that are not visible.
func hide(s []float32, mask []uint32) {
	for r, seen := range mask {
		for hidden := ^seen; hidden != 0; hidden &= hidden - 1 {
			s[r*32+bits.TrailingZeros32(hidden)] = float32(math.Inf(-1))
		}
	}
}

// softmaxBlockGeneric turns the scores s [rows][32] of a block into p and
// brings m [rows], l [rows][16] and o [rows][hd] up to date.
func softmaxBlockGeneric(rows int, s, m, l, o []float32, hd int, half bool) {
	for r := range rows {
		s := s[r*32:][:32]
		top := m[r]
		for _, v := range s {
			if v > top {
				top = v
			}
		}
		for j, v := range s {
			s[j] = exp2(v - top)
			if half {
				s[j] = num.FromBF16(num.BF16(s[j]))
			}
		}
		alpha := exp2(m[r] - top)
		m[r] = top
		for i := range 16 {
			l[r*16+i] = float32(l[r*16+i]*alpha) + float32(s[2*i]+s[2*i+1])
		}
		for d := range hd {
			o[r*hd+d] *= alpha
		}
	}
}
