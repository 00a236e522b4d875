package main

import "fmt"

func amx() string {
	o := newFile()
	fmt.Fprint(o, `
// Tile configurations for runs of 1..16 rows: palette 1; tiles 0..5 (sums and
// inputs) have that many rows of 64 bytes, 6 and 7 (weights) 16.
`)
	for h := 1; h <= 16; h++ {
		at := func(off int, v uint64) {
			fmt.Fprintf(o, "DATA tiles<>+%d(SB)/8, $%#x\n", (h-1)*64+off, v)
		}
		at(0, 1)
		at(16, 0x0040_0040_0040_0040)
		at(24, 0x0040_0040_0040_0040)
		at(48, uint64(h)*0x0000_0101_0101_0101|0x1010<<48)
	}
	fmt.Fprint(o, "GLOBL tiles<>(SB), RODATA|NOPTR, $1024\n")
	dotAMX(o)
	return o.String()
}

// dotAMX sums two runs of h rows against two blocks, and further runs: tiles 0..3 are the sums
// by run then block, 4 and 5 the runs, 6 and 7 the blocks.
func dotAMX(o *out) {
	o.text("dotI8AMX", "a *dotArgs", "2h rows x 32 columns; SI, DI runs, R8, R10 blocks (a slice of 64 k is a tile), DX, R14 sums of the runs, CX steps of 64 k, R12 tiles of rows.")
	o.load("dotArgs", "a0", "SI", "a1", "DI", "lda", "BX", "w", "R8", "ws", "R10", "c", "DX", "h", "R14", "y", "R13", "ldy", "R11")
	o.load("dotArgs", "fetch", "R15", "times", "R12", "rows", "AX")
	o.p("ADDQ R8, R10")
	o.p("LEAQ tiles<>-64(SB), R9")
	o.p("SHLQ $6, R14")
	o.p("ADDQ R14, R9")
	o.bytes(ldtilecfg("R9"), "LDTILECFG (R9)")
	o.p("LEAQ (DX)(R14*2), R14")
	load := func(t int, base, index string) {
		o.bytes(tileloadd(t, base, index), "TILELOADD (%s)(%s*1), tmm%d", base, index, t)
	}
	sums := func(visit func(t int, base, index string)) {
		o.p("MOVQ $128, R9")
		for block := range 2 {
			visit(block, "DX", "R9")
			visit(2+block, "R14", "R9")
			o.p("ADDQ $%d, DX", 64-128*block)
			o.p("ADDQ $%d, R14", 64-128*block)
		}
	}
	o.label("tile")
	o.p("MOVQ a+0(FP), CX")
	for t := range 4 {
		o.bytes(tilezero(t), "TILEZERO tmm%d", t)
	}
	o.p("CMPQ dotArgs_more(CX), $0")
	o.p("JEQ start")
	sums(load)
	o.label("start")
	o.p("MOVQ dotArgs_k(CX), CX")
	o.p("SHRQ $6, CX")
	o.p("MOVQ $64, R9")
	o.label("loop")
	tdp := func(c, a, b int) { o.bytes(tdpbusd(c, a, b), "TDPBUSD tmm%d, tmm%d, tmm%d", b, a, c) }
	load(6, "R8", "R9")
	load(4, "SI", "BX")
	tdp(0, 4, 6)
	load(7, "R10", "R9")
	tdp(1, 4, 7)
	load(5, "DI", "BX")
	tdp(2, 5, 6)
	tdp(3, 5, 7)
	// One row of y a step, so that the epilogue does not wait for its lines.
	o.p("TESTQ AX, AX")
	o.p("JZ norow")
	o.bytes(prefetchw("R13", 0), "PREFETCHW (R13)")
	o.bytes(prefetchw("R13", 64), "PREFETCHW 64(R13)")
	o.p("ADDQ R11, R13")
	o.p("DECQ AX")
	o.label("norow")
	// Some lines of the next blocks.
	o.p("MOVQ a+0(FP), R9")
	o.p("MOVQ dotArgs_lines(R9), R9")
	o.p("TESTQ R9, R9")
	o.p("JZ nofetch")
	o.label("fetch")
	o.p("PREFETCHT1 (R15)")
	o.p("ADDQ $64, R15")
	o.p("DECQ R9")
	o.p("JNZ fetch")
	o.label("nofetch")
	o.p("MOVQ $64, R9")
	o.p("ADDQ $64, SI")
	o.p("ADDQ $64, DI")
	o.p("ADDQ $1024, R8")
	o.p("ADDQ $1024, R10")
	o.p("DECQ CX")
	o.p("JNZ loop")
	sums(func(t int, base, index string) {
		o.bytes(tilestored(t, base, index), "TILESTORED tmm%d, (%s)(%s*1)", t, base, index)
	})
	o.p("DECQ R12")
	o.p("JZ done")
	o.p("MOVQ a+0(FP), CX")
	o.p("MOVQ dotArgs_nexta(CX), R9")
	o.p("SUBQ dotArgs_k(CX), R9")
	o.p("ADDQ R9, SI")
	o.p("ADDQ R9, DI")
	o.p("MOVQ dotArgs_k(CX), R9")
	o.p("SHLQ $4, R9")
	o.p("SUBQ R9, R8")
	o.p("SUBQ R9, R10")
	o.p("MOVQ dotArgs_ldc(CX), R9")
	o.p("IMULQ dotArgs_h(CX), R9")
	o.p("LEAQ (DX)(R9*2), DX")
	o.p("LEAQ (R14)(R9*2), R14")
	o.p("JMP tile")
	o.label("done")
	o.bytes(tilerelease(), "TILERELEASE")
	o.p("RET")
}
