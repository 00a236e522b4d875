package main

// Depthwise convolutions on AVX2 take several places of a run at once, so that weights are read once for these: see windowArgs.
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

// depthFloats4 prints the fours of places of depthFloats: 16 features, then 8; sums of place p in Y(2p), Y(2p+1), weights in Y8, Y9, products in Y10 to Y15 in turn.
func depthFloats4(o *out) {
	block := func(label string, vectors int) {
		depthBlock(o, label, 4, func() {
			for p := range 4 {
				for j := range vectors {
					o.p("VXORPS Y%d, Y%[1]d, Y%[1]d", 2*p+j)
				}
			}
		}, func() {
			o.p("MOVQ (R8), R10")
			o.p("ADDQ R11, R10")
			o.p("ADDQ $8, R8")
			for j := range vectors {
				o.p("VMOVUPS %d(R13), Y%d", 32*j, 8+j)
			}
			for i := range 4 * vectors {
				p, j, t := i/vectors, i%vectors, 10+i%6
				o.p("VMULPS %s, Y%d, Y%d", blockAddr(p, 32*j, "R10", "R14", "R15"), 8+j, t)
				o.p("VADDPS Y%d, Y%d, Y%[2]d", t, 2*p+j)
			}
		}, func() {
			o.load("windowArgs", "bias", "R10", "ldd", "BX")
			o.p("LEAQ (BX)(BX*2), R13")
			o.p("LEAQ (DI)(R9*4), R8")
			for j := range vectors {
				o.p("VMOVUPS %d(R10)(R9*4), Y%d", 32*j, 8+j)
			}
			for p := range 4 {
				for j := range vectors {
					o.p("VADDPS Y%d, Y%d, Y%[2]d", 8+j, 2*p+j)
					o.p("VMOVUPS Y%d, %s", 2*p+j, blockAddr(p, 32*j, "R8", "BX", "R13"))
				}
			}
			o.p("ADDQ $%d, R9", 8*vectors)
		})
	}
	o.p("MOVQ windowArgs_step(AX), R14")
	o.p("LEAQ (R14)(R14*2), R15")
	o.label("places")
	o.p("CMPQ CX, $4")
	o.p("JB few")
	o.p("XORQ R9, R9")
	o.label("sixteen")
	o.p("LEAQ 16(R9), BX")
	o.p("CMPQ BX, R12")
	o.p("JA eight")
	block("tap16", 2)
	o.p("JMP sixteen")
	o.label("eight")
	o.p("LEAQ 8(R9), BX")
	o.p("CMPQ BX, R12")
	o.p("JA four4")
	block("tap8", 1)
	o.label("four4")
	o.p("LEAQ (DX)(R14*4), DX")
	o.p("MOVQ windowArgs_ldd(AX), BX")
	o.p("LEAQ (DI)(BX*4), DI")
	o.p("SUBQ $4, CX")
	o.p("JMP places")
	o.label("few")
	o.p("TESTQ CX, CX")
	o.p("JZ end")
}
