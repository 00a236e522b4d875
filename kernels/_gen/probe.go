package main

import "fmt"

// probes prints the limits that benches compare with: instructions on
// registers alone, and reading.
func probes() string {
	o := newFile()
	o.WriteString("\n// Eight tiles of 16 rows of 64 bytes.\n")
	for _, w := range [][2]uint64{{0, 1}, {16, 0x0040_0040_0040_0040}, {24, 0x0040_0040_0040_0040}, {48, 0x1010_1010_1010_1010}} {
		fmt.Fprintf(o, "DATA tiles16<>+%d(SB)/8, $%#x\n", w[0], w[1])
	}
	fmt.Fprint(o, "GLOBL tiles16<>(SB), RODATA|NOPTR, $64\n")
	o.tiles("probeTDPBUSD", "TDPBUSD", tdpbusd)
	o.tiles("probeTDPBF16PS", "TDPBF16PS", tdpbf16ps)
	o.fedTiles("probeFedTDPBUSD", "TDPBUSD", tdpbusd)
	o.vector("probeVPDPBUSD512", "products of zmm", 14, func(i int) { o.p("VPDPBUSD Z14, Z15, Z%d", i) })
	o.vector("probeVPDPBUSD256", "products of ymm", 14, func(i int) { o.bytes(vpdpbusd256(i, 14, 15), "VPDPBUSD Y15, Y14, Y%d", i) })
	o.vector("probeVPMADDWD", "products of ymm and their sums", 7, func(i int) {
		o.p("VPMADDWD Y14, Y15, Y%d", 7+i)
		o.p("VPADDD Y%d, Y%d, Y%d", 7+i, i, i)
	})
	o.vector("probeVPMADDUBSW", "products of ymm and their sums", 7, func(i int) {
		o.p("VPMADDUBSW Y14, Y15, Y%d", 7+i)
		o.p("VPADDW Y%d, Y%d, Y%d", 7+i, i, i)
	})
	o.vector("probeFMA512", "products of zmm", 14, func(i int) { o.p("VFMADD231PS Z14, Z15, Z%d", i) })
	o.vector("probeFMA256", "products of ymm", 14, func(i int) { o.p("VFMADD231PS Y14, Y15, Y%d", i) })
	o.vector("probeMulAdd256", "products of ymm and their sums", 7, func(i int) {
		o.p("VMULPS Y14, Y15, Y%d", 7+i)
		o.p("VADDPS Y%d, Y%d, Y%d", 7+i, i, i)
	})

	o.read("probeReadAVX512", func(i int, r string) { o.p("VPORD (%s), Z%d, Z%d", r, i, i) })
	o.read("probeReadAVX2", func(i int, r string) {
		o.p("VPOR (%s), Y%d, Y%d", r, i, i)
		o.p("VPOR 32(%s), Y%d, Y%d", r, i, i)
	})
	return o.String()
}

// read prints a probe of reading; line reads the 64 bytes at a register.
func (o *out) read(name string, line func(i int, r string)) {
	o.text(name, "a *byte, n int", "reads n bytes, a multiple of 256, as four streams: one alone reads a quarter less.")
	o.p("MOVQ n+8(FP), CX")
	o.p("SHRQ $2, CX")
	o.p("LEAQ (AX)(CX*1), BX")
	o.p("LEAQ (AX)(CX*2), SI")
	o.p("LEAQ (BX)(CX*2), DI")
	o.p("SHRQ $6, CX")
	o.label("loop")
	streams := []string{"AX", "BX", "SI", "DI"}
	for _, r := range streams {
		o.p("PREFETCHT1 1024(%s)", r)
	}
	for i, r := range streams {
		line(i, r)
	}
	for _, r := range streams {
		o.p("ADDQ $64, %s", r)
	}
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")
}

// tiles prints a probe of 16 products of whole tiles.
func (o *out) tiles(name, mnemonic string, product func(c, a, b int) []byte) {
	o.text(name, "a int", "a rounds of 16 tile products on four sums.")
	o.p("LEAQ tiles16<>(SB), R9")
	o.bytes(ldtilecfg("R9"), "LDTILECFG (R9)")
	for t := range 8 {
		o.bytes(tilezero(t), "TILEZERO tmm%d", t)
	}
	o.label("loop")
	for range 4 {
		for c := range 4 {
			o.bytes(product(c, 4+c/2, 6+c%2), "%s tmm%d, tmm%d, tmm%d", mnemonic, 6+c%2, 4+c/2, c)
		}
	}
	o.p("DECQ AX")
	o.p("JNZ loop")
	o.bytes(tilerelease(), "TILERELEASE")
	o.p("RET")
}

// fedTiles prints a probe of 2x2 products, each tile of operands loaded anew, from 4 KB that the first-level cache holds.
func (o *out) fedTiles(name, mnemonic string, product func(c, a, b int) []byte) {
	o.text(name, "a *byte, n int", "n rounds of 4 tile loads and 4 products.")
	o.p("MOVQ n+8(FP), CX")
	o.p("LEAQ tiles16<>(SB), R9")
	o.bytes(ldtilecfg("R9"), "LDTILECFG (R9)")
	for t := range 4 {
		o.bytes(tilezero(t), "TILEZERO tmm%d", t)
	}
	o.p("MOVQ $64, BX")
	regs := []string{"SI", "DI", "R8", "R10"}
	for i, r := range regs {
		o.p("LEAQ %d(AX), %s", i<<10, r)
	}
	load := func(i int) { o.bytes(tileloadd(4+i, regs[i], "BX"), "TILELOADD (%s)(BX*1), tmm%d", regs[i], 4+i) }
	multiply := func(c int) {
		o.bytes(product(c, 4+c/2, 6+c%2), "%s tmm%d, tmm%d, tmm%d", mnemonic, 6+c%2, 4+c/2, c)
	}
	o.label("loop")
	load(2)
	load(0)
	multiply(0)
	load(3)
	multiply(1)
	load(1)
	multiply(2)
	multiply(3)
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.bytes(tilerelease(), "TILERELEASE")
	o.p("RET")
}

// vector prints a probe of n independent products of zeros.
func (o *out) vector(name, what string, n int, product func(i int)) {
	o.text(name, "a int", fmt.Sprintf("a rounds of %d independent %s.", n, what))
	o.p("VZEROALL") // also leaves no denormals to be slow with
	o.label("loop")
	for i := range n {
		product(i)
	}
	o.p("DECQ AX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")
}
