package main

import "fmt"

// depthFloats prints depthFloats of kernels/conv: a few vectors of features through all places before the next ones, so that their weights and the lines of the input stay in the
// first-level cache; four places at a time, of runs and then of those apart. Vector j of place p is summed in register p*vectors+j; weights lie in those from 8 (AVX-512 16) on, products in
// those behind in turn.
//
// AX a, R9 feature, R12 features, R14 from place to place and R15 three times that; of a run CX places left, SI its rows, DI results, DX bytes of all places before; R8 the table, R10 a row, R11 bytes from
// its start, R13 weights, BX taps left. The last features are under mask K1, or Y15.
func depthFloats(avx512 bool) string {
	o := &windows{out: newFile(), avx512: avx512}
	isa, free, registers, levels := "AVX2", 8, 15, []int{2, 1}
	if avx512 {
		isa, free, registers, levels = "AVX512", 16, 32, []int{4, 2}
	}
	width := o.width()
	lanes := width / 4
	// block sums four places of so many vectors: each tap has a pointer for all, or one for each.
	block := func(label string, vectors int, apart, part bool) {
		sums := 4 * vectors
		weight := func(j int) string { return o.reg(free + j) }
		for i := range sums {
			o.p("VXORPS %[1]s, %[1]s, %[1]s", o.reg(i))
		}
		o.load("depthArgs", "w", "R13", "taps", "BX")
		o.p("LEAQ (R13)(R9*4), R13")
		o.p("LEAQ (DX)(R9*4), R11")
		o.p("MOVQ SI, R8")
		o.label(label)
		if !apart {
			o.p("MOVQ (R8), R10")
			o.p("ADDQ $8, R8")
			o.p("CMPQ R10, depthArgs_skip(AX)")
			o.p("JEQ %sNext", label)
			o.p("ADDQ R11, R10")
		}
		for j := range vectors {
			o.p("VMOVUPS %d(R13), %s", width*j, weight(j))
		}
		for i := range sums {
			p, j, product := i/vectors, i%vectors, o.reg(free+vectors+i%(registers-free-vectors))
			x := blockAddr(p, width*j, "R10", "R14", "R15")
			if apart {
				if x = fmt.Sprintf("%d(R10)(R11*1)", width*j); j == 0 {
					o.p("MOVQ %d(R8), R10", 8*p)
				}
			}
			switch {
			case part && !avx512:
				o.p("VMASKMOVPS %s, Y15, %s", x, product)
				o.p("VMULPS %s, %s, %[2]s", weight(j), product)
			case part:
				o.p("VMULPS.Z %s, %s, K1, %s", x, weight(j), product)
			default:
				o.p("VMULPS %s, %s, %s", x, weight(j), product)
			}
			o.p("VADDPS %s, %s, %[2]s", product, o.reg(i))
		}
		if apart {
			o.p("ADDQ $32, R8")
		} else {
			o.label(label + "Next")
		}
		o.p("ADDQ depthArgs_ldw(AX), R13")
		o.p("DECQ BX")
		o.p("JNZ %s", label)
		o.p("MOVQ depthArgs_bias(AX), R10")
		for j := range vectors {
			o.p("VMOVUPS %d(R10)(R9*4), %s", width*j, weight(j))
		}
		for i := range sums {
			o.p("VADDPS %s, %s, %[2]s", weight(i%vectors), o.reg(i))
		}
		o.p("CMPQ depthArgs_bound(AX), $0")
		o.p("JEQ %sFree", label)
		lo, hi := o.reg(free+vectors), o.reg(free+vectors+1)
		o.p("VBROADCASTSS depthArgs_lo(AX), %s", lo)
		o.p("VBROADCASTSS depthArgs_hi(AX), %s", hi)
		for i := range sums {
			o.p("VMAXPS %s, %s, %[1]s // NaN stays", o.reg(i), lo)
			o.p("VMINPS %s, %s, %[1]s", o.reg(i), hi)
		}
		o.label(label + "Free")
		if !apart {
			o.p("MOVQ depthArgs_ldd(AX), BX")
			o.p("LEAQ (BX)(BX*2), R13")
			o.p("LEAQ (DI)(R9*4), R8")
		}
		for i := range sums {
			p, j := i/vectors, i%vectors
			to := blockAddr(p, width*j, "R8", "BX", "R13")
			if apart {
				if to = fmt.Sprintf("%d(R8)(R9*4)", width*j); j == 0 {
					o.p("MOVQ %d(DI), R8", 8*p)
				}
			}
			switch {
			case part && !avx512:
				o.p("VMASKMOVPS %s, Y15, %s", o.reg(i), to)
			case part:
				o.p("VMOVUPS %s, K1, %s", o.reg(i), to)
			default:
				o.p("VMOVUPS %s, %s", o.reg(i), to)
			}
		}
	}
	all := func(name string, vectors int, part bool) {
		o.load("depthArgs", "runs", "R8", "count", "CX")
		o.p("MOVQ R8, depthArgs_next(AX)")
		o.p("MOVQ CX, depthArgs_left(AX)")
		o.p("JMP %sRuns", name)
		o.label(name + "Run")
		o.p("MOVQ depthArgs_next(AX), R8")
		for i, r := range []string{"CX", "SI", "DI"} {
			o.p("MOVQ %d(R8), %s", 8*i, r)
		}
		o.p("XORQ DX, DX")
		o.p("ADDQ $24, depthArgs_next(AX)")
		o.label(name + "Four")
		block(name+"Tap", vectors, false, part)
		o.p("LEAQ (DX)(R14*4), DX")
		o.p("LEAQ (DI)(BX*4), DI")
		o.p("SUBQ $4, CX")
		o.p("JNZ %sFour", name)
		o.label(name + "Runs")
		o.p("SUBQ $1, depthArgs_left(AX)")
		o.p("JGE %sRun", name)
		o.load("depthArgs", "apart", "SI", "to", "DI", "fours", "CX")
		o.p("XORQ DX, DX")
		o.p("JMP %sAparts", name)
		o.label(name + "Apart")
		block(name+"TapApart", vectors, true, part)
		o.p("ADDQ $32, DI")
		o.p("MOVQ depthArgs_taps(AX), BX")
		o.p("SHLQ $5, BX")
		o.p("ADDQ BX, SI")
		o.label(name + "Aparts")
		o.p("SUBQ $1, CX")
		o.p("JGE %sApart", name)
		o.p("ADDQ $%d, R9", lanes*vectors)
	}
	if !avx512 {
		o.WriteString("\n// The first lanes of a vector.\n")
		for i := range 8 {
			fmt.Fprintf(o, "DATA lanes<>+%d(SB)/8, $%d\n", 8*i, []int{-1, 0}[i/4])
		}
		o.WriteString("GLOBL lanes<>(SB), RODATA|NOPTR, $64\n")
	}
	o.text("depthFloats"+isa, "a *depthArgs", "See depthArgs.")
	o.load("depthArgs", "features", "R12", "step", "R14")
	o.p("LEAQ (R14)(R14*2), R15")
	o.p("XORQ R9, R9")
	for _, vectors := range levels {
		name := fmt.Sprintf("by%d", vectors)
		o.label(name)
		o.p("LEAQ %d(R9), BX", lanes*vectors)
		o.p("CMPQ BX, R12")
		o.p("JA %sEnd", name)
		all(name, vectors, false)
		o.p("JMP %s", name)
		o.label(name + "End")
	}
	o.label("part")
	o.p("MOVQ R12, R10")
	o.p("SUBQ R9, R10")
	o.p("JLE end")
	if avx512 {
		o.p("MOVQ $-1, BX")
		o.p("SHLXQ R10, BX, BX")
		o.p("NOTQ BX")
		o.p("KMOVW BX, K1")
	} else {
		o.p("LEAQ lanes<>+32(SB), BX")
		o.p("SHLQ $2, R10")
		o.p("SUBQ R10, BX")
		o.p("VMOVUPS (BX), Y15")
	}
	all("rest", 1, true)
	o.p("JMP part")
	o.label("end")
	o.p("VZEROUPPER")
	o.p("RET")
	return o.String()
}
