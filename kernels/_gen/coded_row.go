package main

import "fmt"

// A row of digits times blocks of codes as they are stored (linear.rowArgs).

// row prints dotRow for codes of so many bits, in groups of whole tiles or of half a tile. The blocks are in streams, which go on side by side: a turn is a group of one block of each, or the two
// of a tile. AX arguments, DX results, SI codes, R10 scales, R12 offsets, R13 zeros, R15 the place of the float32 of products; DI digits, R11 sums, R8 steps of the turn, R9 turns left of a block,
// CX lines left of a group, R14 how far ahead codes are fetched; BX temporary.
// Accumulators from Z0 on by plane, those of odd lines after them; unpacking from Z6 on; results Z16, scales Z17, offsets Z18, zeros Z19, what digits count for Z24, Z25.
func (o *out) row(bits int, table bool, planes int, half bool) {
	o.text(rowName(bits, table, planes, half), "a *rowArgs", fmt.Sprintf("%d bits, %d digits, one row.", bits, planes))
	o.load("rowArgs", "c", "DX", "codes", "SI", "scale", "R10", "offset", "R12", "zero", "R13", "table", "R14")
	u := unpacker{o, vectors512, codePlanes(bits), table, 6}
	u.begin()
	o.constant(vectors512, 20, 0x00400000) // 2^-127
	o.constant(vectors512, 24, 0x43800000) // 256
	o.constant(vectors512, 25, 0x47800000) // 65536
	o.p("VMOVUPS (R13), Z19")
	o.p("MOVQ rowArgs_ahead(AX), R14")
	clear := func() {
		for i := range 2 * planes {
			o.p("VPXORD Z%d, Z%d, Z%d", i, i, i)
		}
	}
	lines := func(from, to int) {
		for l := from; l < to; l++ {
			code := u.line(l, 0)
			for p := range planes {
				o.p("VPDPBUSD.BCST %d(DI), %s, Z%d", l*digitStep(planes)+4*p, code, l%2*planes+p)
			}
		}
	}
	tile := func() {
		o.p("ADDQ $%d, SI", 64*bits)
		o.p("ADDQ $%d, DI", 8*digitStep(planes))
	}
	group := func(name string, sum int) {
		o.number("scale", "R10", 17, "scale"+name)
		for p := range planes {
			o.p("VPADDD Z%d, Z%d, Z%d", planes+p, p, p)
			o.p("VCVTDQ2PS Z%d, Z%d", p, p)
		}
		for p := 1; p < planes; p++ {
			o.p("VFMADD231PS Z%d, Z%d, Z0", 23+p, p)
		}
		o.p("VBROADCASTSS %d(R11), Z5", sum)
		o.p("CMPQ rowArgs_zeroForm(AX), $0")
		o.p("JE zero%s", name)
		o.p("VPMOVZXBD (R13), Z19")
		o.p("VCVTDQ2PS Z19, Z19")
		o.p("ADDQ $16, R13")
		o.label("zero" + name)
		o.p("VFNMADD231PS Z19, Z5, Z0")
		o.p("VFMADD231PS Z17, Z0, Z16")
		o.p("CMPQ rowArgs_offsetForm(AX), $0")
		o.p("JE sums%s", name)
		o.number("offset", "R12", 18, "offset"+name)
		o.p("VFMADD231PS Z18, Z5, Z16")
		o.label("sums" + name)
	}
	o.p("MOVQ $-64, R15")
	o.label("block")
	o.load("rowArgs", "x", "DI", "sum", "R11", "turns", "R9")
	o.p("MOVQ $0, rowArgs_until(AX)")
	o.label("turn")
	o.p("DECQ rowArgs_until(AX)")
	o.p("JNS super")
	o.p("ADDQ $64, R15")
	o.p("MOVQ rowArgs_run(AX), BX")
	o.p("MOVQ BX, rowArgs_until(AX)")
	o.label("super")
	o.p("LEAQ rowArgs_next(AX), R8")
	o.p("CMPQ R9, $1")
	o.p("JNE whole")
	o.p("LEAQ rowArgs_last(AX), R8")
	o.label("whole")
	o.p("MOVQ rowArgs_streams(AX), BX")
	o.p("MOVQ BX, rowArgs_left(AX)")
	o.label("stream")
	o.p("VMOVUPS (DX), Z16")
	o.p("MOVQ rowSteps_lines(R8), CX")
	clear()
	if half {
		lines(0, 4)
		group("First", 0)
		o.p("CMPQ CX, $4")
		o.p("JE last // half a tile is padding")
		clear()
		lines(4, 8)
		group("Second", 4)
		o.label("last")
		tile()
	} else {
		o.label("tile")
		lines(0, 8)
		tile()
		o.p("SUBQ $8, CX")
		o.p("JNZ tile")
		group("", 0)
	}
	o.p("VMOVUPS Z16, (DX)")
	step := func(op string) {
		for _, x := range [][2]string{{"codes", "SI"}, {"scale", "R10"}, {"offset", "R12"}, {"zero", "R13"}, {"super", "R15"}, {"c", "DX"}} {
			o.p("%s rowSteps_%s(R8), %s", op, x[0], x[1])
		}
	}
	o.p("DECQ rowArgs_left(AX)")
	o.p("JZ end")
	o.p("SUBQ rowSteps_digits(R8), DI")
	step("ADDQ")
	o.p("JMP stream")
	o.label("end")
	o.p("ADDQ $%d, R11", map[bool]int{false: 4, true: 8}[half])
	o.p("LEAQ rowArgs_back(AX), R8")
	step("SUBQ")
	o.p("DECQ R9")
	o.p("JNZ turn")
	o.p("ADDQ $64, DX")
	o.p("DECQ rowArgs_blocks(AX)")
	o.p("JNZ block")
	o.p("VZEROUPPER")
	o.p("RET")
}

// number loads the number of a group of 16 columns at reg, of the form that the arguments say, and goes on to the next.
func (o *out) number(name, reg string, z int, label string) {
	o.p("PREFETCHT1 %d(%s)", numbersAhead, reg)
	o.p("MOVQ rowArgs_%sForm(AX), BX", name)
	o.p("CMPQ BX, $const_NumF16")
	o.p("JA %sSmall", label)
	o.p("JE %sF16", label)
	o.p("VMOVUPS (%s), Z%d", reg, z)
	o.p("ADDQ $64, %s", reg)
	o.p("JMP %s", label)
	o.label(label + "F16")
	o.p("VCVTPH2PS (%s), Z%d", reg, z)
	o.p("ADDQ $32, %s", reg)
	o.p("JMP %s", label)
	o.label(label + "Small")
	o.p("CMPQ BX, $const_NumE8M0")
	o.p("JA %sProduct", label)
	o.p("JE %sE8M0", label)
	o.p("VPMOVZXWD (%s), Z%d", reg, z)
	o.p("VPSLLD $16, Z%d, Z%d", z, z)
	o.p("ADDQ $32, %s", reg)
	o.p("JMP %s", label)
	o.label(label + "E8M0")
	o.p("VPMOVZXBD (%s), Z%d", reg, z)
	o.p("VPTESTNMD Z%d, Z%d, K1", z, z)
	o.p("VPSLLD $23, Z%d, Z%d", z, z)
	o.p("VPORD Z20, Z%d, K1, Z%d", z, z)
	o.p("ADDQ $16, %s", reg)
	o.p("JMP %s", label)
	o.label(label + "Product")
	o.p("MOVQ rowArgs_%sSuper(AX), BX", name)
	o.p("PREFETCHT1 %d(BX)(R15*1)", numbersAhead/4)
	o.p("VPMOVSXBD (%s), Z%d", reg, z)
	o.p("VCVTDQ2PS Z%d, Z%d", z, z)
	o.p("VMULPS (BX)(R15*1), Z%d, Z%d", z, z)
	o.p("ADDQ $16, %s", reg)
	o.label(label)
}

func rowName(bits int, table bool, planes int, half bool) string {
	return codesName("dotRow", bits, table, fmt.Sprintf("x%d%sAVX512", planes, map[bool]string{true: "Half"}[half]))
}
