//go:build purego || !amd64

package elem

func AbsMax(x []float32) uint32 { return absMaxGeneric(x) }

func Codes8(dst []byte, x []float32, inv float32, zero int32, lo, hi float32) {
	codes8Generic(dst, x, inv, zero, lo, hi)
}

func Codes16(hi, lo []byte, x []float32, inv float32) { codes16Generic(hi, lo, x, inv) }

func RoundBF16(dst []uint16, wide, x []float32, scale float32) {
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

func rotateHalves(x, t []float32, n, headDim int) { rotateHalvesGeneric(x, t, n, headDim) }
