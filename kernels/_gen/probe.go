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
	o.text("probeTDPBUSD", "a int", "a rounds of 16 independent tile products.")
	o.p("LEAQ tiles16<>(SB), R9")
	o.bytes(ldtilecfg("R9"), "LDTILECFG (R9)")
	for t := range 8 {
		o.bytes(tilezero(t), "TILEZERO tmm%d", t)
	}
	o.label("loop")
	for range 4 {
		for c := range 4 {
			o.bytes(tdpbusd(c, 4+c/2, 6+c%2), "TDPBUSD tmm%d, tmm%d, tmm%d", 6+c%2, 4+c/2, c)
		}
	}
	o.p("DECQ AX")
	o.p("JNZ loop")
	o.bytes(tilerelease(), "TILERELEASE")
	o.p("RET")

	o.text("probeVPDPBUSD", "a int", "a rounds of 16 independent products of zmm.")
	o.label("loop")
	for i := range 16 {
		o.p("VPDPBUSD Z16, Z17, Z%d", i)
	}
	o.p("DECQ AX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")

	o.text("probeRead", "a *byte, n int", "reads n bytes, a multiple of 256.")
	o.p("MOVQ n+8(FP), CX")
	o.p("SHRQ $8, CX")
	o.label("loop")
	for i := range 4 {
		o.p("VPORD %d(AX), Z%d, Z%d", 64*i, i, i)
	}
	o.p("ADDQ $256, AX")
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.p("VZEROUPPER")
	o.p("RET")
	return o.String()
}
