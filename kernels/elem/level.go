package elem

// level is the kernels of one instruction set. Lengths were checked by the callers
// and may be any; dst may be an operand. Calls through it keep nothing off the heap:
// slices of arrays on the stack would move there.
type level struct {
	absMax        func(x []float32) uint32
	extremes      func(x []float32, bits []uint32) (signed int32, unsigned uint32)
	codes8        func(dst []byte, x []float32, inv float32, zero int32, lo, hi float32)
	codes8Rows    func(dst []byte, ld int, x []float32, n int, inv float32, zero int32, lo, hi float32) // of a positive multiple of 8 each; nil: row by row
	decode8       func(dst []float32, x []byte, zero int32, scale float32)
	interleave3   func(dst, a, b, c []byte)
	gate8         func(dst, x []byte, gate []float32, r *Recoding)
	codes16       func(hi, lo []byte, x []float32, inv float32)
	toBF16        func(dst []uint16, x []float32)
	fromBF16      func(dst []float32, x []uint16)
	roundBF16     func(dst []uint16, wide, x []float32, scale float32)
	siluMul       func(dst, g, u []float32)
	add, sub, mul func(dst, a, b []float32)
	sumSquares    func(x []float32) float32
	normRow       func(dst, x, w []float32, inv, offset float32)
	layerNorm     func(dst, x, w, b []float32, eps float64) // a row that is not empty, with both; nil: step by step
	rotateHalves  func(x, t []float32, n, headDim int)

	unary  [fnCount]func(dst, x []float32)
	binary [fnCount2]func(dst, a, b []float32) // a and b may be single values
	// For norms and softmax: a row and a number; top's row is not empty.
	sum, top           func(x []float32) float32
	expSum             func(dst, x []float32, top float32) float32
	minus, times, over func(dst, x []float32, s float32)
}

// generic is the twins.
var generic = level{
	absMax:       absMaxGeneric,
	extremes:     extremesGeneric,
	codes8:       codes8Generic,
	decode8:      decode8Generic,
	gate8:        gate8Generic,
	interleave3:  interleave3Generic,
	codes16:      codes16Generic,
	toBF16:       toBF16Generic,
	fromBF16:     fromBF16Generic,
	roundBF16:    roundBF16Generic,
	siluMul:      siluMulGeneric,
	add:          addGeneric,
	sub:          subGeneric,
	mul:          mulGeneric,
	sumSquares:   sumSquaresGeneric,
	normRow:      normRowGeneric,
	rotateHalves: rotateHalvesGeneric,
	unary:        eachTwin(),
	binary:       pairTwins(),
	sum:          sumGeneric,
	top:          topGeneric,
	expSum:       expSumGeneric,
	minus:        minusGeneric,
	times:        timesGeneric,
	over:         overGeneric,
}
