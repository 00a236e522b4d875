package main

import "fmt"

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

func (v vectors) bytes() int { return 64 / v.parts }

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
