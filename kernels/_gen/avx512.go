package main

import (
	"fmt"
	"slices"
)

// rowAddr is the address of k offset off in row i of the 2h rows (h = 0: the
// one row): the first h rows start at SI, the others at DI, BX bytes apart;
// R11 is 3*BX when h is 4.
func rowAddr(h, i, off int) string {
	base, j := "SI", i
	if h > 0 && i >= h {
		base, j = "DI", i-h
	}
	return fmt.Sprintf("%d(%s)%s", off, base, [...]string{"", "(BX*1)", "(BX*2)", "(R11*1)"}[j])
}

// blockAddr is byte off of weight block b: base, step and 3*step in three registers.
func blockAddr(b, off int, base, step, step3 string) string {
	return fmt.Sprintf("%d(%s)%s", off, base, [...]string{"", "(" + step + "*1)", "(" + step + "*2)", "(" + step3 + "*1)"}[b])
}

// prefetch is how far ahead of themselves kernels read weights: with so little to do for each byte as few rows
// have, the processor alone does not read far enough ahead. 1 to 2 KB were best.
const prefetch = 2048

// ahead prints that for block j of a loop's weights: one or two rows read four streams into the second-level cache, which takes more lines at a time than the first.
func (o *out) ahead(rows, j, off int) {
	if rows > 2 {
		o.p("PREFETCHT0 %s", blockAddr(j, off+prefetch, "R8", "R9", "R10"))
		return
	}
	o.p("PREFETCHT1 %s", blockAddr(j, off+prefetch/2, "R8", "R9", "R10"))
}

func rowsOf(h int) int { return max(2*h, 1) }

func avx512() string {
	o := newFile()
	spreadTable(o)
	for h := 0; h <= 3; h++ {
		dotI8(o, h, 4)
	}
	wholeI8(o)
	for h := 0; h <= 4; h++ {
		dotCodes(o, 4, h, [...]int{4, 4, 4, 2, 2}[h], false)
	}
	for h := 0; h <= 1; h++ {
		dotCodes(o, 6, h, 4, false)
	}
	for h := 0; h <= 4; h++ {
		dotCodes(o, 4, h, 2, true)
	}
	expandAVX512(o, 4)
	expandAVX512(o, 6)
	return o.String()
}

// dotI8 accumulates rowsOf(h) rows against b blocks: Z0.. accumulators by row
// then block, Z24..Z27 weights, Z28..Z31 activations in turn. For more than two rows a step also fetches a line of each
// block of the strip to come: R12, and R13 and R14 for one and three blocks.
func dotI8(o *out, h, b int) {
	rows := rowsOf(h)
	name := fmt.Sprintf("dotI8x%dAVX512", rows)
	o.text(name, "a *dotArgs", fmt.Sprintf("%d rows x %d columns; R8 weights, R9 and R10 one and three blocks, CX steps of 16 k.", rows, 16*b))
	if rows <= 2 {
		o.label("tile")
		o.p("MOVQ a+0(FP), AX")
	}
	o.load("dotArgs", "a0", "SI", "a1", "DI", "lda", "BX", "w", "R8", "ws", "R9", "k", "CX", "c", "DX")
	o.p("LEAQ (R9)(R9*2), R10")
	o.p("SHRQ $4, CX")
	if rows > 2 {
		o.load("dotArgs", "fetch", "R12", "nextw", "R13")
		o.p("LEAQ (R13)(R13*2), R14")
	}
	o.sumI8(h, b)
	o.store(rows, b)
}

// sumI8 prints the sums of dotI8, from zero on.
func (o *out) sumI8(h, b int) {
	rows := rowsOf(h)
	for i := range rows * b {
		o.p("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	o.label("loop")
	for u := range 4 {
		for j := range b {
			o.ahead(rows, j, u*64)
			o.p("VMOVDQU32 %s, Z%d", blockAddr(j, u*64, "R8", "R9", "R10"), 24+j)
		}
		for i := range rows {
			z := 28 + (u*rows+i)%4
			o.p("VPBROADCASTD %s, Z%d", rowAddr(h, i, u*4), z)
			for j := range b {
				o.p("VPDPBUSD Z%d, Z%d, Z%d", 24+j, z, i*b+j)
			}
		}
	}
	if rows > 2 {
		o.p("TESTQ R12, R12")
		o.p("JZ nofetch")
		for j := range b {
			o.p("PREFETCHT1 %s", blockAddr(j, 0, "R12", "R13", "R14"))
		}
		o.p("ADDQ $64, R12")
		o.label("nofetch")
	}
	o.p("ADDQ $16, SI")
	o.p("ADDQ $16, DI")
	o.p("ADDQ $256, R8")
	o.p("DECQ CX")
	o.p("JNZ loop")
}

// wholeI8 is dotI8 of six rows and the epilogue after it, for as many turns of six rows as there are: the sums never leave the registers.
// Then, block after block, Z24 to Z29 are what the wild columns give the rows (epilogue: bias), Z30 weights of a column or sums of weights, and SI and DI the wild inputs of
// rows 0 and 3, BX bytes apart, R8 their weights; DX and R15 y of rows 0 and 3, R11 bytes apart; R9 sum, R10 wscale, R12 scale, R13 bias, R14 zero.
func wholeI8(o *out) {
	o.WriteString("\n// func wholeI8AVX512(a *wholeArgs)\n// Turns of 6 rows x 64 columns, from bytes to y; registers as in dotI8x6AVX512, then as the generator says.\nTEXT ·wholeI8AVX512(SB), NOSPLIT, $56-8\n")
	o.p("MOVQ a+0(FP), AX")
	locals := []string{"x", "y", "scale", "zero", "wild", "fetch", "turns"}
	local := func(name string) string { return fmt.Sprintf("%s-%d(SP)", name, 8+8*slices.Index(locals, name)) }
	for _, name := range locals {
		o.load("wholeArgs", name, "CX")
		o.p("MOVQ CX, %s", local(name))
	}
	o.label("turn")
	o.p("MOVQ %s, SI", local("x"))
	o.load("wholeArgs", "lda", "BX", "w", "R8", "ws", "R9", "k", "CX", "nextw", "R13")
	o.p("LEAQ (BX)(BX*2), DI")
	o.p("ADDQ SI, DI")
	o.p("LEAQ (R9)(R9*2), R10")
	o.p("LEAQ (R13)(R13*2), R14")
	o.p("MOVQ %s, R12", local("fetch"))
	o.p("SHRQ $4, CX")
	o.sumI8(3, 4)
	o.p("MOVQ R12, %s", local("fetch"))
	o.load("wholeArgs", "count", "BX", "ldy", "R11", "wildw", "R8", "sum", "R9", "wscale", "R10", "bias", "R13")
	o.p("SHLQ $2, BX")
	for i, name := range []string{"wild", "y", "scale", "zero"} {
		o.p("MOVQ %s, %s", local(name), []string{"SI", "DX", "R12", "R14"}[i])
	}
	o.p("LEAQ (BX)(BX*2), DI")
	o.p("ADDQ SI, DI")
	o.p("LEAQ (R11)(R11*2), R15")
	o.p("ADDQ DX, R15")
	at := func(low, high, step string, r, off int) string {
		return fmt.Sprintf("%d(%s)%s", off, []string{low, high}[r/3], [...]string{"", "(" + step + "*1)", "(" + step + "*2)"}[r%3])
	}
	for j := range 4 {
		o.p("VXORPS Z24, Z24, Z24")
		o.p("TESTQ R13, R13")
		o.p("JZ nobias%d", j)
		o.p("VMOVUPS %d(R13), Z24", 64*j)
		o.label(fmt.Sprintf("nobias%d", j))
		for r := 1; r < 6; r++ {
			o.p("VMOVAPS Z24, Z%d", 24+r)
		}
		o.p("MOVQ BX, CX")
		o.p("TESTQ CX, CX")
		o.p("JZ tame%d", j)
		o.label(fmt.Sprintf("wild%d", j))
		o.p("VMOVUPS (R8), Z30")
		for r := range 6 {
			o.p("VFMADD231PS.BCST %s, Z30, Z%d", at("SI", "DI", "BX", r, 0), 24+r)
		}
		o.p("ADDQ $4, SI")
		o.p("ADDQ $4, DI")
		o.p("ADDQ $64, R8")
		o.p("SUBQ $4, CX")
		o.p("JNZ wild%d", j)
		o.p("SUBQ BX, SI")
		o.p("SUBQ BX, DI")
		o.label(fmt.Sprintf("tame%d", j))
		o.p("VMOVDQU32 %d(R9), Z30", 64*j)
		for r := range 6 {
			z := 4*r + j
			o.p("VPMULLD.BCST %d(R14), Z30, Z31", 4*r)
			o.p("VPSUBD Z31, Z%d, Z%d", z, z)
			o.p("VCVTDQ2PS Z%d, Z%d", z, z)
			o.p("VMULPS.BCST %d(R12), Z%d, Z%d", 4*r, z, z)
			o.p("VMULPS %d(R10), Z%d, Z%d", 64*j, z, z)
			o.p("VADDPS Z%d, Z%d, Z%d", 24+r, z, z)
		}
		o.p("CMPQ wholeArgs_add(AX), $0")
		o.p("JEQ store%d", j)
		for r := range 6 {
			o.p("VADDPS %s, Z%d, Z%d", at("DX", "R15", "R11", r, 64*j), 4*r+j, 4*r+j)
		}
		o.label(fmt.Sprintf("store%d", j))
		for r := range 6 {
			o.p("VMOVUPS Z%d, %s", 4*r+j, at("DX", "R15", "R11", r, 64*j))
		}
	}
	o.load("wholeArgs", "lda", "CX")
	for _, step := range []struct{ bytes, name string }{{"CX", "x"}, {"R11", "y"}, {"BX", "wild"}} {
		o.p("LEAQ (%s)(%s*2), %s", step.bytes, step.bytes, step.bytes)
		o.p("ADDQ %s, %s", step.bytes, step.bytes)
		o.p("ADDQ %s, %s", step.bytes, local(step.name))
	}
	o.p("ADDQ $24, %s", local("scale"))
	o.p("ADDQ $24, %s", local("zero"))
	o.p("DECQ %s", local("turns"))
	o.p("JNZ turn")
	o.p("VZEROUPPER")
	o.p("RET")
}

// store writes the accumulators of rows x b blocks to c and returns: one after
// the other, those of up to two rows where cs and ldc say.
func (o *out) store(rows, b int) {
	if rows <= 2 {
		o.p("MOVQ a+0(FP), AX")
		o.load("dotArgs", "c", "DX", "cs", "R9", "ldc", "BX")
		o.p("LEAQ (R9)(R9*2), R10")
	}
	for i := range rows * b {
		if rows > 2 {
			o.p("VMOVDQU32 Z%d, %d(DX)", i, 64*i)
			continue
		}
		o.p("VMOVDQU32 Z%d, %s", i, blockAddr(i%b, 0, "DX", "R9", "R10"))
		if i == b-1 {
			o.p("ADDQ BX, DX")
		}
	}
	if rows <= 2 {
		o.nextTile()
		return
	}
	o.p("VZEROUPPER")
	o.p("RET")
}

// group512 leaves gscale (as words) in zg and zero*gscale (as bytes) in zz for
// the 16 group bytes at addr; Z29 to Z31 as constants says.
func (o *out) group512(bits int, addr string, zg, zz int) {
	o.p("VBROADCASTI32X4 %s, Z%d", addr, zz)
	o.p("VPSHUFB spread<>(SB), Z%d, Z%d", zz, zz)
	o.p("VPSRLW $%d, Z%d, Z%d", 8+bits, zz, zg)
	o.p("VPADDW Z30, Z%d, Z%d", zg, zg)
	if bits == 4 {
		o.p("VPANDD Z31, Z%d, Z%d", zz, zz)
	} else {
		o.p("VPTERNLOGD $0xe0, Z31, Z29, Z%d // and with either", zz)
	}
	o.p("VPMULLW Z%d, Z%d, Z%d", zg, zz, zz)
}

// unpack512 gives w8 of k = 8u.. (lo) and 8u+4.. (hi) of the 16 k that addr(0) is the beginning of: code
// times gscale is at most 252, so a 16-bit multiply serves two bytes at once. p and t are temporary, for six bits.
func (o *out) unpack512(bits, u int, addr func(off int) string, lo, hi, zg, zz, p, t int) {
	o.p("VMOVDQU32 %s, Z%d", addr(64*u), lo)
	o.p("VPSRLW $4, Z%d, Z%d", lo, hi)
	o.p("VPANDD Z31, Z%d, Z%d", lo, lo)
	o.p("VPANDD Z31, Z%d, Z%d", hi, hi)
	if bits == 6 {
		o.p("VMOVDQU32 %s, Z%d", addr(128), p)
		for i, z := range []int{lo, hi} {
			high := t
			switch 2*u + i {
			case 0:
				o.p("VPSLLW $4, Z%d, Z%d", p, t)
			case 1:
				o.p("VPSLLW $2, Z%d, Z%d", p, t)
			case 2:
				high = p
			case 3:
				o.p("VPSRLW $2, Z%d, Z%d", p, t)
			}
			o.p("VPTERNLOGD $0xf8, Z29, Z%d, Z%d // or with both", high, z)
		}
	}
	o.p("VPMULLW Z%d, Z%d, Z%d", zg, lo, lo)
	o.p("VPMULLW Z%d, Z%d, Z%d", zg, hi, hi)
	o.p("VPSUBB Z%d, Z%d, Z%d", zz, lo, lo)
	o.p("VPSUBB Z%d, Z%d, Z%d", zz, hi, hi)
}

// constants loads Z30 (words of 1) and Z31 (bytes of 15), for six bits Z29 (bits 4 and 5 of bytes).
func (o *out) constants(bits int) {
	if bits == 6 {
		o.p("VPBROADCASTQ above<>(SB), Z29")
	}
	o.p("VPBROADCASTQ ones<>(SB), Z30")
	o.p("VPBROADCASTQ nibbles<>(SB), Z31")
}

// groupLoop prints the loops over groups and, inside, over steps of 16 k:
// AX steps of 8 k a group, DX all of them, CX this group's.
func (o *out) groupLoop(group, step, end func()) {
	o.label("group")
	group()
	o.p("MOVQ AX, CX")
	o.p("CMPQ DX, CX")
	o.p("CMOVQLT DX, CX")
	o.p("SUBQ CX, DX")
	o.label("step")
	step()
	o.p("SUBQ $2, CX")
	o.p("JNZ step")
	end()
	o.p("TESTQ DX, DX")
	o.p("JNZ group")
}

// dotCodes is dotI8 on codes unpacked in registers: after the accumulators come
// gscale and zero*gscale of each block, then lo and hi, for six bits two more, then activations. With
// spill it is for I4F: each group's sums are stored apart, and below them the
// sums of its weights, as if of a row of ones.
func dotCodes(o *out, bits, h, b int, spill bool) {
	rows := rowsOf(h)
	name, form := fmt.Sprintf("dotI%d", bits)+"x%dAVX512", "%d rows x %d columns"
	acc := rows * b
	last := 29 // below the constants
	if spill {
		name, form = "dotI4Fx%dAVX512", "%d rows x %d columns, group by group"
		acc += b
		last = 28
	}
	zg, zz, lo, hi := acc, acc+b, acc+2*b, acc+2*b+1
	x := hi + 1 // first activation register
	if bits == 6 {
		x, last = hi+3, 28
	}
	keep := x+2*rows-1 <= last
	o.text(fmt.Sprintf(name, rows), "a *dotArgs", fmt.Sprintf(form, rows, 16*b)+"; R8 weights, R12 groups, R9 and R13 their blocks' steps, R10 three R9.")
	if rows <= 2 && !spill {
		o.label("tile")
		o.p("MOVQ a+0(FP), AX")
	}
	o.load("dotArgs", "a0", "SI", "a1", "DI", "lda", "BX", "w", "R8", "ws", "R9", "g", "R12", "gs", "R13", "steps", "DX", "group", "AX")
	if b == 4 {
		o.p("LEAQ (R9)(R9*2), R10")
		o.p("LEAQ (R13)(R13*2), R11")
	}
	if h == 4 {
		o.p("LEAQ (BX)(BX*2), R11")
	}
	o.constants(bits)
	zero := func() {
		for i := range acc {
			o.p("VPXORD Z%d, Z%d, Z%d", i, i, i)
		}
	}
	if spill {
		o.p("VPACKUSWB Z30, Z30, Z29 // bytes of 1")
	} else {
		zero()
	}
	o.groupLoop(func() {
		if spill {
			zero()
		}
		for j := range b {
			o.group512(bits, blockAddr(j, 0, "R12", "R13", "R11"), zg+j, zz+j)
		}
		o.p("ADDQ $16, R12")
	}, func() {
		for u := range 2 {
			if keep {
				for i := range 2 * rows {
					o.p("VPBROADCASTD %s, Z%d", rowAddr(h, i/2, u*8+i%2*4), x+i)
				}
			}
			for j := range b {
				addr := func(off int) string { return blockAddr(j, off, "R8", "R9", "R10") }
				if !spill {
					for line := u; line < bits/2; line += 2 {
						o.ahead(rows, j, line*64)
					}
				}
				o.unpack512(bits, u, addr, lo, hi, zg+j, zz+j, hi+1, hi+2)
				if spill {
					o.p("VPDPBUSD Z%d, Z29, Z%d", lo, rows*b+j)
					o.p("VPDPBUSD Z%d, Z29, Z%d", hi, rows*b+j)
				}
				for i := range 2 * rows {
					z := x + i
					if !keep {
						z = x + i%2
						o.p("VPBROADCASTD %s, Z%d", rowAddr(h, i/2, u*8+i%2*4), z)
					}
					o.p("VPDPBUSD Z%d, Z%d, Z%d", lo+i%2, z, i/2*b+j)
				}
			}
		}
		o.p("ADDQ $16, SI")
		o.p("ADDQ $16, DI")
		o.p("ADDQ $%d, R8", 32*bits)
	}, func() {
		if !spill {
			return
		}
		o.p("MOVQ a+0(FP), CX")
		o.p("ADDQ $%d, dotArgs_c(CX)", 64*acc)
		o.p("MOVQ dotArgs_c(CX), CX")
		for i := range acc {
			o.p("VMOVDQU32 Z%d, %d(CX)", i, 64*(i-acc))
		}
	})
	if spill {
		o.p("VZEROUPPER")
		o.p("RET")
		return
	}
	o.p("MOVQ a+0(FP), AX")
	o.load("dotArgs", "c", "DX")
	o.store(rows, b)
}

// expandAVX512 writes the w8 of one block, as an I8 block.
func expandAVX512(o *out, bits int) {
	o.text(fmt.Sprintf("expandI%dAVX512", bits), "a *dotArgs", fmt.Sprintf("one block of I%d to I8; R8 weights, R12 groups, DI destination.", bits))
	o.load("dotArgs", "dst", "DI", "w", "R8", "g", "R12", "steps", "DX", "group", "AX")
	o.constants(bits)
	o.groupLoop(func() {
		o.group512(bits, "(R12)", 0, 1)
		o.p("ADDQ $16, R12")
	}, func() {
		for u := range 2 {
			o.unpack512(bits, u, func(off int) string { return fmt.Sprintf("%d(R8)", off) }, 2+2*u, 3+2*u, 0, 1, 6, 7)
			o.p("VMOVDQU32 Z%d, %d(DI)", 2+2*u, u*128)
			o.p("VMOVDQU32 Z%d, %d(DI)", 3+2*u, u*128+64)
		}
		o.p("ADDQ $256, DI")
		o.p("ADDQ $%d, R8", 32*bits)
	}, func() {})
	o.p("VZEROUPPER")
	o.p("RET")
}
