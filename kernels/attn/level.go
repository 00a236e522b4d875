package attn

import "qpt/kernels/internal/dot"

// level is the kernels of one instruction set. Calls through it keep nothing off the heap.
type level struct {
	attend func(f dot.Kind, a *attnArgs) // a run of blocks in one call; nil: by steps
	pack   func(dst, q []uint16)         // rows of bfloat16 as attend takes them; nil: as they are
	// Rows of n values, a multiple of 32, ldx apart, times scale as bfloat16 and packed; nil: row by row, elem.RoundBF16 and pack.
	queries      func(q []uint16, x []float32, ldx, rows, n int, scale float32)
	short        func(a *shortArgs) // all heads of a short text; nil: there is none
	softmaxBlock func(rows int, s, m, l, o []float32, hd int, half bool)
	divideRows   func(out, o, l []float32, rows, dim, hd int)

	putKey, putValue func(b []byte, x []float32) // a row of a BF16 cache, whose first value lies at b
	// The same of up to 16 positions, of 16 that lie side by side, or of pairs of the 32 of a block, for n of a multiple of 32; rows of x are ldx apart. nil: row by row.
	putKeys, putValues       func(b []byte, x []float32, ldx, rows, n int)
	expandKeys, expandValues func(dst, codes []byte, scale []float32) // rows of 32 codes of an I8 cache
}

// generic is the twins.
var generic = level{
	softmaxBlock: softmaxBlockGeneric,
	divideRows:   divideRowsGeneric,
	putKey:       putKeyGeneric,
	putValue:     putValueGeneric,
	expandKeys:   expandKeysGeneric,
	expandValues: expandValuesGeneric,
}
