//go:build purego || !amd64

package attn

import "qpt/kernels/internal/dot"

func attendBlocks(f dot.Kind, a *attnArgs) { attendBlocksGeneric(f, a) }

func softmaxBlock(rows int, s, m, l, o []float32, hd int, half bool) {
	softmaxBlockGeneric(rows, s, m, l, o, hd, half)
}

func divideRows(out, o, l []float32, rows, dim, hd int) { divideRowsGeneric(out, o, l, rows, dim, hd) }

func putKey(b []byte, x []float32) { putKeyGeneric(b, x) }

func putValue(b []byte, x []float32) { putValueGeneric(b, x) }

func expandKeys(dst, codes []byte, scale []float32) { expandKeysGeneric(dst, codes, scale) }

func expandValues(dst, codes []byte, scale []float32) { expandValuesGeneric(dst, codes, scale) }
