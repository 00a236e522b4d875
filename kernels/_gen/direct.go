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
	directEnd(o)
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
	o.p("MOVQ $%d, R9", 64*b)
	o.p("CALL directEnd<>(SB)")
	o.p("CMPQ directArgs_rows(AX), $0")
	o.p("JG tile")
	o.p("VZEROUPPER")
	o.p("RET")
}

// directEnd brings the sums of a tile at SI, rows of R9 bytes, to dst: CX rows, or as many as are left.
func directEnd(o *out) {
	o.WriteString("\n// directEnd is the end of a tile: sums at SI in rows of R9 bytes, of which CX or as many as are left count.\nTEXT directEnd<>(SB), NOSPLIT|NOFRAME, $0-0\n")
	o.load("directArgs", "rows", "DX")
	o.p("CMPQ CX, DX")
	o.p("CMOVQGT DX, CX")
	o.p("SUBQ CX, DX")
	o.p("MOVQ DX, directArgs_rows(AX)")
	o.load("directArgs", "dst", "DI", "ldd", "R8", "other", "R10", "scale", "R12", "bias", "R13", "mask", "R14")
	for i, f := range []string{"factor", "lo", "hi", "inv", "otherScale"} {
		o.p("VBROADCASTSS directArgs_%s(AX), Z%d", f, 16+i)
	}
	o.p("VPBROADCASTD directArgs_zero(AX), Z21")
	o.p("VPBROADCASTD directArgs_otherZero(AX), Z22")
	o.p("KMOVW R14, K1")
	o.p("KXNORW K2, K2, K2")
	o.p("SUBQ $64, R9 // bytes of the last block, which is done first")
	o.p("CMPQ directArgs_codes(AX), $0")
	o.p("JE intss")
	o.p("SHRQ $2, R9")
	o.p("TESTQ R12, R12")
	o.p("JZ floatCodes")
	for _, ints := range []bool{true, false} {
		for _, codes := range []bool{true, false} {
			endRows(o, ints, codes)
		}
	}
	o.label("done")
	o.p("MOVQ DI, directArgs_dst(AX)")
	o.p("MOVQ R10, directArgs_other(AX)")
	o.p("RET")
}

// endRows is the loop of rows and blocks for sums and results of each kind. R9 is the place of the last block in a row of results, BX that of the one at hand.
func endRows(o *out, ints, codes bool) {
	name, size := map[bool]string{true: "ints", false: "float"}[ints], 64
	if codes {
		name, size = name+"Codes", 16
	} else {
		name += "s"
	}
	o.label(name)
	if ints && !codes {
		o.p("TESTQ R12, R12")
		o.p("JZ sums")
	}
	if !ints && !codes {
		o.label("sums")
	}
	o.label(name + "Row")
	o.p("MOVQ R9, BX")
	o.p("KMOVW K1, K3")
	o.label(name + "Block")
	at := fmt.Sprintf("(BX*%d)", 64/size)
	o.p("VMOVUPS (SI)%s, Z0", at)
	if ints {
		o.p("VCVTDQ2PS Z0, Z0")
		o.p("VMULPS Z16, Z0, Z0")
		o.p("VMULPS (R12)%s, Z0, Z0", at)
	}
	o.p("VADDPS (R13)%s, Z0, Z0", at)
	o.p("TESTQ R10, R10")
	o.p("JZ %sAlone", name)
	if codes {
		o.p("VPMOVZXBD.Z (R10)(BX*1), K3, Z1")
		o.p("VPSUBD Z22, Z1, Z1")
		o.p("VCVTDQ2PS Z1, Z1")
		o.p("VMULPS Z20, Z1, Z1")
	} else {
		o.p("VMOVUPS.Z (R10)(BX*1), K3, Z1")
	}
	o.p("VADDPS Z1, Z0, Z0")
	o.label(name + "Alone")
	if codes {
		o.p("VMULPS Z19, Z0, Z0")
		o.p("VMAXPS Z17, Z0, Z0 // NaN counts as the least")
		o.p("VMINPS Z18, Z0, Z0")
		o.p("VCVTPS2DQ Z0, Z0")
		o.p("VPADDD Z21, Z0, Z0")
		o.p("VPMOVDB Z0, K3, (DI)(BX*1)")
	} else {
		o.p("VMAXPS Z0, Z17, Z0 // NaN stays")
		o.p("VMINPS Z0, Z18, Z0")
		o.p("VMOVUPS Z0, K3, (DI)(BX*1)")
	}
	o.p("KMOVW K2, K3")
	o.p("SUBQ $%d, BX", size)
	o.p("JGE %sBlock", name)
	o.p("LEAQ %d(SI)(R9*%d), SI", 64, 64/size)
	o.p("ADDQ R8, DI")
	o.p("ADDQ directArgs_ldo(AX), R10 // 0 where there is none")
	o.p("DECQ CX")
	o.p("JNZ %sRow", name)
	o.p("JMP done")
}
