package main

import (
	"fmt"
	"math"
	"slices"
)

// short prints attention of short texts: some heads in one call, from rows of float32 to rows of float32, with VDPBF16PS.
//
// Of each key and value head keys and values are packed once, as VDPBF16PS takes them (a pair is two of one parity, see pairsBF16): keys
// [blocks of 32][hd/2 pairs][32], 16 in a last block that has no more, values [fours of keys][2 parities][hd]. Then four queries at a time pass over the blocks; a last four
// that are fewer repeat the last query, whose result they store again.
func short() string {
	o := newFile()
	constant := func(name string, words ...uint32) {
		for i, w := range words {
			fmt.Fprintf(o, "DATA %s<>+%d(SB)/4, $%#x\n", name, 4*i, w)
		}
		fmt.Fprintf(o, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", name, 4*len(words))
	}
	o.WriteString("\n// Of four words those of pairs: 2, 0, 3, 1.\n")
	constant("pairs4", 0x01000504, 0x03020706, 0x09080d0c, 0x0b0a0f0e)
	o.WriteString("\n// Words of two rows, one behind the other, side by side.\n")
	var both []uint32
	for i := range uint32(16) {
		both = append(both, (16+i)<<16|i)
	}
	constant("both", both...)
	o.WriteString("\n// -126, 3<<22, c5 to c1 and 1 of numerics N6.3's power of two, -Inf.\n")
	var exp2 []uint32
	for _, c := range []float64{-126, 3 << 22, 0.0013381302123889327, 0.00966636836528778, 0.055503811687231064, 0.2402234971523285, 0.6931471824645996, 1, math.Inf(-1)} {
		exp2 = append(exp2, math.Float32bits(float32(c)))
	}
	constant("exp2", exp2...)

	o.WriteString("\n// func shortAVX512(a *shortArgs)\nTEXT ·shortAVX512(SB), NOSPLIT, $112-8\n")
	o.p("MOVQ a+0(FP), DX")
	o.p("STMXCSR old-4(SP)") // FTZ and DAZ, as TDPBF16PS has them
	o.p("MOVL old-4(SP), AX")
	o.p("ORL $0x8040, AX")
	o.p("MOVL AX, new-8(SP)")
	o.p("LDMXCSR new-8(SP)")
	for _, name := range []string{"k", "v", "q", "out", "heads"} {
		o.p("MOVQ shortArgs_%s(DX), AX", name)
		o.p("MOVQ AX, %s", shortLocal(name))
	}
	o.label("head")
	o.shortKeys()
	o.shortValues()
	o.shortNext("k")
	o.shortNext("v")
	o.p("MOVQ shortArgs_group(DX), AX")
	o.p("MOVQ AX, %s", shortLocal("group"))

	o.label("queries")
	for _, names := range [][2]string{{"q", "qrow"}, {"out", "orow"}} {
		o.p("MOVQ %s, AX", shortLocal(names[0]))
		o.p("MOVQ AX, %s", shortLocal(names[1]))
		o.shortNext(names[0])
	}
	o.p("MOVQ shortArgs_n(DX), AX")
	o.p("MOVQ AX, %s", shortLocal("left"))
	o.label("four")
	o.shortQueries()
	o.label("block")
	o.p("MOVQ %s, CX", shortLocal("ahead")) // K5: the lanes of the block's last 16 that are no keys
	o.p("CMPQ CX, $16")
	o.p("JLE half")
	o.p("MOVL $32, AX")
	o.p("CMPQ CX, AX")
	o.p("CMOVQGT AX, CX")
	o.p("SUBQ $16, CX")
	for blocks := 2; blocks > 0; blocks-- {
		o.p("MOVL $-1, AX")
		o.p("SHLL CX, AX")
		o.p("KMOVW AX, K5")
		o.shortScores(blocks)
		o.shortSoftmax(blocks)
		if blocks > 1 {
			o.p("JMP results")
			o.label("half")
		}
	}
	o.label("results")
	o.shortResults()
	o.p("SUBQ $32, %s", shortLocal("ahead"))
	o.p("JGT block")
	o.shortDivide()
	o.p("MOVQ shortArgs_ldq(DX), AX")
	o.p("SHLQ $2, AX")
	for _, name := range []string{"qrow", "orow"} {
		o.p("ADDQ AX, %s", shortLocal(name))
	}
	o.p("SUBQ $4, %s", shortLocal("left"))
	o.p("JGT four")
	o.p("DECQ %s", shortLocal("group"))
	o.p("JNZ queries")
	o.p("DECQ %s", shortLocal("heads"))
	o.p("JNZ head")
	o.p("LDMXCSR old-4(SP)")
	o.p("VZEROUPPER")
	o.p("RET")
	return o.String()
}

// shortLocal is where a local variable lies.
func shortLocal(name string) string {
	return fmt.Sprintf("%s-%d(SP)", name, 16+8*slices.Index([]string{"k", "v", "q", "out", "heads", "group", "left", "qrow", "orow", "ahead", "keys", "values"}, name))
}

// shortNext moves a local address on to the following head.
func (o *out) shortNext(name string) {
	o.p("MOVQ shortArgs_hd(DX), AX")
	o.p("SHLQ $2, AX")
	o.p("ADDQ AX, %s", shortLocal(name))
}

// shortKeys prints the packing of keys, 16 rows of 32 values at a time: pairs, turned. Rows behind the last repeat it.
func (o *out) shortKeys() {
	o.p("VBROADCASTI32X4 pairs4<>(SB), Z31")
	o.p("MOVQ %s, R8", shortLocal("k"))
	o.p("MOVQ shortArgs_keys(DX), DI")
	o.p("MOVQ shortArgs_n(DX), R10")
	o.p("MOVQ shortArgs_ldk(DX), R9")
	o.p("XORQ R13, R13")
	o.label("keys32")
	o.p("MOVQ DI, R11")
	o.p("MOVQ $64, R14") // from pair to pair
	o.p("XORL R15, R15") // 1: the second 16 follow
	o.p("CMPQ R10, $16")
	o.p("JLE keys16")
	o.p("MOVQ $128, R14")
	o.p("INCL R15")
	o.label("keys16")
	o.p("MOVQ R8, BX")
	o.p("MOVQ R11, DI")
	o.p("MOVQ shortArgs_hd(DX), CX")
	o.label("keys")
	o.p("MOVQ BX, SI")
	o.p("MOVQ R9, R12")
	for r := range 16 {
		o.p("VMOVUPS (SI), Z%d", r)
		o.p("VMOVUPS 64(SI), Z16")
		o.bytes(vcvtne2ps2bf16(r, 16, r), "VCVTNE2PS2BF16 zmm%d, zmm16, zmm%d", r, r)
		o.p("VPSHUFB Z31, Z%d, Z%d", r, r)
		o.p("CMPQ R10, $%d", r+1)
		o.p("CMOVQLE R13, R12")
		o.p("ADDQ R12, SI")
	}
	for a := 0; a < 16; a += 4 { // lanes of 4 by 4
		for i, op := range []string{"L", "H"} {
			o.p("VPUNPCK%sDQ Z%d, Z%d, Z%d", op, a+1, a, 16+i)
			o.p("VPUNPCK%sDQ Z%d, Z%d, Z%d", op, a+3, a+2, 18+i)
		}
		for i := range 4 {
			o.p("VPUNPCK%sQDQ Z%d, Z%d, Z%d", []string{"L", "H"}[i%2], 18+i/2, 16+i/2, a+i)
		}
	}
	for i := range 4 { // then the lanes
		for j, shuffle := range []int{0x88, 0xdd} {
			o.p("VSHUFI32X4 $%#x, Z%d, Z%d, Z%d", shuffle, 4+i, i, 16+j)
			o.p("VSHUFI32X4 $%#x, Z%d, Z%d, Z%d", shuffle, 12+i, 8+i, 18+j)
		}
		for j := range 4 {
			o.p("VSHUFI32X4 $%#x, Z%d, Z%d, Z%d", []int{0x88, 0xdd}[j/2], 18+j%2, 16+j%2, 4*j+i)
		}
	}
	for i := range 16 {
		o.p("VMOVDQU32 Z%d, (DI)", i)
		o.p("ADDQ R14, DI")
	}
	o.p("ADDQ $128, BX")
	o.p("SUBQ $32, CX")
	o.p("JNZ keys")
	o.p("MOVQ R9, AX")
	o.p("SHLQ $4, AX")
	o.p("ADDQ AX, R8")
	o.p("ADDQ $64, R11")
	o.p("SUBQ $16, R10")
	o.p("DECL R15")
	o.p("JZ keys16")
	o.p("SUBQ $64, DI") // the first 16 of the next block
	o.p("TESTQ R10, R10")
	o.p("JGT keys32")
}

// shortValues prints the packing of values, four keys and 16 columns at a time. Rows behind the last are zero.
func (o *out) shortValues() {
	o.p("VMOVDQU64 both<>(SB), Z31")
	o.p("MOVQ %s, R8", shortLocal("v"))
	o.p("MOVQ shortArgs_values(DX), DI")
	o.p("MOVQ shortArgs_ldk(DX), R9")
	o.p("LEAQ (R9)(R9*2), R10")
	o.p("MOVQ shortArgs_n(DX), R11")
	o.p("MOVL $0xffff, R13")
	o.label("values")
	for i := 1; i < 4; i++ {
		o.p("XORL AX, AX")
		o.p("CMPQ R11, $%d", i)
		o.p("CMOVLGT R13, AX")
		o.p("KMOVW AX, K%d", i)
	}
	o.p("MOVQ R8, SI")
	o.p("MOVQ shortArgs_hd(DX), CX")
	o.p("LEAQ (DI)(CX*4), R12")
	o.label("columns")
	o.p("VMOVUPS (SI), Z0")
	o.p("VMOVUPS.Z (SI)(R9*1), K1, Z1")
	o.p("VMOVUPS.Z (SI)(R9*2), K2, Z2")
	o.p("VMOVUPS.Z (SI)(R10*1), K3, Z3")
	for odd, to := range []string{"DI", "R12"} {
		o.bytes(vcvtne2ps2bf16(odd, odd, 2+odd), "VCVTNE2PS2BF16 zmm%d, zmm%d, zmm%d", odd, odd, 2+odd)
		o.p("VPERMW Z%d, Z31, Z%d", odd, odd)
		o.p("VMOVDQU32 Z%d, (%s)", odd, to)
		o.p("ADDQ $64, %s", to)
	}
	o.p("ADDQ $64, SI")
	o.p("SUBQ $16, CX")
	o.p("JNZ columns")
	o.p("MOVQ R12, DI")
	o.p("LEAQ (R8)(R9*4), R8")
	o.p("SUBQ $4, R11")
	o.p("JGT values")
}

// shortRows leaves the addresses of four rows of queries or results in R8 to R11, of which those behind the last are the last.
func (o *out) shortRows(local string) {
	o.p("MOVQ %s, R8", shortLocal(local))
	o.p("MOVQ shortArgs_ldq(DX), AX")
	o.p("MOVQ %s, CX", shortLocal("left"))
	o.p("XORL DI, DI")
	for i := 1; i < 4; i++ {
		o.p("CMPQ CX, $%d", i)
		o.p("CMOVQLE DI, AX")
		o.p("LEAQ (R%d)(AX*1), R%d", 7+i, 8+i)
	}
}

// shortAt is where in the working memory of a head's four queries something begins: weights, maxima, what sums are multiplied by, sums of weights.
func shortAt(name string) int {
	return map[string]int{"weights": 0, "maxima": 256, "alpha": 320, "sums": 384}[name]
}

// shortQueries prints the packing of four queries, and begins their maxima, sums and results.
func (o *out) shortQueries() {
	o.shortRows("qrow")
	o.p("VBROADCASTSS shortArgs_scale(DX), Z30")
	o.p("VBROADCASTI32X4 pairs4<>(SB), Z31")
	o.p("MOVQ shortArgs_query(DX), AX")
	o.p("MOVQ shortArgs_results(DX), SI")
	o.p("MOVQ shortArgs_hd(DX), CX")
	o.p("LEAQ (CX*2), BX")
	o.p("LEAQ (BX)(BX*2), R13")
	o.p("VPXORD Z29, Z29, Z29")
	o.label("query")
	for r := range 4 {
		o.p("VMULPS (R%d), Z30, Z0", 8+r)
		o.p("VMULPS 64(R%d), Z30, Z1", 8+r)
		o.p("ADDQ $128, R%d", 8+r)
		o.bytes(vcvtne2ps2bf16(0, 1, 0), "VCVTNE2PS2BF16 zmm0, zmm1, zmm0")
		o.p("VPSHUFB Z31, Z0, Z0")
		o.p("VMOVDQU32 Z0, %s", shortQuery[r])
		o.p("VMOVUPS Z29, %d(SI)", 128*r)
		o.p("VMOVUPS Z29, %d(SI)", 128*r+64)
	}
	o.p("ADDQ $64, AX")
	o.p("ADDQ $512, SI")
	o.p("SUBQ $32, CX")
	o.p("JNZ query")
	o.p("MOVQ shortArgs_state(DX), SI")
	o.p("VBROADCASTSS exp2<>+32(SB), Z0")
	o.p("VMOVUPS Z0, %d(SI)", shortAt("maxima"))
	for r := range 4 {
		o.p("VMOVUPS Z29, %d(SI)", shortAt("sums")+64*r)
	}
	for _, names := range [][2]string{{"keys", "keys"}, {"values", "values"}, {"n", "ahead"}} {
		o.p("MOVQ shortArgs_%s(DX), AX", names[0])
		o.p("MOVQ AX, %s", shortLocal(names[1]))
	}
}

// shortQuery is where the packed queries lie: AX the first, BX from one to the next, R13 three times that.
var shortQuery = []string{"(AX)", "(AX)(BX*1)", "(AX)(BX*2)", "(AX)(R13*1)"}

// shortScores prints the scores of four queries and so many times 16 keys: Z24 on, those of a query in so many registers.
func (o *out) shortScores(blocks int) {
	label := fmt.Sprintf("scores%d", blocks)
	for i := range 4 * blocks {
		o.p("VPXORD Z%d, Z%d, Z%d", 24+i, 24+i, 24+i)
	}
	o.p("MOVQ shortArgs_query(DX), AX")
	o.p("MOVQ %s, SI", shortLocal("keys"))
	o.p("MOVQ shortArgs_hd(DX), CX")
	o.p("LEAQ (CX*2), BX")
	o.p("LEAQ (BX)(BX*2), R13")
	o.label(label)
	sum := func(r, block, odd int) int { return 2*(blocks*r+block) + odd }
	for i := range 8 * blocks {
		o.p("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	for four := range 8 { // of 32 values
		for odd := range 2 {
			for block := range blocks {
				o.p("VMOVDQU32 %d(SI), Z%d", 64*(blocks*(2*four+odd)+block), 16+2*block+odd)
			}
		}
		for r := range 4 {
			for odd := range 2 {
				x := 20 + (2*r+odd)%4
				o.p("VPBROADCASTD %d%s, Z%d", 8*four+4*odd, shortQuery[r], x)
				for block := range blocks {
					s, k := sum(r, block, odd), 16+2*block+odd
					o.bytes(vdpbf16ps(s, k, x), "VDPBF16PS zmm%d, zmm%d, zmm%d", s, k, x)
				}
			}
		}
	}
	for i := range 4 * blocks {
		o.p("VADDPS Z%d, Z%d, Z%d", 2*i+1, 2*i, 2*i)
		o.p("VADDPS Z%d, Z%d, Z%d", 2*i, 24+i, 24+i)
	}
	o.p("ADDQ $64, AX")
	o.p("ADDQ $%d, SI", 16*64*blocks)
	o.p("SUBQ $32, CX")
	o.p("JNZ %s", label)
	o.p("MOVQ SI, %s", shortLocal("keys"))
}

// shortFold prints the fold of Z0 to Z3 into Z0, whose four lanes have that of each in all four values: those 8 apart, 4, 2 and 1.
func (o *out) shortFold(op string) {
	halves := func(low, high, a, b, to int) {
		o.p("VSHUFF64X2 $%#x, Z%d, Z%d, Z4", low, b, a)
		o.p("VSHUFF64X2 $%#x, Z%d, Z%d, Z%d", high, b, a, to)
		o.p("%s Z4, Z%d, Z%d", op, to, to)
	}
	halves(0x44, 0xee, 0, 1, 0)
	halves(0x44, 0xee, 2, 3, 2)
	halves(0x88, 0xdd, 0, 2, 0)
	for _, swap := range []int{0x4e, 0xb1} {
		o.p("VPERMILPS $%#x, Z0, Z4", swap)
		o.p("%s Z4, Z0, Z0", op)
	}
}

// shortSplat spreads lane r of four to all of a register.
func (o *out) shortSplat(r, from, to int) {
	o.p("VSHUFF32X4 $%#x, Z%d, Z%d, Z%d", 0x55*r, from, from, to)
}

// shortPower prints 2^x of numerics N6.3 in p; n and the mask k are changed, x is.
func (o *out) shortPower(x, n, p, k int) {
	o.p("VCMPPS $5, Z16, Z%d, K%d", x, k)
	o.p("VADDPS Z17, Z%d, Z%d", x, n)
	o.p("VSUBPS Z17, Z%d, Z%d", n, n)
	o.p("VSUBPS Z%d, Z%d, Z%d", n, x, x)
	o.p("VMOVAPS Z18, Z%d", p)
	for c := 19; c < 24; c++ {
		o.p("VFMADD213PS Z%d, Z%d, Z%d", c, x, p)
	}
	o.p("VSCALEFPS.Z Z%d, Z%d, K%d, Z%d", n, p, k, p)
}

// shortSoftmax prints steps 3 to 5 of numerics N6.3 for four queries; what their results are multiplied by goes to alpha.
func (o *out) shortSoftmax(blocks int) {
	for i := range 8 {
		o.p("VBROADCASTSS exp2<>+%d(SB), Z%d", 4*i, 16+i)
	}
	o.p("VBROADCASTSS exp2<>+32(SB), Z7")
	o.p("VPTERNLOGD $0xff, Z15, Z15, Z15")
	o.p("VPSLLD $16, Z15, Z15") // the high words
	o.p("VBROADCASTI32X4 pairs4<>(SB), Z14")
	o.p("MOVQ shortArgs_state(DX), SI")
	for r := range 4 {
		s := 24 + blocks*r
		o.p("VMOVAPS Z7, K5, Z%d", s+blocks-1)
		o.p("VMAXPS Z%d, Z%d, Z%d", s, s+blocks-1, r)
	}
	o.shortFold("VMAXPS")
	o.p("VMOVUPS %d(SI), Z1", shortAt("maxima"))
	o.p("VMAXPS Z1, Z0, Z0")
	o.p("VMOVUPS Z0, %d(SI)", shortAt("maxima"))
	for r := range 4 {
		o.shortSplat(r, 0, 8+r)
	}
	o.p("VSUBPS Z0, Z1, Z1")
	o.shortPower(1, 5, 12, 1)
	o.p("VMOVUPS Z12, %d(SI)", shortAt("alpha"))
	for r := range 4 {
		o.shortSplat(r, 12, r)
		o.p("VMULPS %d(SI), Z%d, Z%d", shortAt("sums")+64*r, r, r)
	}
	for r := range 4 {
		o.p("VPXORD Z13, Z13, Z13")
		for block := range blocks {
			x := 24 + blocks*r + block
			o.p("VSUBPS Z%d, Z%d, Z%d", 8+r, x, x)
			o.shortPower(x, 5+block, 12+block, 1+block)
		}
		o.bytes(vcvtne2ps2bf16(12, 13, 12), "VCVTNE2PS2BF16 zmm12, zmm13, zmm12")
		o.p("VPSLLD $16, Z12, Z5")
		o.p("VPANDD Z15, Z12, Z6")
		o.p("VADDPS Z6, Z5, Z5")
		o.p("VADDPS Z5, Z%d, Z%d", r, r)
		o.p("VMOVUPS Z%d, %d(SI)", r, shortAt("sums")+64*r)
		o.p("VPSHUFB Z14, Z12, Z12")
		o.p("VMOVDQU32 Z12, %d(SI)", shortAt("weights")+64*r)
	}
}

// shortResults prints step 6 for four queries, 32 columns at a time.
func (o *out) shortResults() {
	o.p("MOVQ shortArgs_state(DX), AX")
	o.p("MOVQ shortArgs_results(DX), R10")
	o.p("MOVQ shortArgs_hd(DX), R13")
	o.p("MOVQ %s, R12", shortLocal("values"))
	o.p("LEAQ (R13*4), BX")
	o.p("MOVQ %s, R9", shortLocal("ahead"))
	o.p("MOVL $32, CX")
	o.p("CMPQ R9, CX")
	o.p("CMOVQGT CX, R9")
	o.p("VMOVUPS %d(AX), Z22", shortAt("alpha"))
	o.label("result")
	for i := range 16 {
		o.p("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	o.p("MOVQ R12, DI")
	o.p("MOVQ AX, SI")
	o.p("MOVQ R9, CX")
	o.label("value")
	o.p("VMOVDQU32 (DI), Z16")
	o.p("VMOVDQU32 64(DI), Z17")
	o.p("VMOVDQU32 (DI)(BX*1), Z18")
	o.p("VMOVDQU32 64(DI)(BX*1), Z19")
	for r := range 4 {
		for odd := range 2 {
			x := 24 + 2*r + odd
			o.p("VPBROADCASTD %d(SI), Z%d", shortAt("weights")+64*r+4*odd, x)
			for d := range 2 {
				s, v := 4*r+2*d+odd, 16+2*odd+d
				o.bytes(vdpbf16ps(s, v, x), "VDPBF16PS zmm%d, zmm%d, zmm%d", s, v, x)
			}
		}
	}
	o.p("LEAQ (DI)(BX*2), DI")
	o.p("ADDQ $8, SI")
	o.p("SUBQ $4, CX")
	o.p("JGT value")
	for r := range 4 {
		o.shortSplat(r, 22, 21)
		for d := range 2 {
			s, at := 4*r+2*d, fmt.Sprintf("%d(R10)", 128*r+64*d)
			o.p("VADDPS Z%d, Z%d, Z%d", s+1, s, s)
			o.p("VMULPS %s, Z21, Z20", at)
			o.p("VADDPS Z%d, Z20, Z%d", s, s)
			o.p("VMOVUPS Z%d, %s", s, at)
		}
	}
	o.p("ADDQ $512, R10")
	o.p("ADDQ $128, R12")
	o.p("SUBQ $32, R13")
	o.p("JNZ result")
	o.p("LEAQ (BX*8), AX") // the block's eight fours, two parities each
	o.p("LEAQ (AX*2), AX")
	o.p("ADDQ AX, %s", shortLocal("values"))
}

// shortDivide prints the last step of four queries.
func (o *out) shortDivide() {
	o.shortRows("orow")
	o.p("MOVQ shortArgs_state(DX), SI")
	for r := range 4 {
		o.p("VMOVUPS %d(SI), Z%d", shortAt("sums")+64*r, r)
	}
	o.shortFold("VADDPS")
	o.p("VBROADCASTSS exp2<>+28(SB), Z1")
	o.p("VDIVPS Z0, Z1, Z0")
	for r := range 4 {
		o.shortSplat(r, 0, 4+r)
	}
	o.p("MOVQ shortArgs_results(DX), SI")
	o.p("MOVQ shortArgs_hd(DX), CX")
	o.label("divide")
	for r := range 4 {
		for d := range 2 {
			o.p("VMULPS %d(SI), Z%d, Z0", 128*r+64*d, 4+r)
			o.p("VMOVUPS Z0, %d(R%d)", 64*d, 8+r)
		}
		o.p("ADDQ $128, R%d", 8+r)
	}
	o.p("ADDQ $512, SI")
	o.p("SUBQ $32, CX")
	o.p("JNZ divide")
}
