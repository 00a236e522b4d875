package main

// Depthwise convolutions of codes on AVX2: see windowArgs.
//
// AX a, SI the table, CX places left, DI results, DX bytes of all places before, R14 from place to place and R15 three times that, R12 features, R9 feature, R11 bytes
// from a row's start, R8 the table and R10 a row, R13 a row of weights, BX taps left.

// depthBlock prints the taps of a block of features from R9 on, of size bytes each, for the places that tap sees to.
func depthBlock(o *out, label string, size int, begin, tap, end func()) {
	o.p("MOVQ windowArgs_w(AX), R13")
	o.p("LEAQ (R13)(R9*4), R13")
	o.p("MOVQ SI, R8")
	o.p("MOVQ windowArgs_taps(AX), BX")
	o.p("LEAQ (DX)(R9*%d), R11", size)
	begin()
	o.label(label)
	tap()
	o.p("ADDQ windowArgs_ldw(AX), R13")
	o.p("DECQ BX")
	o.p("JNZ %s", label)
	end()
}

// depthPairs prints depthPairs (codes: depthPairCodes), 32 features at a time of one place: low and high halves of the weights are multiplied apart, so that sums of 8 pairs of taps
// stay 16 bits wide: in Y0, Y1 those of the low ones, from -32768 on, in Y2, Y3 of the high ones, then in Y4 to Y7 both. Here R9 goes by blocks of features and R11 is the first feature of one, the
// last of which ends with the last feature; R14 bytes from a row's start, R15 pairs left of 8.
func depthPairs(o *out, codes bool) {
	name := "depthPairs"
	if codes {
		name = "depthPairCodes"
	}
	o.text(name+"AVX2", "a *windowArgs", "See windowArgs.")
	o.load("windowArgs", "x", "SI", "places", "CX", "dst", "DI", "features", "R12")
	o.p("XORQ DX, DX")
	o.label("place")
	o.p("XORQ R9, R9")
	o.label("block")
	o.p("LEAQ -32(R12), R11")
	o.p("CMPQ R9, R11")
	o.p("CMOVQLT R9, R11")
	o.p("LEAQ (DX)(R11*1), R14")
	o.p("MOVQ SI, R8")
	o.load("windowArgs", "w", "R13", "taps", "BX", "start", "R10")
	o.p("LEAQ (R13)(R9*4), R13")
	for i := range 4 {
		o.p("VMOVDQU %d(R10)(R9*4), Y%d", 32*i, 4+i)
	}
	o.label("eight")
	o.p("VPBROADCASTD least<>(SB), Y0")
	o.p("VMOVDQA Y0, Y1")
	o.p("VPXOR Y2, Y2, Y2")
	o.p("VPXOR Y3, Y3, Y3")
	o.p("MOVQ $8, R15")
	o.p("CMPQ BX, R15")
	o.p("CMOVQLT BX, R15")
	o.p("SUBQ R15, BX")
	o.label("pair")
	for i := range 2 {
		o.p("MOVQ %d(R8), R10", 8*i)
		o.p("VMOVDQU (R10)(R14*1), Y%d", 8+i)
	}
	o.p("VPUNPCKLBW Y9, Y8, Y10")
	o.p("VPUNPCKHBW Y9, Y8, Y11")
	for i := range 4 {
		o.p("VPMADDUBSW %d(R13), Y%d, Y%d", 32*i, 10+i%2, 12+i)
		o.p("VPADDW Y%d, Y%d, Y%[2]d", 12+i, i)
	}
	o.p("ADDQ $16, R8")
	o.p("ADDQ windowArgs_ldw(AX), R13")
	o.p("DECQ R15")
	o.p("JNZ pair")
	o.p("VPBROADCASTD halves<>(SB), Y12")
	for i := range 4 {
		o.p("VPUNPCK%sWD Y%d, Y%d, Y%d", []string{"L", "H"}[i%2], 2+i/2, i/2, 8+i)
		o.p("VPMADDWD Y12, Y%d, Y%[1]d", 8+i)
		o.p("VPADDD Y%d, Y%d, Y%[2]d", 8+i, 4+i)
	}
	o.p("TESTQ BX, BX")
	o.p("JNZ eight")
	o.load("windowArgs", "scale", "R10", "bias", "R8")
	o.p("VBROADCASTSS windowArgs_factor(AX), Y8")
	if codes {
		o.p("VBROADCASTSS windowArgs_inv(AX), Y9")
		o.p("VBROADCASTSS windowArgs_hi(AX), Y10")
		o.p("VPBROADCASTD windowArgs_zero(AX), Y11")
	}
	for i := range 4 { // in the order of the vectors
		acc := 4 + i
		o.p("VCVTDQ2PS Y%d, Y%[1]d", acc)
		o.p("VMULPS Y8, Y%d, Y%[1]d", acc)
		o.p("VMULPS %d(R10)(R9*4), Y%d, Y%[2]d", 32*i, acc)
		o.p("VADDPS %d(R8)(R9*4), Y%d, Y%[2]d", 32*i, acc)
		if codes { // see depthQuads
			o.p("VMULPS Y9, Y%d, Y%[1]d", acc)
			o.p("VMINPS Y%d, Y10, Y%[1]d // NaN stays", acc)
			o.p("VCVTPS2DQ Y%d, Y%[1]d", acc)
			o.p("VPADDD Y11, Y%d, Y%[1]d", acc)
		}
	}
	if codes {
		o.p("VPACKSSDW Y5, Y4, Y4")
		o.p("VPACKSSDW Y7, Y6, Y6")
		o.p("VPACKUSWB Y6, Y4, Y4")
		o.p("VMOVDQU Y4, (DI)(R11*1)")
	} else { // features side by side
		for i := range 4 {
			o.p("VPERM2F128 $%#x, Y%d, Y%d, Y%d", []int{0x20, 0x31}[i/2], 5+i%2*2, 4+i%2*2, 8+i)
			o.p("VMOVUPS Y%d, %d(DI)(R11*4)", 8+i, 32*i)
		}
	}
	o.p("ADDQ $32, R9")
	o.p("CMPQ R9, R12")
	o.p("JB block")
	o.p("ADDQ windowArgs_step(AX), DX")
	o.p("ADDQ windowArgs_ldd(AX), DI")
	o.p("DECQ CX")
	o.p("JNZ place")
	o.p("VZEROUPPER")
	o.p("RET")
}
