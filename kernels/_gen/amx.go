package main

import "fmt"

func amx() string {
	o := newFile()
	fmt.Fprint(o, `
// Tile configurations for runs of 1..16 rows: palette 1; tiles 0..4 (sums and
// inputs) have that many rows of 64 bytes, 5 (weights) 16, and the others none.
`)
	for h := 1; h <= 16; h++ {
		at := func(off int, v uint64) {
			fmt.Fprintf(o, "DATA tiles<>+%d(SB)/8, $%#x\n", (h-1)*64+off, v)
		}
		at(0, 1)
		at(16, 0x0040_0040_0040_0040)
		at(24, 0x0000_0000_0040_0040)
		at(48, uint64(h)*0x01_0101_0101|0x10<<40)
	}
	fmt.Fprint(o, "GLOBL tiles<>(SB), RODATA|NOPTR, $1024\n")
	spreadTable(o)
	dotAMX(o, "dotI8AMX", "TDPBUSD", tdpbusd, 0)
	dotAMX(o, "dotI6AMX", "TDPBUSD", tdpbusd, 6)
	dotAMX(o, "dotI4AMX", "TDPBUSD", tdpbusd, 4)
	dotAMX(o, "dotBF16AMX", "TDPBF16PS", tdpbf16ps, 0)
	return o.String()
}

// dotAMX multiplies tiles of two runs of h rows, one tile after the other, by a panel of two blocks: tile registers
// 0..3 are the sums by run then block, 4 an input, 5 a weight. The part of the panel that a call takes stays
// in the first-level cache while the rows, which come from the second, are loaded past it (T1). With one register
// for weights block 0 is loaded twice, which costs nothing; where the core's other thread is busy, six registers in use run
// 1.6 times as fast as eight. With bits the next panel is expanded from codes of so many between the products.
func dotAMX(o *out, name, mnemonic string, product func(c, a, b int) []byte, bits int) {
	o.text(name, "a *amxArgs", "SI, DI runs, R8, R10 blocks (a step is a tile of 1 KB), CX steps left, DX sums, R12 tiles left; R15 weights to fetch, R13 apart, R11 left of a round.")
	o.load("amxArgs", "a0", "SI", "a1", "DI", "lda", "BX", "c", "DX", "tiles", "R12", "fetch", "R15", "span", "R13", "round", "R11", "h", "R14")
	o.p("SHLQ $6, R14")
	o.p("LEAQ tiles<>-64(SB), R9")
	o.p("ADDQ R14, R9")
	o.bytes(ldtilecfg("R9"), "LDTILECFG (R9)")
	if bits > 0 {
		o.constants(bits)
	}
	load := func(t int, base, index string) {
		o.bytes(tileloadd(t, base, index), "TILELOADD (%s)(%s*1), tmm%d", base, index, t)
	}
	past := func(t int, base string) {
		o.bytes(tileloaddt1(t, base, "BX"), "TILELOADDT1 (%s)(BX*1), tmm%d", base, t)
	}
	multiply := func(c int) { o.bytes(product(c, 4, 5), "%s tmm5, tmm4, tmm%d", mnemonic, c) }
	sums := func(visit func(t int, base, index string)) {
		o.load("amxArgs", "h", "R14")
		o.p("SHLQ $7, R14")
		o.p("ADDQ DX, R14")
		o.p("MOVQ $128, R9")
		for block := range 2 {
			visit(block, "DX", "R9")
			visit(2+block, "R14", "R9")
			o.p("ADDQ $%d, DX", 64-128*block)
			o.p("ADDQ $%d, R14", 64-128*block)
		}
	}
	o.label("tile")
	o.load("amxArgs", "w", "R8", "ws", "R10", "steps", "CX")
	o.p("ADDQ R8, R10")
	o.p("CMPQ amxArgs_more(AX), $0")
	o.p("JNE more")
	for t := range 4 {
		o.bytes(tilezero(t), "TILEZERO tmm%d", t)
	}
	o.p("JMP start")
	o.label("more")
	sums(load)
	o.label("start")
	o.p("MOVQ $64, R9")
	o.label("step")
	past(4, "SI")
	load(5, "R8", "R9")
	multiply(0)
	load(5, "R10", "R9")
	multiply(1)
	past(4, "DI")
	multiply(3)
	load(5, "R8", "R9")
	multiply(2)
	// Some lines of the weights to come, one of each stream in turns.
	o.load("amxArgs", "lines", "R14")
	o.p("TESTQ R14, R14")
	o.p("JZ fetched")
	o.label("fetch")
	o.p("PREFETCHT1 (R15)")
	o.p("ADDQ R13, R15")
	o.p("DECQ R11")
	o.p("JNZ same")
	o.p("MOVQ $const_fetchStreams, R11")
	o.p("SUBQ amxArgs_back(AX), R15")
	o.label("same")
	o.p("DECQ R14")
	o.p("JNZ fetch")
	o.label("fetched")
	if bits > 0 {
		o.expandSome(bits)
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ $64, DI")
	o.p("ADDQ $1024, R8")
	o.p("ADDQ $1024, R10")
	o.p("DECQ CX")
	o.p("JNZ step")
	sums(func(t int, base, index string) {
		o.bytes(tilestored(t, base, index), "TILESTORED tmm%d, (%s)(%s*1)", t, base, index)
	})
	o.p("SUBQ DX, R14")
	o.p("LEAQ (DX)(R14*2), DX")
	o.p("ADDQ amxArgs_nexta(AX), SI")
	o.p("ADDQ amxArgs_nexta(AX), DI")
	o.p("DECQ R12")
	o.p("JNZ tile")
	o.p("MOVQ R15, amxArgs_fetch(AX)")
	o.p("MOVQ R11, amxArgs_round(AX)")
	o.bytes(tilerelease(), "TILERELEASE")
	if bits > 0 {
		o.p("VZEROUPPER")
	}
	o.p("RET")
}

// expandSome expands the next codes, some times 16 k of 16 columns.
func (o *out) expandSome(bits int) {
	o.p("CMPQ amxArgs_codesLeft(AX), $0")
	o.p("JLE expanded")
	o.load("amxArgs", "each", "R14")
	o.p("CMPQ R14, amxArgs_codesLeft(AX)")
	o.p("CMOVQGT amxArgs_codesLeft(AX), R14")
	o.p("MOVQ R14, amxArgs_now(AX)")
	o.p("SUBQ R14, amxArgs_codesLeft(AX)")
	o.label("expand")
	o.load("amxArgs", "groups", "R14")
	o.group512(bits, "(R14)", 0, 1)
	o.p("DECQ amxArgs_groupLeft(AX)")
	o.p("JNZ group")
	o.p("ADDQ $16, amxArgs_groups(AX)")
	o.load("amxArgs", "group", "R14")
	o.p("MOVQ R14, amxArgs_groupLeft(AX)")
	o.label("group")
	o.load("amxArgs", "codes", "R14")
	for u := range 2 {
		o.unpack512(bits, u, func(off int) string { return fmt.Sprintf("%d(R14)", off) }, 2+2*u, 3+2*u, 0, 1, 6, 7)
	}
	o.p("ADDQ $%d, amxArgs_codes(AX)", 32*bits)
	o.load("amxArgs", "panel", "R14")
	for i := range 4 {
		o.p("VMOVDQU32 Z%d, %d(R14)", 2+i, 64*i)
	}
	o.p("ADDQ $256, amxArgs_panel(AX)")
	o.p("DECQ amxArgs_now(AX)")
	o.p("JNZ expand")
	o.label("expanded")
}
