package main

import "fmt"

// Convolutions as products of the input as it lies, for kernels/conv: the places of a tile each have a pointer to each of their taps. See directArgs.
//
// A step is four bytes of a tap, four codes or one float32, against a line of 16 columns of each block: weights of both kinds lie so.

var (
	directRows   = []int{1, 2, 4, 6} // of a tile
	directBlocks = 4
)

func direct() string {
	o := newFile()
	o.WriteString("\n// Words 4j + i from where i + 4j are.\nDATA lanes<>+0(SB)/8, $0x0d0905010c080400\nDATA lanes<>+8(SB)/8, $0x0f0b07030e0a0602\nGLOBL lanes<>(SB), RODATA|NOPTR, $16\n")
	for b := 1; b <= directBlocks; b++ {
		directEnd(o, b)
	}
	for _, float := range []bool{false, true} {
		for _, rows := range directRows {
			for b := 1; b <= directBlocks; b++ {
				directTile(o, float, rows, b)
			}
		}
	}
	return o.String()
}

// directTile sums rows x b blocks in Z0.., row by row; Z24..Z27 weights, Z28..Z31 inputs in turn. The rows' taps begin at SI, DI, BX, R11, R12, R13, the
// step is CX bytes from there; R8 weights, R9 and R10 one and three blocks, DX the table, R14 what is fetched for the next strip.
func directTile(o *out, float bool, rows, b int) {
	kind := "I8"
	if float {
		kind = "F32"
	}
	o.text(fmt.Sprintf("direct%sx%dx%dAVX512", kind, rows, b), "a *directArgs", fmt.Sprintf("Tiles of %d rows x %d columns.", rows, 16*b))
	pointers := []string{"SI", "DI", "BX", "R11", "R12", "R13"}[:rows]
	o.label("tile")
	o.load("directArgs", "table", "DX", "w", "R8", "ws", "R9", "fetch", "R14", "taps", "R10")
	o.p("MOVQ R10, directArgs_left(AX)")
	o.p("LEAQ (R9)(R9*2), R10")
	o.p("MOVQ directArgs_start(AX), CX")
	for j := range b {
		o.p("VMOVDQU32 %d(CX), Z%d", 64*j, j)
	}
	for i := b; i < rows*b; i++ {
		o.p("VMOVDQA64 Z%d, Z%d", i%b, i)
	}
	o.label("tap")
	for i, r := range pointers {
		o.p("MOVQ %d(DX), %s", 8*i, r)
	}
	o.p("ADDQ directArgs_ldt(AX), DX")
	o.p("MOVQ directArgs_from(AX), CX")
	steps := func(n int) {
		for u := range n {
			for j := range b {
				o.p("VMOVDQU32 %s, Z%d", blockAddr(j, u*64, "R8", "R9", "R10"), 24+j)
			}
			for i, r := range pointers {
				z := 28 + (u*rows+i)%4
				o.p("VPBROADCASTD %d(%s)(CX*1), Z%d", u*4, r, z)
				for j := range b {
					op := "VPDPBUSD"
					if float {
						op = "VFMADD231PS"
					}
					o.p("%s Z%d, Z%d, Z%d", op, 24+j, z, i*b+j)
				}
			}
		}
		o.p("ADDQ $%d, R8", 64*n)
		o.p("ADDQ $%d, CX", 4*n)
	}
	o.p("CMPQ CX, directArgs_most(AX)")
	o.p("JGE rest")
	o.label("four")
	for j := range b {
		o.p("PREFETCHT1 %s", blockAddr(j, 0, "R14", "R9", "R10"))
	}
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
	o.p("MOVQ directArgs_c(AX), SI")
	for i := range rows * b {
		o.p("VMOVDQU32 Z%d, %d(SI)", i, 64*i)
	}
	o.p("MOVQ $%d, CX", rows)
	o.p("CALL directEnd%d<>(SB)", b)
	o.p("CMPQ directArgs_rows(AX), $0")
	o.p("JG tile")
	o.p("VZEROUPPER")
	o.p("RET")
}

// directEnd brings the sums of a tile of b blocks at SI to dst: CX rows, or as many as are left. Z8.. scales, Z12.. biases of the blocks.
func directEnd(o *out, b int) {
	fmt.Fprintf(o, "\n// directEnd%d is the end of a tile of %[1]d blocks: sums at SI, CX rows of them or as many as are left.\nTEXT directEnd%[1]d<>(SB), NOSPLIT|NOFRAME, $0-0\n", b)
	o.load("directArgs", "rows", "DX")
	o.p("CMPQ CX, DX")
	o.p("CMOVQGT DX, CX")
	o.p("SUBQ CX, DX")
	o.p("MOVQ DX, directArgs_rows(AX)")
	o.load("directArgs", "dst", "DI", "ldd", "R8", "other", "R10", "ldo", "R11", "scale", "R12", "bias", "R13", "mask", "R14")
	for i, f := range []string{"factor", "lo", "hi", "inv", "otherScale"} {
		o.p("VBROADCASTSS directArgs_%s(AX), Z%d", f, 16+i)
	}
	o.p("VPBROADCASTD directArgs_zero(AX), Z21")
	o.p("VPBROADCASTD directArgs_otherZero(AX), Z22")
	o.p("KMOVW R14, K1")
	if b == 4 {
		o.p("SHLQ $48, R14")
		o.p("MOVQ $0xffffffffffff, DX")
		o.p("ORQ DX, R14")
		o.p("KMOVQ R14, K2 // columns")
		o.p("VPMOVZXBD lanes<>(SB), Z23")
	}
	for j := range b {
		o.p("VMOVUPS %d(R13), Z%d", 64*j, 12+j)
	}
	o.p("MOVQ directArgs_codes(AX), DX")
	o.p("TESTQ R12, R12")
	o.p("JZ sums")
	for j := range b {
		o.p("VMOVUPS %d(R12), Z%d", 64*j, 8+j)
	}
	o.p("TESTQ DX, DX")
	o.p("JZ intsToFloats")
	endRows(o, b, true, true)
	endRows(o, b, true, false)
	o.label("sums")
	o.p("TESTQ DX, DX")
	o.p("JZ floatsToFloats")
	endRows(o, b, false, true)
	endRows(o, b, false, false)
	o.label("done")
	o.p("MOVQ DI, directArgs_dst(AX)")
	o.p("MOVQ R10, directArgs_other(AX)")
	o.p("RET")
}

// endRows is the loop of rows for sums and results of each kind.
func endRows(o *out, b int, ints, codes bool) {
	name := map[bool]string{true: "ints", false: "floats"}[ints] + "To" + map[bool]string{true: "Codes", false: "Floats"}[codes]
	all := func(format string, args func(j int) []any) {
		for j := range b {
			o.p(format, args(j)...)
		}
	}
	each := func(format string) { // of one register
		all(format, func(j int) []any { return []any{j} })
	}
	mask := func(j int) string {
		if j == b-1 {
			return "K1, "
		}
		return ""
	}
	o.label(name)
	all("VMOVUPS %d(SI), Z%d", func(j int) []any { return []any{64 * j, j} })
	if ints {
		each("VCVTDQ2PS Z%d, Z%[1]d")
		each("VMULPS Z16, Z%d, Z%[1]d")
		all("VMULPS Z%d, Z%d, Z%[2]d", func(j int) []any { return []any{8 + j, j} })
	}
	all("VADDPS Z%d, Z%d, Z%[2]d", func(j int) []any { return []any{12 + j, j} })
	o.p("TESTQ R10, R10")
	o.p("JZ %sAlone", name)
	for j := range b {
		op, size := "VMOVUPS", 64
		if codes {
			op, size = "VPMOVZXBD", 16
		}
		if j == b-1 {
			op += ".Z"
		}
		o.p("%s %d(R10), %sZ%d", op, size*j, mask(j), 4+j)
	}
	if codes {
		each4 := func(format string) { all(format, func(j int) []any { return []any{4 + j} }) }
		each4("VPSUBD Z22, Z%d, Z%[1]d")
		each4("VCVTDQ2PS Z%d, Z%[1]d")
		each4("VMULPS Z20, Z%d, Z%[1]d")
	}
	all("VADDPS Z%d, Z%d, Z%[2]d", func(j int) []any { return []any{4 + j, j} })
	o.label(name + "Alone")
	if codes && b == 4 { // what is below Lo, which is -Zero, is 0 by saturation, and so are -2^31, what NaN becomes
		each("VMULPS Z19, Z%d, Z%[1]d")
		each("VMINPS Z%d, Z18, Z%[1]d // NaN stays")
		each("VCVTPS2DQ Z%d, Z%[1]d")
		each("VPADDD Z21, Z%d, Z%[1]d")
		o.p("VPACKSSDW Z1, Z0, Z0")
		o.p("VPACKSSDW Z3, Z2, Z2")
		o.p("VPACKUSWB Z2, Z0, Z0")
		o.p("VPERMD Z0, Z23, Z0")
		o.p("VMOVDQU8 Z0, K2, (DI)")
	} else if codes {
		each("VMULPS Z19, Z%d, Z%[1]d")
		each("VMAXPS Z17, Z%d, Z%[1]d // NaN counts as the least")
		each("VMINPS Z18, Z%d, Z%[1]d")
		each("VCVTPS2DQ Z%d, Z%[1]d")
		each("VPADDD Z21, Z%d, Z%[1]d")
		all("VPMOVDB Z%d, %s%d(DI)", func(j int) []any { return []any{j, mask(j), 16 * j} })
	} else {
		each("VMAXPS Z%d, Z17, Z%[1]d // NaN stays")
		each("VMINPS Z%d, Z18, Z%[1]d")
		all("VMOVUPS Z%d, %s%d(DI)", func(j int) []any { return []any{j, mask(j), 64 * j} })
	}
	o.p("ADDQ $%d, SI", 64*b)
	o.p("ADDQ R8, DI")
	o.p("ADDQ R11, R10 // 0 where there is none")
	o.p("DECQ CX")
	o.p("JNZ %s", name)
	o.p("JMP done")
}
