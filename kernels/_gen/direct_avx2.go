package main

import "fmt"

// The tiles of direct.go on AVX2: of one block, which is two vectors. A step is four bytes of a tap as well: a float32, or two words, which codes and the weights of a
// block are made before, since VPMADDUBSW saturates.

func direct256() string {
	o := newFile()
	o.WriteString("\n// Of 4 columns of 4 bytes the first two bytes of each, then the last two.\n")
	for i := range 2 {
		fmt.Fprintf(o, "DATA halves<>+%d(SB)/8, $0x0d0c090805040100\nDATA halves<>+%d(SB)/8, $0x0f0e0b0a07060302\n", 16*i, 16*i+8)
	}
	o.WriteString("GLOBL halves<>(SB), RODATA|NOPTR, $32\n\n// Of the 16 lanes from 16 - n on the first n are set.\n")
	for i := range 16 {
		fmt.Fprintf(o, "DATA lanes<>+%d(SB)/8, $%#x\n", 8*i, []uint64{1<<64 - 1, 0}[i/8])
	}
	o.WriteString("GLOBL lanes<>(SB), RODATA|NOPTR, $128\n")
	o.WriteString("\n// Fours of codes of two rows in lanes of 16 bytes, one after the other.\nDATA rows<>+0(SB)/8, $0x0703060205010400\nGLOBL rows<>(SB), RODATA|NOPTR, $8\n")
	directWiden(o)
	directEnd256(o)
	winograd(o, false)
	for _, kind := range []string{"I8", "I8Halves", "F32"} {
		for _, rows := range directRows {
			directTile256(o, kind, rows)
		}
	}
	return o.String()
}

// directWiden prints what makes words of codes and of the weights of a block.
func directWiden(o *out) {
	o.text("widenCodesAVX2", "a *uint16, src *byte, n int", "n sixteens of codes.")
	o.p("MOVQ src+8(FP), SI")
	o.p("MOVQ n+16(FP), CX")
	o.label("loop")
	o.p("VPMOVZXBW (SI), Y0")
	o.p("VMOVDQU Y0, (AX)")
	o.p("ADDQ $16, SI")
	o.p("ADDQ $32, AX")
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")
	o.text("widenWeightsAVX2", "a *int16, src *byte, n int", "n lines [16][4] of a block as [2][16][2].")
	o.p("MOVQ src+8(FP), SI")
	o.p("MOVQ n+16(FP), CX")
	o.p("VMOVDQU halves<>(SB), Y4")
	o.label("loop")
	for h := range 2 {
		o.p("VMOVDQU %d(SI), Y%d", 32*h, h)
		o.p("VPSHUFB Y4, Y%d, Y%[1]d", h)
		o.p("VPERMQ $0xd8, Y%d, Y%[1]d", h)
		o.p("VPMOVSXBW X%d, Y%d", h, 2+h)
		o.p("VEXTRACTI128 $1, Y%d, X%[1]d", h)
		o.p("VPMOVSXBW X%d, Y%[1]d", h)
		o.p("VMOVDQU Y%d, %d(AX)", 2+h, 32*h)
		o.p("VMOVDQU Y%d, %d(AX)", h, 64+32*h)
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ $128, AX")
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")
}

// directTile256 sums rows of a block in Y0.., two a row; Y12 and Y13 weights, Y14 inputs, Y15 products or inputs in turn. General registers are those of directTile; of halves R15 is how far
// behind the inputs of the first 8 columns those of the others lie, R9 is CX for these.
func directTile256(o *out, kind string, rows int) {
	float, halves := kind == "F32", kind == "I8Halves"
	o.text(fmt.Sprintf("direct%sx%dAVX2", kind, rows), "a *directArgs", fmt.Sprintf("Tiles of %d rows x 16 columns.", rows))
	pointers := []string{"SI", "DI", "BX", "R11", "R12", "R13"}[:rows]
	o.label("tile")
	o.load("directArgs", "table", "DX", "w", "R8", "fetch", "R14", "taps", "R10", "start", "CX")
	o.p("MOVQ R10, directArgs_left(AX)")
	for i := range 2 * rows {
		o.p("VMOVDQU %d(CX), Y%d", i%2*32, i)
	}
	if halves {
		o.load("directArgs", "half", "R15")
	}
	o.label("tap")
	for i, r := range pointers {
		o.p("MOVQ %d(DX), %s", 8*i, r)
	}
	o.p("ADDQ directArgs_ldt(AX), DX")
	o.p("MOVQ directArgs_from(AX), CX")
	steps := func(n int) {
		if halves {
			o.p("LEAQ (CX)(R15*1), R9")
		}
		for u := range n {
			for j := range 2 {
				o.p("VMOVDQU %d(R8), Y%d", u*64+32*j, 12+j)
			}
			for i, r := range pointers {
				if float {
					x := 14 + i%2
					o.p("VBROADCASTSS %d(%s)(CX*1), Y%d", u*4, r, x)
					o.p("VFMADD231PS Y12, Y%d, Y%d", x, 2*i)
					o.p("VFMADD231PS Y13, Y%d, Y%d", x, 2*i+1)
					continue
				}
				o.p("VPBROADCASTD %d(%s)(CX*1), Y14", u*4, r)
				o.p("VPMADDWD Y12, Y14, Y15")
				if halves {
					o.p("VPBROADCASTD %d(%s)(R9*1), Y14", u*4, r)
				}
				o.p("VPMADDWD Y13, Y14, Y14")
				o.p("VPADDD Y15, Y%d, Y%[1]d", 2*i)
				o.p("VPADDD Y14, Y%d, Y%[1]d", 2*i+1)
			}
		}
		o.p("ADDQ $%d, R8", 64*n)
		o.p("ADDQ $%d, CX", 4*n)
	}
	o.p("CMPQ CX, directArgs_most(AX)")
	o.p("JGE rest")
	o.label("four")
	o.p("PREFETCHT1 (R14)")
	o.p("ADDQ directArgs_step(AX), R14")
	steps(4)
	o.p("CMPQ CX, directArgs_most(AX)")
	o.p("JLT four")
	o.label("rest")
	o.p("CMPQ CX, directArgs_to(AX)")
	o.p("JGE done")
	o.label("one")
	steps(1)
	o.p("CMPQ CX, directArgs_to(AX)")
	o.p("JLT one")
	o.label("done")
	o.p("DECQ directArgs_left(AX)")
	o.p("JNZ tap")
	o.p("ADDQ $%d, directArgs_table(AX)", 8*rows)
	o.p("MOVQ R14, directArgs_fetch(AX)")
	directWhole256(o, float, rows)
	o.label("part")
	o.p("MOVQ directArgs_c(AX), SI")
	for i := range 2 * rows {
		o.p("VMOVDQU Y%d, %d(SI)", i, 32*i)
	}
	o.p("MOVQ $%d, CX", rows)
	o.p("CALL directEnd<>(SB)")
	o.label("next")
	o.p("CMPQ directArgs_rows(AX), $0")
	o.p("JG tile")
	o.p("VZEROUPPER")
	o.p("RET")
}

// directWhole256 is the end of a tile of 16 columns all of whose rows count, with the sums in Y0.. from first to last; others go on at part. DI results, R8 from row to row, R10 what is added, R11 from row to row.
func directWhole256(o *out, float bool, rows int) {
	all := func(format string) { // 1 a sum, 2 the half of the row that it is
		for i := range 2 * rows {
			o.p(format, i, i%2)
		}
	}
	o.load("directArgs", "mask", "DX", "rows", "CX", "dst", "DI", "ldd", "R8", "other", "R10", "ldo", "R11", "bias", "R13")
	o.p("CMPQ DX, $0xffff")
	o.p("JNE part")
	o.p("SUBQ $%d, CX", rows)
	o.p("JLT part")
	o.p("MOVQ CX, directArgs_rows(AX)")
	if !float {
		o.load("directArgs", "scale", "R12")
		o.p("VMOVUPS (R12), Y12")
		o.p("VMOVUPS 32(R12), Y13")
		o.p("VBROADCASTSS directArgs_factor(AX), Y14")
		all("VCVTDQ2PS Y%d, Y%[1]d")
		all("VMULPS Y14, Y%d, Y%[1]d")
		for i := range 2 * rows {
			o.p("VMULPS Y%d, Y%d, Y%[2]d", 12+i%2, i)
		}
	}
	o.p("VMOVUPS (R13), Y12")
	o.p("VMOVUPS 32(R13), Y13")
	for i := range 2 * rows {
		o.p("VADDPS Y%d, Y%d, Y%[2]d", 12+i%2, i)
	}
	o.p("CMPQ directArgs_codes(AX), $0")
	o.p("JE wholeFloats")
	o.p("TESTQ R10, R10")
	o.p("JZ wholeCodes")
	o.p("VPBROADCASTD directArgs_otherZero(AX), Y14")
	o.p("VBROADCASTSS directArgs_otherScale(AX), Y15")
	for i := range 2 * rows {
		x := 12 + i%2
		o.p("VPMOVZXBD %d(R10), Y%d", i%2*8, x)
		o.p("VPSUBD Y14, Y%d, Y%[1]d", x)
		o.p("VCVTDQ2PS Y%d, Y%[1]d", x)
		o.p("VMULPS Y15, Y%d, Y%[1]d", x)
		o.p("VADDPS Y%d, Y%d, Y%[2]d", x, i)
		if i%2 > 0 {
			o.p("ADDQ R11, R10")
		}
	}
	o.p("MOVQ R10, directArgs_other(AX)")
	o.label("wholeCodes") // what is below Lo, which is -Zero, is 0 by saturation, and so is -2^31, what NaN becomes
	o.p("VBROADCASTSS directArgs_inv(AX), Y12")
	if float {
		o.p("VBROADCASTSS directArgs_hi(AX), Y13")
	} else {
		o.p("VPBROADCASTB directArgs_greatest(AX), Y13")
	}
	o.p("VPBROADCASTW directArgs_zero(AX), Y14")
	o.p("VPMOVZXBD rows<>(SB), Y15")
	all("VMULPS Y12, Y%d, Y%[1]d")
	if float {
		all("VMINPS Y%d, Y13, Y%[1]d // NaN stays")
	}
	all("VCVTPS2DQ Y%d, Y%[1]d")
	for i := 0; i < rows; i += 2 {
		second := min(i+1, rows-1)
		for r := i; r <= second; r++ {
			o.p("VPACKSSDW Y%d, Y%d, Y%[2]d", 2*r+1, 2*r)
			o.p("VPADDSW Y14, Y%d, Y%[1]d", 2*r)
		}
		o.p("VPACKUSWB Y%d, Y%d, Y%[2]d", 2*second, 2*i)
		if !float {
			o.p("VPMINUB Y13, Y%d, Y%[1]d", 2*i)
		}
		o.p("VPERMD Y%d, Y15, Y%[1]d", 2*i)
		o.p("VMOVDQU X%d, (DI)", 2*i)
		o.p("ADDQ R8, DI")
		if second > i {
			o.p("VEXTRACTI128 $1, Y%d, (DI)", 2*i)
			o.p("ADDQ R8, DI")
		}
	}
	o.p("MOVQ DI, directArgs_dst(AX)")
	o.p("JMP next")
	o.label("wholeFloats")
	o.p("TESTQ R10, R10")
	o.p("JZ wholeBound")
	for i := range 2 * rows {
		o.p("VADDPS %d(R10), Y%d, Y%[2]d", i%2*32, i)
		if i%2 > 0 {
			o.p("ADDQ R11, R10")
		}
	}
	o.p("MOVQ R10, directArgs_other(AX)")
	o.label("wholeBound")
	o.p("VBROADCASTSS directArgs_lo(AX), Y12")
	o.p("VBROADCASTSS directArgs_hi(AX), Y13")
	all("VMAXPS Y%d, Y12, Y%[1]d // NaN stays")
	all("VMINPS Y%d, Y13, Y%[1]d")
	for i := range 2 * rows {
		o.p("VMOVUPS Y%d, %d(DI)", i, i%2*32)
		if i%2 > 0 {
			o.p("ADDQ R8, DI")
		}
	}
	o.p("MOVQ DI, directArgs_dst(AX)")
	o.p("JMP next")
}

// directEnd256 brings the sums of a tile at SI to dst: CX rows, or as many as are left. Y4, Y5 scales, Y6, Y7 biases; R9 columns. Of less than 16 columns what is added is copied behind
// the tile (R12) first.
func directEnd256(o *out) {
	o.WriteString("\n// directEnd is the end of a tile: sums at SI, CX rows of them or as many as are left.\nTEXT directEnd<>(SB), NOSPLIT|NOFRAME, $0-0\n")
	o.load("directArgs", "rows", "DX")
	o.p("CMPQ CX, DX")
	o.p("CMOVQGT DX, CX")
	o.p("SUBQ CX, DX")
	o.p("MOVQ DX, directArgs_rows(AX)")
	o.load("directArgs", "dst", "DI", "ldd", "R8", "other", "R10", "ldo", "R11", "scale", "R12", "bias", "R13", "mask", "R9")
	o.p("POPCNTQ R9, R9")
	for i, f := range []string{"factor", "lo", "hi", "inv", "otherScale"} {
		o.p("VBROADCASTSS directArgs_%s(AX), Y%d", f, 8+i)
	}
	o.p("VPBROADCASTD directArgs_zero(AX), Y13")
	o.p("VPBROADCASTD directArgs_otherZero(AX), Y14")
	o.p("VMOVUPS (R13), Y6")
	o.p("VMOVUPS 32(R13), Y7")
	o.p("MOVQ directArgs_codes(AX), DX")
	o.p("TESTQ R12, R12")
	o.p("JZ sums")
	o.p("VMOVUPS (R12), Y4")
	o.p("VMOVUPS 32(R12), Y5")
	o.p("TESTQ DX, DX")
	o.p("JZ intsToFloats")
	endRows256(o, true, true)
	endRows256(o, true, false)
	o.label("sums")
	o.p("TESTQ DX, DX")
	o.p("JZ floatsToFloats")
	endRows256(o, false, true)
	endRows256(o, false, false)
	o.label("done")
	o.p("MOVQ DI, directArgs_dst(AX)")
	o.p("MOVQ R10, directArgs_other(AX)")
	o.p("RET")
}

// bits prints for n of 8, 4, 2, 1 what is done to as many columns if the number of columns in R9 has them.
func bits(o *out, name string, do func(n int)) {
	for n := 8; n > 0; n /= 2 {
		o.p("TESTQ $%d, R9", n)
		o.p("JZ %s%d", name, n)
		do(n)
		o.label(fmt.Sprintf("%s%d", name, n))
	}
}

// endRows256 is the loop of rows for sums and results of each kind.
func endRows256(o *out, ints, codes bool) {
	name := map[bool]string{true: "ints", false: "floats"}[ints] + "To" + map[bool]string{true: "Codes", false: "Floats"}[codes]
	both := func(format string) {
		for j := range 2 {
			o.p(format, j)
		}
	}
	o.label(name)
	o.p("VMOVUPS (SI), Y0")
	o.p("VMOVUPS 32(SI), Y1")
	if ints {
		both("VCVTDQ2PS Y%d, Y%[1]d")
		both("VMULPS Y8, Y%d, Y%[1]d")
		o.p("VMULPS Y4, Y0, Y0")
		o.p("VMULPS Y5, Y1, Y1")
	}
	o.p("VADDPS Y6, Y0, Y0")
	o.p("VADDPS Y7, Y1, Y1")
	o.p("TESTQ R10, R10")
	o.p("JZ %sAlone", name)
	if codes {
		o.p("MOVQ R10, R12")
		o.p("CMPQ R9, $16")
		o.p("JEQ %sAdd", name)
		o.p("MOVQ R10, R13")
		o.p("MOVQ directArgs_c(AX), R12")
		o.p("ADDQ $512, R12")
		at := map[int]string{8: "MOVQ", 4: "MOVL", 2: "MOVW", 1: "MOVB"}
		bits(o, name+"Other", func(n int) {
			o.p("%s (R13), DX", at[n])
			o.p("%s DX, (R12)", at[n])
			o.p("ADDQ $%d, R13", n)
			o.p("ADDQ $%d, R12", n)
		})
		o.p("MOVQ directArgs_c(AX), R12")
		o.p("ADDQ $512, R12")
		o.label(name + "Add")
		o.p("VPMOVZXBD (R12), Y2")
		o.p("VPMOVZXBD 8(R12), Y3")
		for j := 2; j < 4; j++ {
			o.p("VPSUBD Y14, Y%d, Y%[1]d", j)
			o.p("VCVTDQ2PS Y%d, Y%[1]d", j)
			o.p("VMULPS Y12, Y%d, Y%[1]d", j)
		}
	} else {
		lanes(o)
		o.p("VMASKMOVPS (R10), Y2, Y2")
		o.p("VMASKMOVPS 32(R10), Y3, Y3")
	}
	o.p("VADDPS Y2, Y0, Y0")
	o.p("VADDPS Y3, Y1, Y1")
	o.label(name + "Alone")
	if codes {
		both("VMULPS Y11, Y%d, Y%[1]d")
		both("VMAXPS Y9, Y%d, Y%[1]d // NaN counts as the least")
		both("VMINPS Y10, Y%d, Y%[1]d")
		both("VCVTPS2DQ Y%d, Y%[1]d")
		both("VPADDD Y13, Y%d, Y%[1]d")
		o.p("VPACKSSDW Y1, Y0, Y0")
		o.p("VPERMQ $0xd8, Y0, Y0")
		o.p("VEXTRACTI128 $1, Y0, X1")
		o.p("VPACKUSWB X1, X0, X0")
		o.p("CMPQ R9, $16")
		o.p("JNE %sPart", name)
		o.p("VMOVDQU X0, (DI)")
		o.label(name + "Next")
	} else {
		both("VMAXPS Y%d, Y9, Y%[1]d // NaN stays")
		both("VMINPS Y%d, Y10, Y%[1]d")
		o.p("CMPQ R9, $16")
		o.p("JNE %sPart", name)
		o.p("VMOVUPS Y0, (DI)")
		o.p("VMOVUPS Y1, 32(DI)")
		o.label(name + "Next")
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ R8, DI")
	o.p("ADDQ R11, R10 // 0 where there is none")
	o.p("DECQ CX")
	o.p("JNZ %s", name)
	o.p("JMP done")
	o.label(name + "Part")
	if codes {
		o.p("MOVQ DI, R12")
		bits(o, name+"Store", func(n int) {
			o.p("%s X0, (R12)", map[int]string{8: "VMOVQ", 4: "VMOVD", 2: "VPEXTRW $0,", 1: "VPEXTRB $0,"}[n])
			o.p("VPSRLDQ $%d, X0, X0", n)
			o.p("ADDQ $%d, R12", n)
		})
	} else {
		lanes(o)
		o.p("VMASKMOVPS Y0, Y2, (DI)")
		o.p("VMASKMOVPS Y1, Y3, 32(DI)")
	}
	o.p("JMP %sNext", name)
}

// lanes sets the lanes of the columns in Y2 and Y3.
func lanes(o *out) {
	o.p("LEAQ lanes<>+64(SB), R12")
	o.p("MOVQ R9, R13")
	o.p("SHLQ $2, R13")
	o.p("SUBQ R13, R12")
	o.p("VMOVDQU (R12), Y2")
	o.p("VMOVDQU 32(R12), Y3")
}
