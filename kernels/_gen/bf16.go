package main

import "fmt"

// vdpbf16ps is EVEX.512.F3.0F38.W0 52 /r: zmm d += the products of the high halves of the pairs in a and b, then those of the low halves, each
// sum rounded. Registers 0 to 31.
func vdpbf16ps(d, a, b int) []byte { return evex0F38(ppF3, 0x52, d, a, b) }

// vcvtne2ps2bf16 is EVEX.512.F2.0F38.W0 72 /r: 32 values of bfloat16 in zmm d, the low half from zmm b and the high half from zmm a.
func vcvtne2ps2bf16(d, a, b int) []byte { return evex0F38(ppF2, 0x72, d, a, b) }

// evex0F38 is an instruction of EVEX.512.0F38.W0 on registers 0 to 31.
func evex0F38(pp, op, d, a, b int) []byte {
	return []byte{0x62, byte((d>>3&1^1)<<7 | (b>>4&1^1)<<6 | (b>>3&1^1)<<5 | (d>>4&1^1)<<4 | 2), byte((a&15^15)<<3 | 4 | pp), byte(0x40 | (a>>4&1^1)<<3), byte(op), byte(0xc0 | d&7<<3 | b&7)}
}

// pairsBF16 prints products of bfloat16 that take two k of one parity at a time, in the order of numerics N6.2: of four k, e takes 0 and 2, o takes 1 and 3.
func pairsBF16() string {
	o := newFile()
	o.WriteString("\n// Of four words those of pairs: 2, 0, 3, 1.\n")
	fmt.Fprintf(o, "DATA pairs4<>+0(SB)/8, $%#x\nDATA pairs4<>+8(SB)/8, $%#x\nGLOBL pairs4<>(SB), RODATA|NOPTR, $16\n", uint64(0x0302_0706_0100_0504), uint64(0x0b0a_0f0e_0908_0d0c))

	o.WriteString("\n// func packPairsAVX512(dst, src *uint16, n int)\n// packs n values, a multiple of 32.\nTEXT ·packPairsAVX512(SB), NOSPLIT, $0-24\n")
	o.p("MOVQ dst+0(FP), DX")
	o.p("MOVQ src+8(FP), BX")
	o.p("MOVQ n+16(FP), CX")
	o.p("VBROADCASTI32X4 pairs4<>(SB), Z0")
	o.label("loop")
	o.p("VMOVDQU64 (BX), Z1")
	o.p("VPSHUFB Z0, Z1, Z1")
	o.p("VMOVDQU64 Z1, (DX)")
	o.p("ADDQ $64, BX")
	o.p("ADDQ $64, DX")
	o.p("SUBQ $32, CX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")

	const args = "c *float32, ldc int, a *uint16, lda int, b *byte, stride, rows, pairs, k int"
	fmt.Fprintf(o, "\n// func dotPairsAVX512(%s)\n// adds to c; lda and ldc are in bytes.\nTEXT ·dotPairsAVX512(SB), NOSPLIT, $8-72\n", args)
	o.p("STMXCSR old-4(SP)") // FTZ and DAZ for the sums behind a slice, as TDPBF16PS has them
	o.p("MOVL old-4(SP), AX")
	o.p("ORL $0x8040, AX")
	o.p("MOVL AX, new-8(SP)")
	o.p("LDMXCSR new-8(SP)")
	for i, r := range []string{"DX", "R11", "AX", "R8", "DI", "R13", "R12", "R10", "SI"} {
		o.p("MOVQ %s+%d(FP), %s", []string{"c", "ldc", "a", "lda", "b", "stride", "rows", "pairs", "k"}[i], 8*i, r)
	}
	o.p("CALL ·rowsPairs(SB)")
	o.p("LDMXCSR old-4(SP)")
	o.p("VZEROUPPER")
	o.p("RET")

	o.WriteString("\n// func rowsPairs()\n// with registers as rowsBF16. Z0 to Z23 are sums: of row r e and then o of two blocks from 4r on.\nTEXT ·rowsPairs(SB), NOSPLIT, $56-0\n")
	o.p("MOVQ AX, a0-8(SP)")
	o.p("MOVQ R12, rows-16(SP)")
	o.p("MOVQ R10, left-24(SP)")
	o.p("MOVQ SI, k-48(SP)")
	o.p("MOVL $0x55555555, AX")
	o.p("KMOVD AX, K1")
	o.label("pair")
	o.p("MOVQ a0-8(SP), AX")
	o.p("MOVQ DX, c0-32(SP)")
	o.p("MOVQ rows-16(SP), R9")
	o.p("MOVQ R9, rest-40(SP)")
	counts := []int{6, 4, 2, 1}
	for i, rows := range counts {
		next := "next"
		if i+1 < len(counts) {
			next = fmt.Sprintf("rows%d", counts[i+1])
		}
		o.label(fmt.Sprintf("rows%d", rows))
		o.p("CMPQ rest-40(SP), $%d", rows)
		o.p("JB %s", next)
		o.pairRows(rows)
		if rows < 6 {
			o.p("LEAQ (AX)(R8*%d), AX", rows)
			o.p("LEAQ (DX)(R11*%d), DX", rows)
		} else {
			o.p("LEAQ (AX)(R8*4), AX")
			o.p("LEAQ (AX)(R8*2), AX")
			o.p("LEAQ (R12)(R11*2), DX") // from row 3
			o.p("ADDQ R11, DX")
		}
		o.p("SUBQ $%d, rest-40(SP)", rows)
		o.p("JMP rows%d", rows)
	}
	o.label("next")
	o.p("MOVQ c0-32(SP), DX")
	o.p("ADDQ $128, DX")
	o.p("LEAQ (DI)(R13*2), DI")
	o.p("DECQ left-24(SP)")
	o.p("JNZ pair")
	o.p("RET")
	return o.whole()
}

// pairRows prints the products of some rows with two blocks.
func (o *out) pairRows(rows int) {
	o.p("MOVQ AX, R9")
	o.p("LEAQ (AX)(R8*2), R10") // row 3
	o.p("ADDQ R8, R10")
	o.p("LEAQ (DX)(R11*2), R12") // row 3 of c
	o.p("ADDQ R11, R12")
	o.p("MOVQ DI, BX")
	o.p("MOVQ k-48(SP), SI")
	a := []string{"(R9)", "(R9)(R8*1)", "(R9)(R8*2)", "(R10)", "(R9)(R8*4)", "(R10)(R8*2)"}
	c := []string{"(DX)", "(DX)(R11*1)", "(DX)(R11*2)", "(R12)", "(DX)(R11*4)", "(R12)(R11*2)"}
	o.label(fmt.Sprintf("slice%d", rows))
	for i := range 4 * rows {
		o.p("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	for q := range 8 {
		for block, at := range []string{"(BX)", "(BX)(R13*1)"} {
			e := 26 + 4*block // and o behind it
			o.p("VMOVDQU64 %d%s, Z24", 128*q, at)
			o.p("VMOVDQU64 %d%s, Z25", 128*q+64, at)
			o.p("VPSLLD $16, Z24, Z%d", e)
			o.p("VPBLENDMW Z25, Z%d, K1, Z%d", e, e)
			o.p("VPSRLD $16, Z25, Z25")
			o.p("VPBLENDMW Z25, Z24, K1, Z%d", e+1)
		}
		for r := range rows {
			for odd, x := range []int{28, 29} {
				o.p("VPBROADCASTD %d%s, Z%d", 8*q+4*odd, a[r], x)
				for block := range 2 {
					sum, b := 4*r+2*block+odd, 26+4*block+odd
					o.bytes(vdpbf16ps(sum, b, x), "VDPBF16PS zmm%d, zmm%d, zmm%d", sum, b, x)
				}
			}
		}
	}
	for r := range rows {
		for block := range 2 {
			sum := 4*r + 2*block
			o.p("VADDPS Z%d, Z%d, Z%d", sum+1, sum, sum)
			o.p("VADDPS %d%s, Z%d, Z%d", 64*block, c[r], sum, sum)
			o.p("VMOVUPS Z%d, %d%s", sum, 64*block, c[r])
		}
	}
	o.p("ADDQ $64, R9")
	o.p("ADDQ $64, R10")
	o.p("ADDQ $1024, BX")
	o.p("SUBQ $32, SI")
	o.p("JNZ slice%d", rows)
}
