package main

import (
	"fmt"
	"math"
)

// Codes whose values are no integers, by a table or e4m3, as float32 (linear.expandArgs, linear.tableArgs).

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
