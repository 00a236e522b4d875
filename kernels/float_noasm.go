//go:build purego || !amd64

package kernels

func absMax(x []float32) uint32 { return absMaxGeneric(x) }

func codes8(dst []byte, x []float32, inv float32, zero int32, lo, hi float32) {
	codes8Generic(dst, x, inv, zero, lo, hi)
}

func codes16(hi, lo []byte, x []float32, inv float32) { codes16Generic(hi, lo, x, inv) }

func roundBF16(dst []uint16, wide, x []float32, scale float32) {
	roundBF16Generic(dst, wide, x, scale)
}

func siluMul(dst, g, u []float32) { siluMulGeneric(dst, g, u) }

func silu(dst, x []float32) { siluGeneric(dst, x) }

func geluTanh(dst, x []float32) { geluTanhGeneric(dst, x) }

func add(dst, a, b []float32) { addGeneric(dst, a, b) }

func sub(dst, a, b []float32) { subGeneric(dst, a, b) }

func mul(dst, a, b []float32) { mulGeneric(dst, a, b) }

func sumSquares(x []float32) float32 { return sumSquaresGeneric(x) }

func normRow(dst, x, w []float32, inv, offset float32) { normRowGeneric(dst, x, w, inv, offset) }

func dotRows(f Format, c []float32, ldc int, a []float32, lda int, b []byte, stride, rows, nb, k int) {
	dotRowsGeneric(f, c, ldc, a, lda, b, stride, rows, nb, k)
}

func attendBlocks(f Format, a *attnArgs) { attendBlocksGeneric(f, a) }

func softmaxBlock(rows int, s, m, l, o []float32, hd int, half bool) {
	softmaxBlockGeneric(rows, s, m, l, o, hd, half)
}

func divideRows(out, o, l []float32, rows, dim, hd int) { divideRowsGeneric(out, o, l, rows, dim, hd) }

func putKey(b []byte, x []float32) { putKeyGeneric(b, x) }

func putValue(b []byte, x []float32) { putValueGeneric(b, x) }

func rotateHalves(x, t []float32, n, headDim int) { rotateHalvesGeneric(x, t, n, headDim) }

func expandKeys(dst, codes []byte, scale []float32) { expandKeysGeneric(dst, codes, scale) }

func expandValues(dst, codes []byte, scale []float32) { expandValuesGeneric(dst, codes, scale) }
