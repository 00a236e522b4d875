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
	siluAVX512(o)
	winograd(o, true)
	for _, float := range []bool{false, true} {
		for _, rows := range directRows {
			for b := 1; b <= directBlocks; b++ {
				directTile(o, float, rows, b)
			}
		}
	}
	return o.whole()
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
	directEnd(o, float, rows, b)
}

// directEnd brings the sums of a tile, or of as many of its rows as are left, to dst, with them in registers from first to last.
//
// DI results, R8 from row to row, R10 what is added, R11 from row to row, CX rows; K1 columns of the last block, K2 of all. Z24.. scales, Z28.. biases, later constants and what is added.
func directEnd(o *out, float bool, rows, b int) {
	e := tileEnd{o, float, rows, b, 1, func(i, j int) int { return i*b + j }}
	e.scaled()
	o.label("active")
	o.load("directArgs", "rows", "CX", "dst", "DI", "ldd", "R8", "other", "R10", "ldo", "R11")
	o.p("LEAQ -%d(CX), DX", rows)
	o.p("MOVQ DX, directArgs_rows(AX)")
	e.stored(func(i int, _ string) {
		o.p("ADDQ R8, DI")
		if i+1 < rows {
			o.p("DECQ CX")
			o.p("JZ stored")
		} else {
			o.p("JMP stored")
		}
	}, func() { o.p("MOVQ CX, DX") }, func(i int, added string) {
		o.p("ADDQ R11, R10")
		if i+1 < rows {
			o.p("DECQ DX")
			o.p("JZ %s", added)
		}
	})
	e.silu()
	o.label("stored")
	o.p("MOVQ DI, directArgs_dst(AX)")
	o.p("CMPQ directArgs_rows(AX), $0")
	o.p("JG tile")
	o.p("VZEROUPPER")
	o.p("RET")
}

// tileEnd prints the end of a tile of rows x b blocks, whose sums are in registers that sum names; the codes of so many rows are made together.
type tileEnd struct {
	*out
	float             bool
	rows, b, together int
	sum               func(i, j int) int
}

// each prints for row i; 1 the sums, 2 the place of the block.
func (e *tileEnd) each(i int, format string) {
	for j := range e.b {
		e.p(format, e.sum(i, j), j)
	}
}

// scaled makes float32 of sums and adds biases. What follows is at active.
func (e *tileEnd) scaled() {
	e.load("directArgs", "bias", "R13", "c", "SI")
	for j := range e.b {
		e.p("VMOVUPS %d(R13), Z%d", 64*j, 28+j)
	}
	if !e.float {
		e.load("directArgs", "scale", "R12")
		for j := range e.b {
			e.p("VMOVUPS %d(R12), Z%d", 64*j, 24+j)
		}
	}
	for i := range e.rows {
		if !e.float {
			e.each(i, "VCVTDQ2PS Z%d, Z%[1]d")
			e.each(i, "VMULPS.BCST directArgs_factor(AX), Z%d, Z%[1]d")
			for j := range e.b {
				e.p("VMULPS Z%d, Z%d, Z%[2]d", 24+j, e.sum(i, j))
			}
		}
		for j := range e.b {
			e.p("VADDPS Z%d, Z%d, Z%[2]d", 28+j, e.sum(i, j))
		}
	}
	e.p("CMPQ directArgs_silu(AX), $0")
	e.p("JNE silu")
}

// stored adds what is to be added to the rows and stores them as codes or float32: next moves DI on from row i, to stored if there are no more; begin and other do so with R10, to
// added. The first argument of next is the row, the second a name for labels.
func (e *tileEnd) stored(next func(i int, kind string), begin func(), other func(i int, added string)) {
	e.load("directArgs", "mask", "R14")
	e.p("KMOVW R14, K1")
	e.p("SHLQ $%d, R14", 16*(e.b-1))
	if e.b > 1 {
		e.p("MOVQ $%#x, DX", 1<<(16*(e.b-1))-1)
		e.p("ORQ DX, R14")
	}
	e.p("KMOVQ R14, K2")
	e.p("CMPQ directArgs_codes(AX), $0")
	e.p("JE floats")
	e.p("TESTQ R10, R10")
	e.p("JNZ addCodes")
	e.label("codes")
	e.p("VBROADCASTSS directArgs_inv(AX), Z24")
	if e.float {
		e.p("VBROADCASTSS directArgs_hi(AX), Z25")
	} else {
		e.p("VPBROADCASTB directArgs_greatest(AX), Z25")
	}
	e.p("VPBROADCASTW directArgs_zero(AX), Z26")
	e.p("VPMOVZXBD lanes<>(SB), Z27")
	for i := 0; i < e.rows; i += e.together {
		var list []int
		for r := i; r < i+e.together; r++ {
			for j := range e.b {
				list = append(list, e.sum(r, j))
			}
		}
		e.packed(list)
		for r := range e.together {
			switch {
			case e.together == 1:
				e.p("VMOVDQU8 Z%d, K2, (DI)", list[0])
			case r == 0:
				e.p("VMOVDQU8 X%d, K1, (DI)", list[0])
			default:
				e.p("VEXTRACTI32X4 $%d, Z%d, X%d", r, list[0], 27+r)
				e.p("VMOVDQU8 X%d, K1, (DI)", 27+r)
			}
			next(i+r, "codes")
		}
	}
	e.label("floats")
	e.p("TESTQ R10, R10")
	e.p("JNZ addFloats")
	e.label("bound")
	e.p("VBROADCASTSS directArgs_lo(AX), Z24")
	e.p("VBROADCASTSS directArgs_hi(AX), Z25")
	for i := range e.rows {
		e.each(i, "VMAXPS Z%d, Z24, Z%[1]d // NaN stays")
		e.each(i, "VMINPS Z%d, Z25, Z%[1]d")
		for j := range e.b {
			mask := ""
			if j == e.b-1 {
				mask = "K1, "
			}
			e.p("VMOVUPS Z%d, %s%d(DI)", e.sum(i, j), mask, 64*j)
		}
		next(i, "floats")
	}
	for _, codes := range []bool{true, false} {
		e.label(map[bool]string{true: "addCodes", false: "addFloats"}[codes])
		begin()
		added := fmt.Sprintf("added%v", codes)
		for i := range e.rows {
			for j := range e.b {
				op, size, mask := "VMOVUPS", 64, ""
				if codes {
					op, size = "VPMOVZXBD", 16
				}
				if j == e.b-1 {
					op, mask = op+".Z", "K1, "
				}
				e.p("%s %d(R10), %sZ%d", op, size*j, mask, 24+j)
			}
			for j := range e.b {
				if codes {
					e.p("VPSUBD.BCST directArgs_otherZero(AX), Z%d, Z%[1]d", 24+j)
					e.p("VCVTDQ2PS Z%d, Z%[1]d", 24+j)
					e.p("VMULPS.BCST directArgs_otherScale(AX), Z%d, Z%[1]d", 24+j)
				}
				e.p("VADDPS Z%d, Z%d, Z%[2]d", 24+j, e.sum(i, j))
			}
			other(i, added)
		}
		e.label(added)
		e.p("MOVQ R10, directArgs_other(AX)")
		e.p("JMP %s", map[bool]string{true: "codes", false: "bound"}[codes])
	}
}

// packed makes codes of up to four registers, of the first, sixteen of each one after the other. What is below Lo, which is -Zero, is 0 by saturation, and so is -2^31, what NaN becomes; sums of
// codes are so small (Direct.Bounded) that the greatest code can be seen to last.
func (e *tileEnd) packed(list []int) {
	each := func(format string) {
		for _, r := range list {
			e.p(format, r)
		}
	}
	each("VMULPS Z24, Z%d, Z%[1]d")
	if e.float {
		each("VMINPS Z%d, Z25, Z%[1]d // NaN stays")
	}
	each("VCVTPS2DQ Z%d, Z%[1]d")
	for i := 0; i < len(list); i += 2 {
		e.p("VPACKSSDW Z%d, Z%d, Z%[2]d", list[min(i+1, len(list)-1)], list[i])
		e.p("VPADDSW Z26, Z%d, Z%[1]d", list[i])
	}
	e.p("VPACKUSWB Z%d, Z%d, Z%[2]d", list[(len(list)-1)/2*2], list[0])
	if !e.float {
		e.p("VPMINUB Z25, Z%d, Z%[1]d", list[0])
	}
	e.p("VPERMD Z%d, Z27, Z%[1]d", list[0])
}

// silu is what scaled jumps to.
func (e *tileEnd) silu() {
	e.label("silu")
	for i := range e.rows * e.b {
		e.p("VMOVUPS Z%d, %d(SI)", e.sum(i/e.b, i%e.b), 64*i)
	}
	e.p("MOVQ SI, DI")
	e.p("MOVQ $%d, CX", e.rows*e.b)
	e.p("CALL silu8<>(SB)")
	e.p("MOVQ directArgs_c(AX), SI")
	for i := range e.rows * e.b {
		e.p("VMOVUPS %d(SI), Z%d", 64*i, e.sum(i/e.b, i%e.b))
	}
	e.p("JMP active")
}
