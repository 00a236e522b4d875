package main

import (
	"fmt"
	"math"
)

// Weights of format Codes (linear.Coded). A tile is 32 places of 16 columns: planes of 8, 4, 2 and 1 bits, lines of 64 bytes, 4
// places a column. unpackCodes makes bytes of it, a panel of lines of [16][4] codes; dotDigits multiplies a panel by digits of
// inputs, group by group; expand functions make float32 of it, by a table.

// vectors names what the two instruction sets differ in.
type vectors struct {
	reg   string // Z or Y
	isa   string
	logic string // suffix of VPAND and VPOR
	parts int    // registers of a line
}

func (v vectors) z(i int) string { return fmt.Sprintf("%s%d", v.reg, i) }
func (v vectors) bytes() int     { return 64 / v.parts }

var (
	vectors512 = vectors{"Z", "AVX512", "D", 1}
	vectors256 = vectors{"Y", "AVX2", "", 2}
)

func codedAVX512() string {
	o := newFile()
	o.codedCommon(vectors512)
	for planes := 1; planes <= 3; planes++ {
		for _, rows := range []int{1, 4, 8} {
			if planes*rows <= 16 { // registers of sums
				o.dotDigits512(planes, rows)
			}
		}
	}
	o.fusedTable("Table16", "AVX512")
	o.fusedTable("E4M3", "AVX512")
	o.fusedTable("E4M3", "VBMI")
	for _, planes := range []int{1, 3} {
		for _, bits := range []int{2, 3, 4, 5, 6, 8} {
			o.row(bits, false, planes, false)
			o.row(bits, false, planes, true)
		}
		for bits := 3; bits <= 4; bits++ {
			o.row(bits, true, planes, false)
			o.row(bits, true, planes, true)
		}
	}
	return o.whole()
}

func codedAVX2() string {
	o := newFile()
	o.codedCommon(vectors256)
	for planes := 1; planes <= 3; planes++ {
		o.dotDigits256(planes, "")
		if planes > 1 {
			o.dotDigits256(planes, "Wide")
		}
		o.dotDigits256(planes, "Narrow")
	}
	for planes := 1; planes <= 3; planes++ {
		o.dotWords256(planes)
		o.makeWords256(planes)
	}
	for planes := 1; planes <= 3; planes++ {
		o.dotDigitsVNNI(planes, 1)
		o.dotDigitsVNNI(planes, 2)
	}
	numbers(o)
	digits(o)
	merge(o)
	finish(o)
	return o.whole()
}

func (o *out) codedCommon(v vectors) {
	for bits := 2; bits <= 7; bits++ {
		o.unpackCodes(v, bits, false)
	}
	for bits := 2; bits <= 4; bits++ {
		o.unpackCodes(v, bits, true)
	}
	for _, way := range []string{"Table16", "Table256", "E4M3"} {
		o.expandTable(v, way)
	}
}

// constant fills a register with a 32-bit number.
func (o *out) constant(v vectors, z int, x uint32) {
	o.p("MOVL $%#x, CX", x)
	if v.reg == "Z" {
		o.p("VPBROADCASTD CX, Z%d", z)
		return
	}
	o.p("VMOVD CX, X%d", z)
	o.p("VPBROADCASTD X%d, Y%d", z, z)
}

// codesAhead is how far ahead of themselves kernels read one stream of codes, into the second-level cache: the first-level one takes too few lines at a time.
const codesAhead = 16384

// numbersAhead is how far ahead rows read scales and offsets, and four times that as many places what products are multiplied with.
const numbersAhead = 2048

// codePlane is p bits of codes, those from pos on, from a line of a tile on.
type codePlane struct{ p, line, pos int }

func codePlanes(bits int) (list []codePlane) {
	line, pos := 0, 0
	for _, p := range []int{4, 2, 1} {
		if bits&p != 0 {
			list = append(list, codePlane{p, line, pos})
			line, pos = line+p, pos+p
		}
	}
	return list
}

// unpacker prints what makes bytes of the lines of a tile at SI, while those R14 bytes ahead are fetched. Registers from base on: 0 a line of four bits, 1 one of two,
// 2 one of one, 3 the code, 4 a temporary, 5 the table, from 6 on masks.
type unpacker struct {
	*out
	v      vectors
	planes []codePlane
	table  bool
	base   int
}

func (u unpacker) r(i int) string { return u.v.z(u.base + i) }

// begin fills masks and, from R14 on, the table.
func (u unpacker) begin() {
	for i, p := range u.planes {
		m := uint32(1<<p.p-1) << p.pos
		u.constant(u.v, u.base+6+i, m*0x01010101)
	}
	if u.table {
		u.p(map[string]string{"Z": "VBROADCASTI32X4", "Y": "VBROADCASTI128"}[u.v.reg]+" (R14), %s", u.r(5))
	}
}

// line makes line l, of its half if registers are of half a line, and returns where it is.
func (u unpacker) line(l, half int) string {
	if len(u.planes) == 0 { // of 8 bits
		u.p("PREFETCHT1 %d(SI)(R14*1)", l*64)
		u.p("VMOVDQU32 %d(SI), %s", l*64, u.r(3))
		return u.r(3)
	}
	for i, p := range u.planes {
		per := 8 / p.p
		src := u.r(map[int]int{4: 0, 2: 1, 1: 2}[p.p])
		if l%per == 0 {
			if half == 0 {
				u.p("PREFETCHT1 %d(SI)(R14*1)", (p.line+l/per)*64)
			}
			u.p("VMOVDQU%s %d(SI), %s", map[string]string{"Z": "32", "Y": ""}[u.v.reg], (p.line+l/per)*64+half*32, src)
		}
		dst, from := u.r(3), src
		if i > 0 {
			dst = u.r(4)
		}
		switch shift := p.pos - p.p*(l%per); {
		case shift < 0:
			u.p("VPSRLW $%d, %s, %s", -shift, src, dst)
			from = dst
		case shift > 0:
			u.p("VPSLLW $%d, %s, %s", shift, src, dst)
			from = dst
		}
		u.p("VPAND%s %s, %s, %s", u.v.logic, u.r(6+i), from, dst)
		if i > 0 {
			u.p("VPOR%s %s, %s, %s", u.v.logic, u.r(4), u.r(3), u.r(3))
		}
	}
	if u.table {
		u.p("VPSHUFB %s, %s, %s", u.r(3), u.r(5), u.r(3))
	}
	return u.r(3)
}

// codesName is the name of a function for codes of so many bits, or of a table of them.
func codesName(before string, bits int, table bool, after string) string {
	return fmt.Sprintf("%s%s%d%s", before, map[bool]string{false: "Codes", true: "Table"}[table], bits, after)
}

// unpackCodes prints one unpacker to a panel. DI panel, SI tiles, R8 their number, R14 table of 16 bytes.
func (o *out) unpackCodes(v vectors, bits int, table bool) {
	o.text(codesName("unpack", bits, table, v.isa), "a *unpackArgs", fmt.Sprintf("%d bits.", bits))
	o.load("unpackArgs", "dst", "DI", "src", "SI", "tiles", "R8", "table", "R14")
	u := unpacker{o, v, codePlanes(bits), table, 0}
	u.begin()
	o.p("MOVQ $%d, R14", codesAhead)
	o.label("tile")
	for half := range v.parts {
		for l := range 8 {
			line := u.line(l, half)
			o.p("VMOVDQU%s %s, %d(DI)", map[string]string{"Z": "32", "Y": ""}[v.reg], line, l*64+half*32)
		}
	}
	o.p("ADDQ $%d, SI", 64*bits)
	o.p("ADDQ $512, DI")
	o.p("DECQ R8")
	o.p("JNZ tile")
	o.p("VZEROUPPER")
	o.p("RET")
}

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

// expandTable prints one maker of float32 weights from bytes: DI panel of [place][16], SI lines, R8 their number, R14 the table.
func (o *out) expandTable(v vectors, way string) {
	o.text("expand"+way+v.isa, "a *expandArgs", "lines of 4 places.")
	o.load("expandArgs", "dst", "DI", "src", "SI", "lines", "R8", "table", "R14")
	switch way {
	case "Table256":
		o.constant(v, 8, 255)
	case "E4M3":
		o.e4m3Constants(v)
	case "Table16":
		o.p("VMOVUPS (R14), %s", v.z(9))
		if v.parts == 2 {
			o.p("VMOVUPS 32(R14), Y10")
		}
	}
	o.label("line")
	for half := range v.parts {
		o.p("VMOVDQU%s %d(SI), %s", map[string]string{"Z": "32", "Y": ""}[v.reg], 32*half, v.z(0))
		if way == "E4M3" {
			o.e4m3(v, 0)
		}
		for i := range 4 {
			value := v.z(2)
			if way == "E4M3" {
				value = v.z(1 + i)
			} else {
				src := v.z(0)
				if i > 0 {
					o.p("VPSRLD $%d, %s, %s", 8*i, v.z(0), v.z(1))
					src = v.z(1)
				}
				if way == "Table256" {
					o.p("VPAND%s %s, %s, %s", v.logic, v.z(8), src, v.z(1))
					if v.parts == 1 {
						o.p("KXNORW K1, K1, K1")
						o.p("VGATHERDPS (R14)(Z1*4), K1, Z2")
					} else {
						o.p("VPCMPEQD Y5, Y5, Y5")
						o.p("VGATHERDPS Y5, (R14)(Y1*4), Y2")
					}
				} else if v.parts == 1 {
					o.p("VPERMPS Z9, %s, Z2", src)
				} else {
					o.p("VPSLLD $28, %s, Y5", src)
					o.p("VPERMPS Y9, %s, Y2", src)
					o.p("VPERMPS Y10, %s, Y4", src)
					o.p("VBLENDVPS Y5, Y4, Y2, Y2")
				}
			}
			o.p("VMOVUPS %s, %d(DI)", value, 64*i+32*half)
		}
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ $256, DI")
	o.p("DECQ R8")
	o.p("JNZ line")
	o.p("VZEROUPPER")
	o.p("RET")
}

// fusedTable prints the product of one row with four blocks of codes of 8 bits (e4m3) or 4, whose values are no integers: SI the first block's codes, R8 lines of
// a group, R9 groups, R10 scales, BX bytes from block to block and R11 of scales, DX x, DI results, R14 the table, R15 codes to fetch. Sums of a group Z16 to Z19, results Z20 to Z23, inputs from Z24 on.
func (o *out) fusedTable(way, isa string) {
	o.text("dot"+way+"x4"+isa, "a *tableArgs", "four blocks, one row.")
	o.load("tableArgs", "c", "DI", "src", "SI", "ss", "BX", "x", "DX", "lines", "R8", "groups", "R9", "scale", "R10", "scales", "R11", "table", "R14")
	v := vectors512
	bytes := isa == "VBMI"
	switch {
	case bytes:
		o.e4m3Bytes()
	case way == "E4M3":
		o.e4m3Constants(v)
	default:
		o.p("VMOVUPS (R14), Z9")
	}
	o.p("LEAQ (BX)(BX*2), R12")
	o.p("LEAQ (R11)(R11*2), R13")
	o.p("MOVQ tableArgs_ahead(AX), R15")
	o.p("ADDQ SI, R15")
	at := func(base, one, three string, b int) string {
		return fmt.Sprintf("(%s)%s", base, [...]string{"", "(" + one + "*1)", "(" + one + "*2)", "(" + three + "*1)"}[b])
	}
	for b := range 4 {
		o.p("VMOVUPS %d(DI), Z%d", 64*b, 20+b)
	}
	o.label("group")
	for b := range 4 {
		o.p("VPXORD Z%d, Z%d, Z%d", 16+b, 16+b, 16+b)
	}
	o.p("MOVQ R8, CX")
	o.label("line")
	places := map[string]int{"E4M3": 4, "Table16": 8}[way]
	for i := range places { // on the Zen 4 kind twice as fast as VBROADCASTSS
		o.p("VPBROADCASTD %d(DX), Z%d", 4*i, 24+i)
	}
	for b := range 4 {
		o.p("PREFETCHT1 %s", at("R15", "BX", "R12", b))
		o.p("VMOVDQU32 %s, Z0", at("SI", "BX", "R12", b))
		switch {
		case bytes:
			o.e4m3OfBytes(0)
		case way == "E4M3":
			o.e4m3(v, 0)
		}
		for i := range places {
			value := 1 + i
			if way == "Table16" {
				if shift := i%4*8 + i/4*4; shift > 0 {
					o.p("VPSRLD $%d, Z0, Z%d", shift, value)
					o.p("VPERMPS Z9, Z%d, Z%d", value, value)
				} else {
					o.p("VPERMPS Z9, Z0, Z%d", value)
				}
			}
			o.p("VFMADD231PS Z%d, Z%d, Z%d", 24+i, value, 16+b)
		}
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ $64, R15")
	o.p("ADDQ $%d, DX", 4*places)
	o.p("SUBQ $%d, CX", places/4)
	o.p("JNZ line")
	for b := range 4 {
		o.p("VFMADD231PS %s, Z%d, Z%d", at("R10", "R11", "R13", b), 16+b, 20+b)
	}
	o.p("ADDQ $64, R10")
	o.p("DECQ R9")
	o.p("JNZ group")
	for b := range 4 {
		o.p("VMOVUPS Z%d, %d(DI)", 20+b, 64*b)
	}
	o.p("VZEROUPPER")
	o.p("RET")
}

// e4m3Bytes fills registers 5 and 7 to 13 for e4m3OfBytes: zero, the order of bytes in lanes, the upper and lower bytes of bfloat16 by code, the sign, the upper halves of words.
func (o *out) e4m3Bytes() {
	const name = "e4m3Bytes"
	for half := range 2 { // upper bytes, lower ones
		for i := range 16 {
			var w uint64
			for j := range 8 {
				v := math.Float32bits(math.Float32frombits(uint32(8*i+j)<<20) * 0x1p120)
				w |= uint64(v>>(24-8*half)&0xff) << (8 * j)
			}
			fmt.Fprintf(&o.data, "DATA %s<>+%d(SB)/8, $%#016x\n", name, 128*half+8*i, w)
		}
	}
	fmt.Fprintf(&o.data, "GLOBL %s<>(SB), RODATA|NOPTR, $256\n", name)
	const order = "e4m3Pairs" // the places 0 of the four columns, 1, then 2 and 3
	fmt.Fprintf(&o.data, "DATA %s<>+0(SB)/8, $0x0d0905010c080400\nDATA %s<>+8(SB)/8, $0x0f0e0b0a07060302\nGLOBL %s<>(SB), RODATA|NOPTR, $16\n", order, order, order)
	o.p("VBROADCASTI32X4 %s<>(SB), Z7", order)
	o.p("VPXORD Z5, Z5, Z5")
	for i := range 4 {
		o.p("VMOVDQU32 %s<>+%d(SB), Z%d", name, 64*i, 8+i)
	}
	o.constant(vectors512, 12, 0x80808080)
	o.constant(vectors512, 13, 0xffff0000)
}

// e4m3OfBytes is e4m3 by two bytes of bfloat16 each, and exactly.
func (o *out) e4m3OfBytes(z int) {
	o.p("VPSHUFB Z7, Z%d, Z3", z)
	o.p("VMOVDQA32 Z3, Z4")
	o.p("VPERMI2B Z9, Z8, Z4")
	o.p("VPTERNLOGD $0xf8, Z12, Z3, Z4")
	o.p("VPERMI2B Z11, Z10, Z3")
	o.p("VPUNPCKLBW Z4, Z3, Z2")
	o.p("VPUNPCKHBW Z4, Z3, Z4")
	o.p("VPUNPCKLWD Z2, Z5, Z1") // these two take turns on three pipes, a shift and a mask on two and four
	o.p("VPUNPCKHWD Z2, Z5, Z2")
	o.p("VPSLLD $16, Z4, Z3")
	o.p("VPANDD Z13, Z4, Z4")
}

// e4m3Lanes names an order of bytes in lanes: the places 0 and 1 of the four columns, then 2 and 3.
func (o *out) e4m3Lanes() string {
	const name = "e4m3Lanes"
	fmt.Fprintf(&o.data, "DATA %s<>+0(SB)/8, $0x0d0c090805040100\nDATA %s<>+8(SB)/8, $0x0f0e0b0a07060302\nGLOBL %s<>(SB), RODATA|NOPTR, $16\n", name, name, name)
	return name
}

// e4m3Constants fills registers 8, 9, 11 and 13 for e4m3: the order of words (or of bytes in lanes), a mask, 256.
func (o *out) e4m3Constants(v vectors) {
	name := "e4m3Order" + v.isa
	if v.parts == 1 { // the even words of 32, then the odd ones
		for i := range 8 {
			var w uint64
			for j := range 4 {
				at := 4*i + j
				w |= uint64(2*(at%16)+at/16) << (16 * j)
			}
			fmt.Fprintf(&o.data, "DATA %s<>+%d(SB)/8, $%#016x\n", name, 8*i, w)
		}
		fmt.Fprintf(&o.data, "GLOBL %s<>(SB), RODATA|NOPTR, $64\n", name)
		o.p("VMOVDQU32 %s<>(SB), Z8", name)
	} else {
		o.p("VBROADCASTI128 %s<>(SB), Y8", o.e4m3Lanes())
	}
	o.constant(v, 11, 0xbf80bf80)
	o.constant(v, 13, 0x43800000)
}

// e4m3 makes of the bytes in register z values of the four places in registers 1 to 4: as halves, whose sign, exponent and fraction lie one bit lower, they are less by the factor 256, subnormal ones too.
func (o *out) e4m3(v vectors, z int) {
	if v.parts == 1 {
		o.p("VPERMW %s, Z8, Z3", v.z(z))
	} else {
		o.p("VPSHUFB Y8, %s, Y3", v.z(z))
		o.p("VPERMQ $0xd8, Y3, Y3")
	}
	o.p("VPSLLW $8, %s, %s", v.z(3), v.z(1))
	for _, r := range []int{1, 3} {
		o.p("VPSRAW $1, %s, %s", v.z(r), v.z(r))
		o.p("VPAND%s %s, %s, %s", v.logic, v.z(11), v.z(r), v.z(r))
	}
	half, high := "Y", "VEXTRACTI64X4"
	if v.parts == 2 {
		half, high = "X", "VEXTRACTI128"
	}
	o.p("%s $1, %s, %s4", high, v.z(3), half)
	o.p("VCVTPH2PS %s3, %s", half, v.z(2))
	o.p("%s $1, %s, %s3", high, v.z(1), half)
	o.p("VCVTPH2PS %s4, %s", half, v.z(4))
	o.p("VCVTPH2PS %s3, %s", half, v.z(3))
	o.p("VCVTPH2PS %s1, %s", half, v.z(1))
	for i := 1; i <= 4; i++ {
		o.p("VMULPS %s, %s, %s", v.z(13), v.z(i), v.z(i))
	}
}

// numbers prints the decoders of scales, offsets and zeros, lines of 16: DI dst, SI src, CX lines, R10 super.
func numbers(o *out) {
	for _, f := range []struct {
		name string
		size int // bytes of a number
		body func(h int)
	}{
		{"F16", 2, func(h int) { o.p("VCVTPH2PS %d(SI), Y0", 16*h) }},
		{"BF16", 2, func(h int) {
			o.p("VPMOVZXWD %d(SI), Y0", 16*h)
			o.p("VPSLLD $16, Y0, Y0")
		}},
		{"E8M0", 1, func(h int) { // 2^-127 is subnormal
			o.p("VPMOVZXBD %d(SI), Y0", 8*h)
			o.p("VPCMPEQD Y0, Y2, Y1")
			o.p("VPAND Y1, Y3, Y1")
			o.p("VPSLLD $23, Y0, Y0")
			o.p("VPOR Y1, Y0, Y0")
		}},
		{"Product", 1, func(h int) {
			o.p("VPMOVSXBD %d(SI), Y0", 8*h)
			o.p("VCVTDQ2PS Y0, Y0")
			o.p("VMULPS %d(R10), Y0, Y0", 32*h)
		}},
		{"U8", 1, func(h int) {
			o.p("VPMOVZXBD %d(SI), Y0", 8*h)
			o.p("VCVTDQ2PS Y0, Y0")
		}},
	} {
		o.text("numbers"+f.name+"AVX2", "a *numbersArgs", "lines of 16 numbers as float32.")
		o.load("numbersArgs", "dst", "DI", "src", "SI", "lines", "CX", "super", "R10")
		if f.name == "E8M0" {
			o.p("VPXOR Y2, Y2, Y2")
			o.p("MOVL $0x400000, AX")
			o.p("VMOVD AX, X3")
			o.p("VPBROADCASTD X3, Y3")
		}
		o.label("line")
		for h := range 2 {
			f.body(h)
			o.p("VMOVUPS Y0, %d(DI)", 32*h)
		}
		o.p("ADDQ $64, DI")
		o.p("ADDQ $%d, SI", 16*f.size)
		o.p("DECQ CX")
		o.p("JNZ line")
		o.p("VZEROUPPER")
		o.p("RET")
	}
}

// merge prints what adds sums of a group times its scales to results: SI sums, DI results, DX scales, R8 rows.
func merge(o *out) {
	o.text("mergeAVX2", "a *mergeArgs", "16 columns of 32.")
	o.load("mergeArgs", "c", "DI", "sum", "SI", "scale", "DX", "rows", "R8")
	for h := range 2 {
		o.p("VMOVUPS %d(DX), Y%d", 32*h, 4+h)
	}
	o.p("VPXOR Y6, Y6, Y6")
	o.label("row")
	for h := range 2 {
		o.p("VMOVUPS %d(DI), Y%d", 32*h, h)
		o.p("VFMADD231PS %d(SI), Y%d, Y%d", 32*h, 4+h, h)
		o.p("VMOVUPS Y%d, %d(DI)", h, 32*h)
		o.p("VMOVUPS Y6, %d(SI)", 32*h)
	}
	o.p("ADDQ $128, SI")
	o.p("ADDQ $128, DI")
	o.p("DECQ R8")
	o.p("JNZ row")
	o.p("VZEROUPPER")
	o.p("RET")
}

// finish prints what makes results of sums: SI sums, DI results, DX scales, R10 bias or 0, BX bytes from row to row, R8 rows, R9 whether to add.
func finish(o *out) {
	o.text("finishAVX2", "a *finishArgs", "16 columns.")
	o.load("finishArgs", "c", "SI", "y", "DI", "scale", "DX", "bias", "R10", "ldy", "BX", "rows", "R8", "add", "R9", "lds", "R11", "ldb", "R12")
	o.label("row")
	o.p("VBROADCASTSS (DX), Y2")
	for h := range 2 {
		o.p("VMULPS %d(SI), Y2, Y%d", 32*h, h)
	}
	o.p("TESTQ R10, R10")
	o.p("JZ plain")
	for h := range 2 {
		o.p("VADDPS %d(R10), Y%d, Y%d", 32*h, h, h)
	}
	o.label("plain")
	o.p("TESTQ R9, R9")
	o.p("JZ store")
	for h := range 2 {
		o.p("VADDPS %d(DI), Y%d, Y%d", 32*h, h, h)
	}
	o.label("store")
	for h := range 2 {
		o.p("VMOVUPS Y%d, %d(DI)", h, 32*h)
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ R11, DX")
	o.p("ADDQ BX, DI")
	o.p("ADDQ R12, R10 // what is nil stays so: its step is 0")
	o.p("DECQ R8")
	o.p("JNZ row")
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
