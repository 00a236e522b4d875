package main

import "fmt"

// Digits as words, for codes above 127 on AVX2 (linear.wordKernel).

// dotWords256 is for one row as words (coder.words), codes of any size. Sums of the lower words Y0 to Y3, four columns each in two parts, of the upper ones Y4 to Y7, of codes as words Y8, Y9; ones Y10; 11 codes, 12 temporary, 13, 14 inputs.
// Lower words are more by 128 than the two digits they stand for: 128 times the sum of codes is taken off.
func (o *out) dotWords256(planes int) {
	o.text(fmt.Sprintf("dotWords%dAVX2", planes), "a *digitArgs", fmt.Sprintf("%d digits as words, 1 row.", planes))
	o.digitRegs()
	fmt.Fprint(&o.data, "DATA digitWeights<>+0(SB)/8, $0x4780000043800000\nGLOBL digitWeights<>(SB), RODATA|NOPTR, $8\n")
	o.constant(vectors256, 10, 0x01010101)
	parts := map[int]int{1: 1, 2: 1, 3: 2}[planes]
	o.label("group")
	for i := range 10 {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	o.p("MOVQ R8, CX")
	o.label("line")
	o.p("PREFETCHT1 %d(SI) // codes of 8 bits are read where they are", codesAhead)
	for i := range parts {
		o.p("VPBROADCASTQ %d(DI), Y%d", 8*i, 13+i)
	}
	if planes > 1 {
		for h := range 2 {
			o.p("VMOVDQU %d(SI), Y12", 32*h)
			o.p("VPMADDUBSW Y10, Y12, Y12")
			o.p("VPADDW Y12, Y%d, Y%d", 8+h, 8+h)
		}
	}
	for q := range 4 {
		o.p("VPMOVZXBW %d(SI), Y11", 16*q)
		for i := range parts {
			o.p("VPMADDWD Y%d, Y11, Y12", 13+i)
			o.p("VPADDD Y12, Y%d, Y%d", 4*i+q, 4*i+q)
		}
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ $%d, DI", 8*parts)
	o.p("DECQ CX")
	o.p("JNZ line")
	o.constant(vectors256, 11, 0x00800080)
	o.p("VBROADCASTSS digitWeights<>+4(SB), Y13")
	o.p("VBROADCASTSS (R14), Y14")
	for h := range 2 {
		for i := range parts {
			a := 4*i + 2*h
			o.p("VPHADDD Y%d, Y%d, Y%d", a+1, a, a)
			o.p("VPERMQ $0xd8, Y%d, Y%d", a, a)
		}
		if planes > 1 {
			o.p("VPMADDWD Y11, Y%d, Y%d", 8+h, 8+h)
			o.p("VPSUBD Y%d, Y%d, Y%d", 8+h, 2*h, 2*h)
		}
		for i := range parts {
			o.p("VCVTDQ2PS Y%d, Y%d", 4*i+2*h, 4*i+2*h)
		}
		if planes > 2 {
			o.p("VFMADD231PS Y13, Y%d, Y%d", 4+2*h, 2*h)
		}
		o.p("VFNMADD231PS %d(R13), Y14, Y%d", 32*h, 2*h)
		o.p("VMOVUPS %d(DX), Y12", 32*h)
		o.p("VFMADD231PS %d(R10), Y%d, Y12", 32*h, 2*h)
		o.p("TESTQ R12, R12")
		o.p("JZ store%d", h)
		o.p("VFMADD231PS %d(R12), Y14, Y12", 32*h)
		o.label(fmt.Sprintf("store%d", h))
		o.p("VMOVUPS Y12, %d(DX)", 32*h)
	}
	o.p("TESTQ R12, R12")
	o.p("JZ next")
	o.p("ADDQ $64, R12")
	o.label("next")
	o.nextGroup(4)
	o.p("VZEROUPPER")
	o.p("RET")
}

// makeWords256 prints what makes words of digits: DI words, SI digits of 8 values a turn, of 16 with one plane.
func (o *out) makeWords256(planes int) {
	o.text(fmt.Sprintf("makeWords%dAVX2", planes), "a *wordsArgs", "n is a positive multiple of 16.")
	o.load("wordsArgs", "dst", "DI", "src", "SI", "n", "CX")
	if planes > 1 {
		fmt.Fprint(&o.data, "DATA wordOrder<>+0(SB)/8, $0x0703060205010400\nDATA wordOrder<>+8(SB)/8, $0x0b800a8009800880\nGLOBL wordOrder<>(SB), RODATA|NOPTR, $16\n")
		o.p("VBROADCASTI128 wordOrder<>(SB), Y2")
		o.constant(vectors256, 3, 0x00800080)
		o.p("MOVQ wordsArgs_n(AX), CX")
	}
	o.label("loop")
	values := 8
	switch planes {
	case 1:
		values = 16
		o.p("VPMOVSXBW (SI), Y0")
	default:
		o.p("VMOVDQU (SI), Y1")
		o.p("VPSHUFB Y2, Y1, Y1")
		o.p("VPXOR Y3, Y1, Y0")
	}
	if planes == 3 {
		o.p("VPSRAW $8, Y1, Y1")
		o.p("VPBLENDD $0xcc, Y1, Y0, Y0")
	}
	if planes == 2 {
		o.p("VPERMQ $8, Y0, Y0")
		o.p("VMOVDQU X0, (DI)")
	} else {
		o.p("VMOVDQU Y0, (DI)")
	}
	o.p("ADDQ $%d, SI", values*map[int]int{1: 1, 2: 4, 3: 4}[planes])
	o.p("ADDQ $%d, DI", values*map[int]int{1: 2, 2: 2, 3: 4}[planes])
	o.p("SUBQ $%d, CX", values)
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")
}
