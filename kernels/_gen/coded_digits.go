package main

import "fmt"

// Rows of digits times a panel of codes (linear.digitArgs), and what makes digits.

// digitStep is the bytes of the digits of a line.
func digitStep(planes int) int {
	if planes == 1 {
		return 4
	}
	return 16
}

// digitRegs loads what both kernels of digits take: SI panel, DI digits, R8 lines of a group, R9 groups, R10 scales, R12 offsets or 0, R13 zeros,
// R14 sums of inputs, DX results.
func (o *out) digitRegs() {
	o.load("digitArgs", "panel", "SI", "x", "DI", "ldx", "BX", "lines", "R8", "groups", "R9", "scale", "R10", "offset", "R12", "zero", "R13", "sum", "R14", "c", "DX")
}

// dotDigits512: accumulators from Z0 on by row, then plane, lowest digits first; results from Z16 on; Z24, Z25 what the digits count for, Z28 to Z31 temporary.
func (o *out) dotDigits512(planes, rows int) {
	o.text(fmt.Sprintf("dotDigits%dx%dAVX512", planes, rows), "a *digitArgs", fmt.Sprintf("%d digits, %d rows.", planes, rows))
	o.digitRegs()
	o.p("LEAQ (BX)(BX*2), R11")
	if rows > 4 {
		o.p("LEAQ (DI)(BX*4), R15 // the fifth row")
	}
	row := func(r, off int) string {
		return fmt.Sprintf("%d(%s)%s", off, [...]string{"DI", "R15"}[r/4], [...]string{"", "(BX*1)", "(BX*2)", "(R11*1)"}[r%4])
	}
	o.constant(vectors512, 24, 0x43800000) // 256
	o.constant(vectors512, 25, 0x47800000) // 65536
	for r := range rows {
		o.p("VMOVUPS %d(DX), Z%d", 64*r, 16+r)
	}
	o.label("group")
	for i := range rows * planes {
		o.p("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	o.p("MOVQ R8, CX")
	o.label("line")
	if rows == 1 { // codes of 8 bits are read where they are
		o.p("PREFETCHT0 %d(SI)", prefetch)
	}
	o.p("VMOVDQU32 (SI), Z31")
	for r := range rows {
		for p := range planes {
			o.p("VPDPBUSD.BCST %s, Z31, Z%d", row(r, 4*p), r*planes+p)
		}
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ $%d, DI", digitStep(planes))
	if rows > 4 {
		o.p("ADDQ $%d, R15", digitStep(planes))
	}
	o.p("DECQ CX")
	o.p("JNZ line")
	o.p("VMOVUPS (R10), Z30")
	each := func(f func(a int)) {
		for r := range rows {
			f(r * planes)
		}
	}
	if planes > 1 {
		o.p("CMPQ R8, $64")
		o.p("JA long")
		each(func(a int) { // of 256 places what the two lower digits give fits an int32, and each digit's is exact as float32, so that one rounding is the same
			o.p("VPSLLD $8, Z%d, Z%d", a+1, a+1)
			o.p("VPADDD Z%d, Z%d, Z%d", a+1, a, a)
			o.p("VCVTDQ2PS Z%d, Z%d", a, a)
		})
		o.p("JMP two")
		o.label("long")
	}
	each(func(a int) {
		for p := range min(planes, 2) {
			o.p("VCVTDQ2PS Z%d, Z%d", a+p, a+p)
		}
		if planes > 1 {
			o.p("VFMADD231PS Z24, Z%d, Z%d", a+1, a)
		}
	})
	if planes > 1 {
		o.label("two")
	}
	if planes == 3 {
		each(func(a int) {
			o.p("VCVTDQ2PS Z%d, Z%d", a+2, a+2)
			o.p("VFMADD231PS Z25, Z%d, Z%d", a+2, a)
		})
	}
	o.p("CMPQ digitArgs_without(AX), $0")
	o.p("JNE scale")
	o.p("VMOVUPS (R13), Z29")
	for r := range rows {
		o.p("VFNMADD231PS.BCST %d(R14), Z29, Z%d", 4*r, r*planes)
	}
	o.label("scale")
	for r := range rows {
		o.p("VFMADD231PS Z30, Z%d, Z%d", r*planes, 16+r)
	}
	o.p("TESTQ R12, R12")
	o.p("JZ next")
	o.p("VMOVUPS (R12), Z29")
	for r := range rows {
		o.p("VFMADD231PS.BCST %d(R14), Z29, Z%d", 4*r, 16+r)
	}
	o.p("ADDQ $64, R12")
	o.label("next")
	o.nextGroup(4 * rows)
	for r := range rows {
		o.p("VMOVUPS Z%d, %d(DX)", 16+r, 64*r)
	}
	o.p("VZEROUPPER")
	o.p("RET")
}

func (o *out) nextGroup(sums int) {
	o.p("ADDQ $64, R10")
	o.p("ADDQ digitArgs_zstep(AX), R13")
	o.p("ADDQ $%d, R14", sums)
	o.p("DECQ R9")
	o.p("JNZ group")
}

// dotDigits256 is for one row. Wide: codes above 127, whose products do not fit 16 bits, are multiplied by nibbles; narrow: codes up to 15,
// whose products of 8 lines do.
// Accumulators from Y0 on by plane, then half; results Y6, Y7; 8, 9 the line, 10 (and 11) temporary, 12 digits, 13 a factor of words, 14, 15 what digits count for, or the mask and the factor of high nibbles.
// Narrow: one half after the other, 8 to 10 sums of words.
func (o *out) dotDigits256(planes int, kind string) {
	wide, narrow := kind == "Wide", kind == "Narrow"
	o.text(fmt.Sprintf("dotDigits%d%sAVX2", planes, kind), "a *digitArgs", fmt.Sprintf("%d digits, 1 row.", planes))
	o.digitRegs()
	for h := range 2 {
		o.p("VMOVUPS %d(DX), Y%d", 32*h, 6+h)
	}
	o.constant(vectors256, 13, 0x00010001)
	if wide {
		o.constant(vectors256, 14, 0x0f0f0f0f)
		o.constant(vectors256, 15, 0x00100010)
	} else {
		o.constant(vectors256, 14, 0x43800000)
		o.constant(vectors256, 15, 0x47800000)
	}
	o.label("group")
	for i := range planes * 2 {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	if narrow {
		for h := range 2 {
			o.p("MOVQ R8, R11 // lines left")
			o.p("MOVQ SI, CX")
			o.p("MOVQ DI, BX")
			o.label(fmt.Sprintf("chunk%d", h))
			o.p("MOVL $8, AX")
			o.p("CMPQ R11, AX")
			o.p("CMOVQLT R11, AX")
			o.p("SUBQ AX, R11")
			for p := range planes {
				o.p("VPXOR Y%d, Y%d, Y%d", 8+p, 8+p, 8+p)
			}
			o.label(fmt.Sprintf("line%d", h))
			o.p("VMOVDQU %d(CX), Y11", 32*h)
			for p := range planes {
				o.p("VPBROADCASTD %d(BX), Y12", 4*p)
				o.p("VPMADDUBSW Y12, Y11, Y12")
				o.p("VPADDW Y12, Y%d, Y%d", 8+p, 8+p)
			}
			o.p("ADDQ $64, CX")
			o.p("ADDQ $%d, BX", digitStep(planes))
			o.p("DECQ AX")
			o.p("JNZ line%d", h)
			for p := range planes {
				o.p("VPMADDWD Y13, Y%d, Y%d", 8+p, 8+p)
				o.p("VPADDD Y%d, Y%d, Y%d", 8+p, 2*p+h, 2*p+h)
			}
			o.p("TESTQ R11, R11")
			o.p("JNZ chunk%d", h)
		}
		o.p("MOVQ CX, SI")
		o.p("MOVQ BX, DI")
		o.p("MOVQ a+0(FP), AX")
	} else {
		o.p("MOVQ R8, CX")
		o.label("line")
		if wide {
			o.p("PREFETCHT0 %d(SI)", prefetch)
			for h := range 2 {
				o.p("VMOVDQU %d(SI), Y8", 32*h)
				o.p("VPSRLW $4, Y8, Y9")
				o.p("VPAND Y14, Y8, Y8")
				o.p("VPAND Y14, Y9, Y9")
				for p := range planes {
					o.p("VPBROADCASTD %d(DI), Y12", 4*p)
					o.p("VPMADDUBSW Y12, Y8, Y10")
					o.p("VPMADDUBSW Y12, Y9, Y11")
					o.p("VPMADDWD Y13, Y10, Y10")
					o.p("VPMADDWD Y15, Y11, Y11")
					o.p("VPADDD Y10, Y%d, Y%d", 2*p+h, 2*p+h)
					o.p("VPADDD Y11, Y%d, Y%d", 2*p+h, 2*p+h)
				}
			}
		} else {
			o.p("VMOVDQU (SI), Y8")
			o.p("VMOVDQU 32(SI), Y9")
			for p := range planes {
				o.p("VPBROADCASTD %d(DI), Y12", 4*p)
				for h := range 2 {
					o.p("VPMADDUBSW Y12, Y%d, Y%d", 8+h, 10+h)
					o.p("VPMADDWD Y13, Y%d, Y%d", 10+h, 10+h)
					o.p("VPADDD Y%d, Y%d, Y%d", 10+h, 2*p+h, 2*p+h)
				}
			}
		}
		o.p("ADDQ $64, SI")
		o.p("ADDQ $%d, DI", digitStep(planes))
		o.p("DECQ CX")
		o.p("JNZ line")
	}
	if wide {
		o.constant(vectors256, 8, 0x43800000)
		o.constant(vectors256, 9, 0x47800000)
	}
	o.p("VBROADCASTSS (R14), Y12")
	for h := range 2 {
		for p := range planes {
			o.p("VCVTDQ2PS Y%d, Y%d", 2*p+h, 2*p+h)
		}
		for p := 1; p < planes; p++ {
			o.p("VFMADD231PS Y%d, Y%d, Y%d", map[bool]int{true: 7, false: 13}[wide]+p, 2*p+h, h)
		}
		o.p("VFNMADD231PS %d(R13), Y12, Y%d", 32*h, h)
		o.p("VFMADD231PS %d(R10), Y%d, Y%d", 32*h, h, 6+h)
	}
	o.p("TESTQ R12, R12")
	o.p("JZ next")
	for h := range 2 {
		o.p("VFMADD231PS %d(R12), Y12, Y%d", 32*h, 6+h)
	}
	o.p("ADDQ $64, R12")
	o.label("next")
	o.nextGroup(4)
	for h := range 2 {
		o.p("VMOVUPS Y%d, %d(DX)", 6+h, 32*h)
	}
	o.p("VZEROUPPER")
	o.p("RET")
}

// dotDigitsVNNI is for AVX-VNNI: accumulators from Y0 on by row, then plane, then half; 12 and 13 the line, 14 digits; with each group 12 and 13 what digits count for, 14 the sum of inputs,
// 15 results, which stay in memory.
func (o *out) dotDigitsVNNI(planes, rows int) {
	o.text(fmt.Sprintf("dotDigits%dx%dAVXVNNI", planes, rows), "a *digitArgs", fmt.Sprintf("%d digits, %d rows.", planes, rows))
	o.digitRegs()
	fmt.Fprint(&o.data, "DATA digitWeights<>+0(SB)/8, $0x4780000043800000\nGLOBL digitWeights<>(SB), RODATA|NOPTR, $8\n")
	acc := func(r, p, h int) int { return (r*planes+p)*2 + h }
	o.label("group")
	for i := range rows * planes * 2 {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	o.p("MOVQ R8, CX")
	o.label("line")
	if rows == 1 { // codes of 8 bits are read where they are
		o.p("PREFETCHT1 %d(SI)", codesAhead)
	}
	o.p("VMOVDQU (SI), Y12")
	o.p("VMOVDQU 32(SI), Y13")
	for r := range rows {
		for p := range planes {
			o.p("VPBROADCASTD %d(DI)%s, Y14", 4*p, [...]string{"", "(BX*1)"}[r])
			for h := range 2 {
				o.bytes(vpdpbusd256(acc(r, p, h), 12+h, 14), "VPDPBUSD Y14, Y%d, Y%d", 12+h, acc(r, p, h))
			}
		}
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ $%d, DI", digitStep(planes))
	o.p("DECQ CX")
	o.p("JNZ line")
	o.p("VBROADCASTSS digitWeights<>+0(SB), Y12")
	o.p("VBROADCASTSS digitWeights<>+4(SB), Y13")
	for r := range rows {
		o.p("VBROADCASTSS %d(R14), Y14", 4*r)
		for h := range 2 {
			f := acc(r, 0, h)
			for p := range planes {
				o.p("VCVTDQ2PS Y%d, Y%d", acc(r, p, h), acc(r, p, h))
			}
			for p := 1; p < planes; p++ {
				o.p("VFMADD231PS Y%d, Y%d, Y%d", 11+p, acc(r, p, h), f)
			}
			o.p("VFNMADD231PS %d(R13), Y14, Y%d", 32*h, f)
			o.p("VMOVUPS %d(DX), Y15", 64*r+32*h)
			o.p("VFMADD231PS %d(R10), Y%d, Y15", 32*h, f)
			o.p("VMOVUPS Y15, %d(DX)", 64*r+32*h)
		}
	}
	o.p("TESTQ R12, R12")
	o.p("JZ next")
	for r := range rows {
		o.p("VBROADCASTSS %d(R14), Y14", 4*r)
		for h := range 2 {
			o.p("VMOVUPS %d(DX), Y15", 64*r+32*h)
			o.p("VFMADD231PS %d(R12), Y14, Y15", 32*h)
			o.p("VMOVUPS Y15, %d(DX)", 64*r+32*h)
		}
	}
	o.p("ADDQ $64, R12")
	o.label("next")
	o.nextGroup(4 * rows)
	o.p("VZEROUPPER")
	o.p("RET")
}

// digits prints the makers of digits: of 16 values a turn q = round(x*by), or for planes of one or two round(clamp(x/by + zero)) - zero, becomes
// three signed bytes, those of q + 0x808080 less 128 each; four values are 16 bytes, lowest digits first. With one plane a byte each. Their sum is stored too.
func digits(o *out) {
	o.WriteString("\nDATA digitOrder<>+0(SB)/8, $0x0d0905010c080400\nDATA digitOrder<>+8(SB)/8, $0x0f0b07030e0a0602\nGLOBL digitOrder<>(SB), RODATA|NOPTR, $16\n")
	for _, name := range []string{"digits", "round1", "round2"} {
		o.text(name+"AVX2", "a *digitsArgs", "n is a positive multiple of 16.")
		o.load("digitsArgs", "dst", "DI", "sums", "DX", "x", "SI", "n", "R8")
		o.p("VBROADCASTSS digitsArgs_by(AX), Y7")
		o.constant(vectors256, 8, 0x808080)
		o.p("VBROADCASTI128 digitOrder<>(SB), Y9")
		if name != "digits" {
			o.p("VBROADCASTSS digitsArgs_zero(AX), Y10")
			o.p("VCVTPS2DQ Y10, Y11")
			o.constant(vectors256, 12, 0xc3000000) // -128
			o.constant(vectors256, 13, 0x42fe0000) // 127
		}
		o.label("loop")
		for h := range 2 {
			if name == "digits" {
				o.p("VMULPS %d(SI), Y7, Y%d", 32*h, h)
				o.p("VCVTPS2DQ Y%d, Y%d", h, h)
				continue
			}
			o.p("VMOVUPS %d(SI), Y%d", 32*h, h)
			o.p("VDIVPS Y7, Y%d, Y%d", h, h)
			o.p("VADDPS Y10, Y%d, Y%d", h, h)
			o.p("VMAXPS Y12, Y%d, Y%d", h, h)
			o.p("VMINPS Y13, Y%d, Y%d", h, h)
			o.p("VCVTPS2DQ Y%d, Y%d", h, h)
			o.p("VPSUBD Y11, Y%d, Y%d", h, h)
		}
		o.p("VPADDD Y0, Y1, Y2")
		o.p("VEXTRACTI128 $1, Y2, X3")
		o.p("VPADDD X3, X2, X2")
		o.p("VPHADDD X2, X2, X2")
		o.p("VPHADDD X2, X2, X2")
		o.p("VMOVD X2, (DX)")
		if name == "round1" {
			o.p("VPACKSSDW Y1, Y0, Y0")
			o.p("VPACKSSWB Y0, Y0, Y0")
			o.p("VEXTRACTI128 $1, Y0, X1")
			o.p("VPUNPCKLDQ X1, X0, X0")
			o.p("VMOVDQU X0, (DI)")
			o.p("ADDQ $16, DI")
		} else {
			for h := range 2 {
				o.p("VPADDD Y8, Y%d, Y%d", h, h)
				o.p("VPXOR Y8, Y%d, Y%d", h, h)
				o.p("VPSHUFB Y9, Y%d, Y%d", h, h)
				o.p("VMOVDQU Y%d, %d(DI)", h, 32*h)
			}
			o.p("ADDQ $64, DI")
		}
		o.p("ADDQ $64, SI")
		o.p("ADDQ $4, DX")
		o.p("SUBQ $16, R8")
		o.p("JNZ loop")
		o.p("VZEROUPPER")
		o.p("RET")
	}
}
