package main

import "fmt"

// Kernels for many rows: linear_many_amd64.go. 6 or 4 rows x 16 columns: Y0..Y11 sums by row
// then half, Y12 and Y13 weights, Y14 inputs, Y15 products.

// manyStart loads the rows of inputs: SI and DI up to three of them each, BX bytes apart.
func (o *out) manyStart(x, ldx string) {
	o.load("manyArgs", x, "SI", ldx, "BX")
	o.p("LEAQ (BX)(BX*2), DI")
	o.p("ADDQ SI, DI")
}

// manyProducts multiplies the weights at addr with inputs at off in each row; first says that sums begin.
func (o *out) manyProducts(rows int, addr string, at, off int, product, add string, first bool) {
	for half := range 2 {
		o.p("VMOVDQU %d(%s), Y%d", at+32*half, addr, 12+half)
	}
	o.manyRows(rows, off, product, add, first)
}

// manyRows multiplies the weights in Y12 and Y13 with inputs at off in each row.
func (o *out) manyRows(rows, off int, product, add string, first bool) {
	for i := range rows {
		o.p("VPBROADCASTD %s, Y14", rowAddr(3, i, off))
		for half := range 2 {
			sum := 2*i + half
			if first {
				o.p("%s Y14, Y%d, Y%d", product, 12+half, sum)
				continue
			}
			o.p("%s Y14, Y%d, Y15", product, 12+half)
			o.p("%s Y15, Y%d, Y%d", add, sum, sum)
		}
	}
}

// manyFetch fetches lines of the next panel, if there is one at R12. As many as int8 has: of int4 and int6 those after it come too.
func (o *out) manyFetch(lines int) {
	o.p("TESTQ R12, R12")
	o.p("JZ nofetch")
	for i := range lines {
		o.p("PREFETCHT0 %d(R12)", 64*i)
	}
	o.p("ADDQ $%d, R12", 64*lines)
	o.label("nofetch")
}

// dotCodes256 takes chunks of so many quads of k; unpack says that codes come as they are stored, at R8, and go to R13 for further rows.
func dotCodes256(o *out, rows, quads int, unpack bool) {
	name, what := "dotCodes", ""
	if unpack {
		name, what = "unpackCodes", ", whose codes become bytes first"
	}
	o.text(fmt.Sprintf("%s%dx%dAVX2", name, 4*quads, rows), "a *manyArgs", fmt.Sprintf("%d rows x 16 columns in chunks of %d k%s.", rows, 4*quads, what))
	o.load("manyArgs", "start", "R8", "offset", "R9", "pairs", "CX", "c", "DX")
	o.manyStart("sums", "lds")
	for i := range 2 * rows {
		o.p("VMOVDQU %d(R8), Y%d", 32*(i%2), i)
	}
	o.label("pair")
	o.manyProducts(rows, "R9", 0, 0, "VPMADDWD", "VPSUBD", false)
	o.p("ADDQ $4, SI")
	o.p("ADDQ $4, DI")
	o.p("ADDQ $64, R9")
	o.p("DECQ CX")
	o.p("JNZ pair")
	for i := range 2 * rows {
		o.p("VMOVDQU Y%d, %d(DX)", i, 32*i)
	}
	o.load("manyArgs", "w", "R8", "gscale", "R9", "n", "CX")
	o.manyStart("x", "ldx")
	o.load("manyArgs", "fetch", "R12")
	if unpack {
		o.load("manyArgs", "w", "R13", "packed", "R8")
	}
	o.label("chunk")
	o.manyFetch(quads / 2)
	for q := range quads {
		if !unpack {
			o.manyProducts(rows, "R8", 64*q, 4*q, "VPMADDUBSW", "VPADDW", q == 0)
			continue
		}
		for half := range 2 {
			y := 12 + half
			o.p("VMOVDQU %d(R8), Y%d", q/2*64+32*half, y)
			if q%2 == 1 {
				o.p("VPSRLW $4, Y%d, Y%d", y, y)
			}
			o.p("VPAND low<>(SB), Y%d, Y%d", y, y)
			o.p("VMOVDQU Y%d, %d(R13)", y, 64*q+32*half)
		}
		o.manyRows(rows, 4*q, "VPMADDUBSW", "VPADDW", q == 0)
	}
	o.p("VMOVDQU (R9), Y12")
	o.p("VMOVDQU 32(R9), Y13")
	for i := range 2 * rows {
		o.p("VPMADDWD Y%d, Y%d, Y%d", 12+i%2, i, i)
		o.p("VPADDD %d(DX), Y%d, Y%d", 32*i, i, i)
		o.p("VMOVDQU Y%d, %d(DX)", i, 32*i)
	}
	if unpack {
		o.p("ADDQ $%d, R8", 32*quads)
		o.p("ADDQ $%d, R13", 64*quads)
	} else {
		o.p("ADDQ $%d, R8", 64*quads)
	}
	o.p("ADDQ $64, R9")
	o.p("ADDQ $%d, SI", 4*quads)
	o.p("ADDQ $%d, DI", 4*quads)
	o.p("DECQ CX")
	o.p("JNZ chunk")
	o.p("VZEROUPPER")
	o.p("RET")
}

// dotWords256 takes words; for A16 in chunks, with R9 steps left and R10 the sums of low bytes.
func dotWords256(o *out, rows int, a16 bool) {
	name := map[bool]string{false: "dotWordsx%dAVX2", true: "dotWordsA16x%dAVX2"}[a16]
	o.text(fmt.Sprintf(name, rows), "a *manyArgs", fmt.Sprintf("%d rows x 16 columns, CX steps of 16 k.", rows))
	o.load("manyArgs", "w", "R8", "c", "DX", "fetch", "R12")
	o.manyStart("x", "ldx")
	if a16 {
		o.load("manyArgs", "n", "R9", "lo", "R10", "start", "R11")
		o.p("SHRQ $2, R9")
		o.p("ADDQ DX, R10")
		o.p("VPXOR Y0, Y0, Y0")
		for i := range 2 * rows {
			if i < 2 {
				o.p("VMOVDQU %d(R11), Y%d", 32*i, 1+i)
			}
			o.p("VMOVDQU Y%d, %d(DX)", 1+i%2, 32*i)
			o.p("VMOVDQU Y0, %d(R10)", 32*i)
		}
		o.label("chunk")
		o.p("MOVQ $%d, CX", chunkA16/16)
		o.p("CMPQ R9, CX")
		o.p("CMOVQLT R9, CX")
		o.p("SUBQ CX, R9")
	} else {
		o.load("manyArgs", "n", "CX")
		o.p("SHRQ $2, CX")
	}
	for i := range 2 * rows {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	o.label("step")
	o.manyFetch(4)
	for q := range 8 {
		o.manyProducts(rows, "R8", 64*q, 4*q, "VPMADDWD", "VPADDD", false)
	}
	o.p("ADDQ $512, R8")
	o.p("ADDQ $32, SI")
	o.p("ADDQ $32, DI")
	o.p("DECQ CX")
	o.p("JNZ step")
	if a16 {
		o.p("VPBROADCASTQ lowest<>(SB), Y13")
	}
	for i := range 2 * rows {
		if a16 {
			o.foldA16(i, 12, 13, 32*i, "DX", "R10")
		} else {
			o.p("VMOVDQU Y%d, %d(DX)", i, 32*i)
		}
	}
	if a16 {
		o.p("TESTQ R9, R9")
		o.p("JNZ chunk")
	}
	o.p("VZEROUPPER")
	o.p("RET")
}

// copier opens a function that turns from bytes of a source into to bytes a step, and closes it.
func (o *out) copier(name, steps string, from, to int, step func()) {
	o.text(name, "a, src *byte, "+steps+" int", fmt.Sprintf("%d bytes become %d.", from, to))
	o.p("MOVQ AX, DI")
	o.p("MOVQ src+8(FP), SI")
	o.p("MOVQ %s+16(FP), CX", steps)
	o.p("VPBROADCASTQ nibbles<>(SB), Y15")
	o.p("VPCMPEQW Y14, Y14, Y14")
	o.p("VPSRLW $8, Y14, Y14 // the low bytes of words")
	o.label("loop")
	step()
	o.p("ADDQ $%d, SI", from)
	o.p("ADDQ $%d, DI", to)
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")
}

// less128 prints a function that makes bytes less 128 of chunks of inputs, which sum has in register 0 and writes
// something about to DX. Y13 ones, Y14 zero, Y15 what the bytes are xored with.
func (o *out) less128(name, sums string, size, stride int, sum func(r string)) {
	r := map[int]string{32: "Y", 16: "X"}[size]
	o.text(fmt.Sprintf("%s%dAVX2", name, size), "a, src *byte, sums *int16, chunks int", fmt.Sprintf("inputs less 128 and, by chunks of %d, %s.", size, sums))
	o.p("MOVQ AX, DI")
	o.p("MOVQ src+8(FP), SI")
	o.p("MOVQ sums+16(FP), DX")
	o.p("MOVQ chunks+24(FP), CX")
	o.p("VPBROADCASTQ signs<>(SB), Y15")
	o.p("VPXOR Y14, Y14, Y14")
	o.p("VPCMPEQB Y13, Y13, Y13")
	o.p("VPABSB Y13, Y13")
	o.label("loop")
	o.p("VMOVDQU (SI), %s0", r)
	o.p("VPXOR %s15, %s0, %s1", r, r, r)
	o.p("VMOVDQU %s1, (DI)", r)
	sum(r)
	o.p("ADDQ $%d, SI", size)
	o.p("ADDQ $%d, DI", size)
	o.p("ADDQ $%d, DX", stride)
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")
}

func manyCopies(o *out) {
	// Words in pairs of k, k+2 and k+1, k+3: the low and the high bytes of words.
	o.copier("widenWeightsAVX2", "lines", 64, 128, func() {
		for half := range 2 {
			o.p("VMOVDQU %d(SI), Y0", 32*half)
			o.p("VPSLLW $8, Y0, Y1")
			o.p("VPSRAW $8, Y1, Y1")
			o.p("VPSRAW $8, Y0, Y0")
			o.p("VMOVDQU Y1, %d(DI)", 32*half)
			o.p("VMOVDQU Y0, %d(DI)", 64+32*half)
		}
	})
	o.copier("widenInputsAVX2", "n", 32, 64, func() {
		o.p("VMOVDQU (SI), Y0")
		o.p("VPSRLW $8, Y0, Y1")
		o.p("VPAND Y14, Y0, Y0")
		o.p("VPUNPCKLDQ Y1, Y0, Y2")
		o.p("VPUNPCKHDQ Y1, Y0, Y3")
		o.p("VPERM2I128 $0x20, Y3, Y2, Y0")
		o.p("VPERM2I128 $0x31, Y3, Y2, Y1")
		o.p("VMOVDQU Y0, (DI)")
		o.p("VMOVDQU Y1, 32(DI)")
	})
	o.copier("startSumsAVX2", "n", 32, 32, func() {
		o.p("VMOVDQU (SI), Y0")
		o.p("VPSLLD $7, Y0, Y0")
		o.p("VMOVDQU Y0, (DI)")
	})
	o.text("wordsAVX2", "a, hi, lo *byte, n int", "A16: 16 k of two planes become words less 32768, the two in the middle of each four swapped.")
	o.p("MOVQ AX, DI")
	o.p("MOVQ hi+8(FP), SI")
	o.p("MOVQ lo+16(FP), BX")
	o.p("MOVQ n+24(FP), CX")
	o.p("VPCMPEQW Y15, Y15, Y15")
	o.p("VPSLLW $15, Y15, Y15")
	o.p("VBROADCASTI128 pairs<>(SB), Y14")
	o.label("loop")
	o.p("VPMOVZXBW (SI), Y0")
	o.p("VPMOVZXBW (BX), Y1")
	o.p("VPSLLW $8, Y0, Y0")
	o.p("VPXOR Y15, Y0, Y0")
	o.p("VPOR Y1, Y0, Y0")
	o.p("VPSHUFB Y14, Y0, Y0")
	o.p("VMOVDQU Y0, (DI)")
	o.p("ADDQ $16, SI")
	o.p("ADDQ $16, BX")
	o.p("ADDQ $32, DI")
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")
	for _, size := range []int{32, 16} {
		o.less128("signed", "their sums", size, 2, func(r string) {
			o.p("VPSADBW %s14, %s0, %s1", r, r, r)
			if size == 32 {
				o.p("VEXTRACTI128 $1, Y1, X2")
				o.p("VPADDQ X2, X1, X1")
			}
			o.p("VPSHUFD $0x4e, X1, X2")
			o.p("VPADDQ X2, X1, X1")
			o.p("VMOVD X1, AX")
			o.p("SUBQ $%d, AX", 128*size)
			o.p("MOVW AX, (DX)")
		})
		o.less128("split", "less the sums of their first and second pairs, 8 bytes apart", size, 8, func(r string) {
			o.p("VPXOR %s15, %s0, %s0", r, r, r)
			o.p("VPMADDUBSW %s0, %s13, %s0", r, r, r)
			if size == 32 {
				o.p("VEXTRACTI128 $1, Y0, X1")
				o.p("VPADDW X1, X0, X0")
			}
			o.p("VPSHUFD $0x4e, X0, X1")
			o.p("VPADDW X1, X0, X0")
			o.p("VPSHUFD $0xb1, X0, X1")
			o.p("VPADDW X1, X0, X0")
			o.p("VPSUBW X0, X14, X0")
			o.p("VMOVD X0, (DX)")
		})
	}
	o.text("pairI4AVX2", "a, offset *int16, even, odd *byte", "16 columns of two chunks: gscale twice, and zero*gscale in pairs.")
	o.p("MOVQ offset+8(FP), DX")
	o.p("MOVQ even+16(FP), SI")
	o.p("MOVQ odd+24(FP), DI")
	o.p("VPBROADCASTQ nibbles<>(SB), Y15")
	o.p("VPCMPEQD Y14, Y14, Y14")
	for half := range 2 {
		for i, base := range []string{"SI", "DI"} {
			o.p("VPMOVZXBD %d(%s), Y%d", 8*half, base, i)
			o.p("VPSRLD $4, Y%d, Y2", i)
			o.p("VPSUBD Y14, Y2, Y2")
			o.p("VPSLLD $16, Y2, Y3")
			o.p("VPOR Y2, Y3, Y3")
			o.p("VMOVDQU Y3, %d(AX)", 64*i+32*half)
			o.p("VPAND Y15, Y%d, Y%d", i, i)
			o.p("VPMADDWD Y2, Y%d, Y%d", i, i)
		}
		o.p("VPSLLD $16, Y1, Y1")
		o.p("VPOR Y1, Y0, Y0")
		o.p("VMOVDQU Y0, %d(DX)", 32*half)
	}
	o.p("VZEROUPPER")
	o.p("RET")
}
