package main

import (
	"fmt"
	"strings"
)

// Windows of one feature each, for kernels/conv: for each place, sums or maxima over rows that a table of pointers names, a vector of
// features at a time. All take a *windowArgs: places of a run lie step bytes apart in all rows, and their results ldd bytes.
//
// AX a, SI the table, CX places left, DI results, R11 bytes from a row's start, R9 feature, R12 features, R8 and R10 pointers, R13 row of weights, BX taps left,
// DX bytes of all places before.
type windows struct {
	*out
	avx512 bool
	name   string
	bits   int // of a feature in the rows
	// vec features of the rows lie in a vector.
	vec int
	// begin sets the sums of vector i; tap adds to them what lies at mem (the next tap's features i); end stores them, with AVX-512 under mask k.
	begin func(o *windows, i int)
	tap   func(o *windows, i int, mem, mask string)
	end   func(o *windows, i int, mask string)
}

func (o *windows) reg(i int) string {
	if o.avx512 {
		return fmt.Sprintf("Z%d", i)
	}
	return fmt.Sprintf("Y%d", i)
}

func (o *windows) width() int {
	if o.avx512 {
		return 64
	}
	return 32
}

// block prints the taps of n vectors from feature R9 on.
func (o *windows) block(label string, n int, mask string) {
	size := o.bits / 8 * o.vec
	for i := range n {
		o.begin(o, i)
	}
	o.p("MOVQ windowArgs_w(AX), R13")
	o.p("LEAQ (R13)(R9*4), R13")
	o.p("MOVQ SI, R8")
	o.p("MOVQ windowArgs_taps(AX), BX")
	o.label(label)
	o.p("MOVQ (R8), R10")
	for i := range n {
		o.tap(o, i, fmt.Sprintf("%d(R10)(R11*1)", i*size), mask)
	}
	o.p("ADDQ $8, R8")
	o.p("ADDQ windowArgs_ldw(AX), R13")
	o.p("DECQ BX")
	o.p("JNZ %s", label)
	for i := range n {
		o.end(o, i, mask)
	}
}

func (o *windows) function(setup func()) {
	isa := "AVX2"
	if o.avx512 {
		isa = "AVX512"
	}
	o.text(o.name+isa, "a *windowArgs", "See windowArgs.")
	o.load("windowArgs", "x", "SI", "places", "CX", "dst", "DI", "features", "R12")
	o.p("XORQ DX, DX")
	if setup != nil {
		setup()
	}
	o.label("place")
	o.p("XORQ R9, R9")
	o.p("MOVQ DX, R11")
	size := o.bits / 8 * o.vec
	o.label("four")
	o.p("LEAQ %d(R9), BX", 4*o.vec)
	o.p("CMPQ BX, R12")
	o.p("JA single")
	o.block("tap4", 4, "")
	o.p("ADDQ $%d, R9", 4*o.vec)
	o.p("ADDQ $%d, R11", 4*size)
	o.p("JMP four")
	o.label("single")
	o.p("LEAQ %d(R9), BX", o.vec)
	o.p("CMPQ BX, R12")
	o.p("JA tail")
	o.block("tap1", 1, "")
	o.p("ADDQ $%d, R9", o.vec)
	o.p("ADDQ $%d, R11", size)
	o.p("JMP single")
	o.label("tail")
	if o.avx512 {
		o.p("CMPQ R9, R12")
		o.p("JE next")
		o.p("MOVQ R12, R10")
		o.p("SUBQ R9, R10")
		o.p("MOVQ $1, BX")
		if o.vec == 64 {
			o.p("MOVQ $-1, BX")
			o.p("SHLXQ R10, BX, BX")
			o.p("NOTQ BX")
			o.p("KMOVQ BX, K1")
		} else {
			o.p("SHLXQ R10, BX, BX")
			o.p("DECQ BX")
			o.p("KMOVW BX, K1")
		}
		o.block("tapK", 1, "K1")
		o.label("next")
	}
	o.p("ADDQ windowArgs_step(AX), DX")
	o.p("ADDQ windowArgs_ldd(AX), DI")
	o.p("DECQ CX")
	o.p("JNZ place")
	o.p("VZEROUPPER")
	o.p("RET")
}

// masked is an instruction with AVX-512 under a mask, zeroing what is left out (or for a store leaving it).
func masked(op, args, mask string, zero bool) string {
	if mask == "" {
		return op + " " + args
	}
	if zero {
		op += ".Z"
	}
	i := strings.LastIndex(args, ",")
	return fmt.Sprintf("%s %s, %s,%s", op, args[:i], mask, args[i+1:])
}

func convKernels(avx512 bool) string {
	o := &windows{out: newFile(), avx512: avx512}
	lanes := o.width() / 4
	move := map[bool]string{true: "VMOVDQU32", false: "VMOVDQU"}[avx512]
	// of a vector of sums in 4+i
	finish := func(o *windows, i int, mask string) {
		acc := o.reg(4 + i)
		o.p("VCVTDQ2PS %s, %s", acc, acc)
		o.p("VMULPS %s, %s, %s", o.reg(15), acc, acc)
		o.p("MOVQ windowArgs_scale(AX), R10")
		o.p("VMULPS %d(R10)(R9*4), %s, %s", i*o.width(), acc, acc)
		o.p("MOVQ windowArgs_bias(AX), R10")
		o.p("VADDPS %d(R10)(R9*4), %s, %s", i*o.width(), acc, acc)
		o.p("%s", masked("VMOVUPS", fmt.Sprintf("%s, %d(DI)(R9*4)", acc, i*o.width()), mask, false))
	}
	if avx512 {
		o.WriteString("\n// Of 16 codes in each lane fours as lanes of 32 bits.\n")
		for i := range 16 {
			for j := range 2 {
				fmt.Fprintf(o, "DATA fifth<>+%d(SB)/8, $%#016x\n", 16*i+8*j, 0x8080800080808000|uint64(i/4*4+2*j+1)<<32|uint64(i/4*4+2*j))
			}
		}
		o.WriteString("GLOBL fifth<>(SB), RODATA|NOPTR, $256\n")
		for _, codes := range []bool{false, true} {
			depthQuads(o.out, codes)
			depthColumns(o.out, codes, 3)
			depthColumns(o.out, codes, 5)
		}
	} else {
		o.WriteString("\n// Words of -32768; what low and high halves of weights count.\nDATA least<>+0(SB)/4, $0x80008000\nGLOBL least<>(SB), RODATA|NOPTR, $4\nDATA halves<>+0(SB)/4, $0x00100001\nGLOBL halves<>(SB), RODATA|NOPTR, $4\n")
		for _, codes := range []bool{false, true} {
			depthPairs(o.out, codes)
		}
	}
	o.name, o.bits, o.vec = "depthInts", 8, lanes
	o.begin = func(o *windows, i int) {
		if i == 0 {
			o.p("MOVQ windowArgs_start(AX), R13")
		}
		o.p("%s %d(R13)(R9*4), %s", move, i*o.width(), o.reg(4+i))
	}
	o.tap = func(o *windows, i int, mem, mask string) {
		o.p("%s", masked("VPMOVZXBD", mem+", "+o.reg(i), mask, true))
		o.p("VPMADDWD %d(R13), %s, %s", i*o.width(), o.reg(i), o.reg(i))
		o.p("VPADDD %s, %s, %s", o.reg(i), o.reg(4+i), o.reg(4+i))
	}
	o.end = finish
	if !avx512 {
		o.function(func() { o.p("VBROADCASTSS windowArgs_factor(AX), %s", o.reg(15)) })
	}

	o.name, o.bits = "maxFloats", 32 // a value takes over if it is greater, or no number
	o.begin = func(o *windows, i int) {
		if i == 0 {
			o.p("MOVL $0xff800000, BX")
			if avx512 {
				o.p("VPBROADCASTD BX, Z4")
			} else {
				o.p("VMOVD BX, X4")
				o.p("VPBROADCASTD X4, Y4")
			}
			return
		}
		o.p("VMOVAPS %s, %s", o.reg(4), o.reg(4+i))
	}
	o.tap = func(o *windows, i int, mem, mask string) {
		v, acc := o.reg(i), o.reg(4+i)
		o.p("%s", masked("VMOVUPS", mem+", "+v, mask, true))
		if avx512 {
			o.p("VCMPPS $0x1e, %s, %s, K2", acc, v)
			o.p("VCMPPS $3, %s, %s, K3", v, v)
			o.p("KORW K2, K3, K2")
			o.p("VMOVAPS %s, K2, %s", v, acc)
			return
		}
		o.p("VCMPPS $0x1e, %s, %s, Y8", acc, v)
		o.p("VCMPPS $3, %s, %s, Y9", v, v)
		o.p("VORPS Y8, Y9, Y8")
		o.p("VBLENDVPS Y8, %s, %s, %s", v, acc, acc)
	}
	o.end = func(o *windows, i int, mask string) {
		o.p("%s", masked("VMOVUPS", fmt.Sprintf("%s, %d(DI)(R9*4)", o.reg(4+i), i*o.width()), mask, false))
	}
	o.function(nil)

	o.name, o.bits, o.vec = "maxBytes", 8, o.width()
	bytes := map[bool]string{true: "VMOVDQU8", false: "VMOVDQU"}[avx512]
	o.begin = func(o *windows, i int) {
		if avx512 {
			o.p("VPXORD %s, %s, %s", o.reg(4+i), o.reg(4+i), o.reg(4+i))
		} else {
			o.p("VPXOR %s, %s, %s", o.reg(4+i), o.reg(4+i), o.reg(4+i))
		}
	}
	o.tap = func(o *windows, i int, mem, mask string) {
		o.p("%s", masked(bytes, mem+", "+o.reg(i), mask, true))
		o.p("VPMAXUB %s, %s, %s", o.reg(i), o.reg(4+i), o.reg(4+i))
	}
	o.end = func(o *windows, i int, mask string) {
		o.p("%s", masked(bytes, fmt.Sprintf("%s, %d(DI)(R9*1)", o.reg(4+i), i*o.width()), mask, false))
	}
	o.function(nil)

	o.name, o.bits, o.vec = "sumFloats", 32, lanes/2 // dst float64
	o.begin = func(o *windows, i int) { o.p("VXORPS %[1]s, %[1]s, %[1]s", o.reg(4+i)) }
	o.tap = func(o *windows, i int, mem, mask string) {
		o.p("%s", masked("VCVTPS2PD", mem+", "+o.reg(i), mask, true))
		o.p("VADDPD %s, %s, %s", o.reg(i), o.reg(4+i), o.reg(4+i))
	}
	o.end = func(o *windows, i int, mask string) {
		o.p("%s", masked("VMOVUPD", fmt.Sprintf("%s, %d(DI)(R9*8)", o.reg(4+i), i*o.width()), mask, false))
	}
	o.function(nil)

	o.name, o.bits, o.vec = "sumBytes", 8, lanes // dst int32
	o.begin = func(o *windows, i int) {
		if avx512 {
			o.p("VPXORD %s, %s, %s", o.reg(4+i), o.reg(4+i), o.reg(4+i))
		} else {
			o.p("VPXOR %s, %s, %s", o.reg(4+i), o.reg(4+i), o.reg(4+i))
		}
	}
	o.tap = func(o *windows, i int, mem, mask string) {
		o.p("%s", masked("VPMOVZXBD", mem+", "+o.reg(i), mask, true))
		o.p("VPADDD %s, %s, %s", o.reg(i), o.reg(4+i), o.reg(4+i))
	}
	o.end = func(o *windows, i int, mask string) {
		o.p("%s", masked(move, fmt.Sprintf("%s, %d(DI)(R9*4)", o.reg(4+i), i*o.width()), mask, false))
	}
	o.function(nil)
	return o.String()
}

// depthQuads sums taps of codes four at a time, as VPDPBUSD takes them: bytes of 64 features of four rows are put side by side, which leaves
// Z4..Z7 with features by lanes, 4i..4i+3 of each 16 in vector i; so are start, scale and bias. The registers are those of windows. K1 are the features of the block, K2 to K5 those of its vectors.
func depthQuads(o *out, codes bool) {
	name := "depthInts"
	if codes {
		name = "depthCodes"
	}
	o.text(name+"AVX512", "a *windowArgs", "See windowArgs.")
	o.load("windowArgs", "x", "SI", "places", "CX", "dst", "DI", "features", "R12")
	o.p("XORQ DX, DX")
	o.p("VBROADCASTSS windowArgs_factor(AX), Z16")
	if codes {
		o.p("VBROADCASTSS windowArgs_inv(AX), Z17")
		o.p("VBROADCASTSS windowArgs_hi(AX), Z19")
		o.p("VPBROADCASTD windowArgs_zero(AX), Z20")
	}
	o.label("place")
	o.p("XORQ R9, R9")
	o.p("MOVQ DX, R11")
	o.label("block")
	o.p("MOVQ R12, R10")
	o.p("SUBQ R9, R10")
	o.p("MOVQ $-1, BX")
	o.p("CMPQ R10, $64")
	o.p("JGE whole")
	o.p("SHLXQ R10, BX, BX")
	o.p("NOTQ BX")
	o.label("whole")
	o.p("KMOVQ BX, K1")
	for i := range 4 {
		if !codes {
			o.p("KMOVW BX, K%d", 2+i)
			o.p("SHRQ $16, BX")
		}
		o.p("VPXORD Z%d, Z%[1]d, Z%[1]d", 4+i)
	}
	o.p("MOVQ windowArgs_w(AX), R13")
	o.p("LEAQ (R13)(R9*4), R13")
	o.p("MOVQ SI, R8")
	o.p("MOVQ windowArgs_taps(AX), BX")
	o.label("tap")
	for i := range 4 {
		o.p("MOVQ %d(R8), R10", 8*i)
		o.p("VMOVDQU8.Z (R10)(R11*1), K1, Z%d", i)
	}
	o.p("VPUNPCKLBW Z1, Z0, Z8")
	o.p("VPUNPCKHBW Z1, Z0, Z9")
	o.p("VPUNPCKLBW Z3, Z2, Z10")
	o.p("VPUNPCKHBW Z3, Z2, Z11")
	for i := range 4 {
		o.p("VPUNPCK%sWD Z%d, Z%d, Z%d", []string{"L", "H"}[i%2], 10+i/2, 8+i/2, i)
		o.p("VPDPBUSD %d(R13), Z%d, Z%d", 64*i, i, 4+i)
	}
	o.p("ADDQ $32, R8")
	o.p("ADDQ windowArgs_ldw(AX), R13")
	o.p("DECQ BX")
	o.p("JNZ tap")
	o.load("windowArgs", "start", "R13", "scale", "R8", "bias", "R10")
	for i := range 4 { // in the order of the vectors
		acc := fmt.Sprintf("Z%d", 4+i)
		o.p("VPADDD %d(R13)(R9*4), %s, %s", 64*i, acc, acc)
		o.p("VCVTDQ2PS %s, %s", acc, acc)
		o.p("VMULPS Z16, %s, %s", acc, acc)
		o.p("VMULPS %d(R8)(R9*4), %s, %s", 64*i, acc, acc)
		o.p("VADDPS %d(R10)(R9*4), %s, %s", 64*i, acc, acc)
		if codes { // what is below -zero is 0 by saturation, and so is -2^31, what NaN becomes
			o.p("VMULPS Z17, %s, %s", acc, acc)
			o.p("VMINPS %s, Z19, %s // NaN stays", acc, acc)
			o.p("VCVTPS2DQ %s, %s", acc, acc)
			o.p("VPADDD Z20, %s, %s", acc, acc)
		}
	}
	if codes {
		o.p("VPACKSSDW Z5, Z4, Z4")
		o.p("VPACKSSDW Z7, Z6, Z6")
		o.p("VPACKUSWB Z6, Z4, Z4")
		o.p("VMOVDQU8 Z4, K1, (DI)(R9*1)")
	} else { // features side by side
		o.p("VSHUFF32X4 $0x44, Z5, Z4, Z0")
		o.p("VSHUFF32X4 $0xee, Z5, Z4, Z1")
		o.p("VSHUFF32X4 $0x44, Z7, Z6, Z2")
		o.p("VSHUFF32X4 $0xee, Z7, Z6, Z3")
		for i := range 4 {
			o.p("VSHUFF32X4 $%#x, Z%d, Z%d, Z%d", []int{0x88, 0xdd}[i%2], 2+i/2, i/2, 4+i)
			o.p("VMOVUPS Z%d, K%d, %d(DI)(R9*4)", 4+i, 2+i, 64*i)
		}
	}
	o.p("ADDQ $64, R9")
	o.p("ADDQ $64, R11")
	o.p("CMPQ R9, R12")
	o.p("JB block")
	o.p("ADDQ windowArgs_step(AX), DX")
	o.p("ADDQ windowArgs_ldd(AX), DI")
	o.p("DECQ CX")
	o.p("JNZ place")
	o.p("VZEROUPPER")
	o.p("RET")
}

// depthColumns sums codes under windows of 3 x 3 or 5 x 5 for places side by side, at the edges too: a column of elements, fours of them put side by side, is multiplied for all of the windows that it is
// in. Sums of the window at hand are in Z0..Z3, of those after it in the next fours; weights of 3 x 3 in Z20..Z31, of 5 x 5 in memory; the column in four registers or eight.
//
// AX a; SI, DI, R8, R11, R14 the rows, R10 bytes from the first column inside, R9 feature, R12 weights, R13 results, CX places left.
func depthColumns(o *out, codes bool, size int) {
	name := "depthInts"
	if codes {
		name = "depthCodes"
	}
	o.text(fmt.Sprintf("%s%dAVX512", name, size), "a *windowArgs", fmt.Sprintf("See windowArgs: columns of windows of %d x %[1]d.", size))
	rows, fours := []string{"SI", "DI", "R8", "R11", "R14"}[:size], (size+3)/4
	column, temps := []int{17, 18, 12, 13}, []int{14, 15, 16, 19}
	if size == 5 {
		column, temps = []int{20, 21, 22, 23, 24, 25, 26, 27}, []int{28, 29, 30, 31}
	}
	columns := 0
	next := func() {
		first := 16
		if size == 5 {
			first = 20
		}
		o.p("CMPQ R10, windowArgs_width(AX)")
		o.p("JCC padding%d", columns) // also before the first column
		for i, r := range rows {
			z := first + i
			if i == 4 {
				z = 28
			}
			o.p("VMOVDQU8.Z (%s)(R10*1), K1, Z%d", r, z)
		}
		o.label(fmt.Sprintf("column%d", columns))
		o.p("ADDQ windowArgs_pixel(AX), R10")
		columns++
		if size == 3 {
			o.p("VPXORD Z19, Z19, Z19")
			o.p("VPUNPCKLBW Z17, Z16, Z12")
			o.p("VPUNPCKHBW Z17, Z16, Z13")
			o.p("VPUNPCKLBW Z19, Z18, Z14")
			o.p("VPUNPCKHBW Z19, Z18, Z16")
			o.p("VPUNPCKLWD Z14, Z12, Z17")
			o.p("VPUNPCKHWD Z14, Z12, Z18")
			o.p("VPUNPCKLWD Z16, Z13, Z12")
			o.p("VPUNPCKHWD Z16, Z13, Z13")
			return
		}
		o.p("VPUNPCKLBW Z21, Z20, Z24")
		o.p("VPUNPCKHBW Z21, Z20, Z25")
		o.p("VPUNPCKLBW Z23, Z22, Z26")
		o.p("VPUNPCKHBW Z23, Z22, Z27")
		o.p("VPUNPCKLWD Z26, Z24, Z20")
		o.p("VPUNPCKHWD Z26, Z24, Z21")
		o.p("VPUNPCKLWD Z27, Z25, Z22")
		o.p("VPUNPCKHWD Z27, Z25, Z23")
		for i := range 4 {
			o.p("VPSHUFB fifth<>+%d(SB), Z28, Z%d", 64*i, 24+i)
		}
	}
	begin := func(window int) {
		o.p("MOVQ windowArgs_start(AX), BX")
		for i := range 4 {
			o.p("VMOVDQU32 %d(BX)(R9*4), Z%d", 64*i, 4*window+i)
		}
	}
	add := func(window, col int) {
		for q := range fours {
			for i := range 4 {
				if size == 3 {
					o.p("VPDPBUSD Z%d, Z%d, Z%d", 20+4*col+i, column[i], 4*window+i)
				} else {
					o.p("VPDPBUSD %d(R12), Z%d, Z%d", 256*(fours*col+q)+64*i, column[4*q+i], 4*window+i)
				}
			}
		}
	}
	end := func(windows int) { // of the first of so many
		o.p("MOVQ windowArgs_scale(AX), BX")
		o.p("MOVQ windowArgs_bias(AX), DX")
		if codes {
			o.p("VBROADCASTSS windowArgs_hi(AX), Z%d", temps[0])
		}
		for i := range 4 {
			o.p("VCVTDQ2PS Z%d, Z%[1]d", i)
			o.p("VMULPS.BCST windowArgs_factor(AX), Z%d, Z%[1]d", i)
			o.p("VMULPS %d(BX)(R9*4), Z%d, Z%[2]d", 64*i, i)
			o.p("VADDPS %d(DX)(R9*4), Z%d, Z%[2]d", 64*i, i)
			if codes { // see depthQuads
				o.p("VMULPS.BCST windowArgs_inv(AX), Z%d, Z%[1]d", i)
				o.p("VMINPS Z%d, Z%d, Z%[1]d // NaN stays", i, temps[0])
				o.p("VCVTPS2DQ Z%d, Z%[1]d", i)
				o.p("VPADDD.BCST windowArgs_zero(AX), Z%d, Z%[1]d", i)
			}
		}
		if codes {
			o.p("VPACKSSDW Z1, Z0, Z0")
			o.p("VPACKSSDW Z3, Z2, Z2")
			o.p("VPACKUSWB Z2, Z0, Z0")
			o.p("VMOVDQU8 Z0, K1, (R13)")
		} else { // features side by side
			o.p("VSHUFF32X4 $0x44, Z1, Z0, Z%d", temps[0])
			o.p("VSHUFF32X4 $0xee, Z1, Z0, Z%d", temps[1])
			o.p("VSHUFF32X4 $0x44, Z3, Z2, Z%d", temps[2])
			o.p("VSHUFF32X4 $0xee, Z3, Z2, Z%d", temps[3])
			for i := range 4 {
				o.p("VSHUFF32X4 $%#x, Z%d, Z%d, Z0", []int{0x88, 0xdd}[i%2], temps[2+i/2], temps[i/2])
				o.p("VMOVUPS Z0, K%d, %d(R13)", 2+i, 64*i)
			}
		}
		o.p("ADDQ windowArgs_ldd(AX), R13")
		for i := range 4 * (windows - 1) {
			o.p("VMOVDQA64 Z%d, Z%d", 4+i, i)
		}
		o.p("DECQ CX")
	}
	o.load("windowArgs", "w", "R12")
	o.p("XORQ R9, R9")
	o.label("block")
	o.load("windowArgs", "features", "CX")
	o.p("SUBQ R9, CX")
	o.p("MOVQ $-1, BX")
	o.p("CMPQ CX, $64")
	o.p("JGE whole")
	o.p("SHLXQ CX, BX, BX")
	o.p("NOTQ BX")
	o.label("whole")
	o.p("KMOVQ BX, K1")
	if !codes {
		for i := range 4 {
			o.p("KMOVW BX, K%d", 2+i)
			o.p("SHRQ $16, BX")
		}
	}
	if size == 3 {
		for i := range 12 {
			o.p("VMOVDQU32 %d(R12), Z%d", 64*i, 20+i)
		}
	}
	o.load("windowArgs", "x", "BX")
	for i, r := range rows {
		o.p("MOVQ %d(BX), %s", 8*i, r)
		o.p("ADDQ R9, %s", r)
	}
	o.load("windowArgs", "dst", "R13", "places", "CX", "column", "R10")
	if codes {
		o.p("ADDQ R9, R13")
	} else {
		o.p("LEAQ (R13)(R9*4), R13")
	}
	for stride := 1; stride <= 3; stride++ { // 3: so many or more, that no column is in two
		if stride == 3 && size > 3 {
			break
		}
		o.label(fmt.Sprintf("stride%d", stride))
		if stride+1 < 3 || stride < 3 && size == 3 {
			o.p("CMPQ windowArgs_stride(AX), $%d", stride)
			o.p("JNE stride%d", stride+1)
		}
		windows := (size + stride - 1) / stride // that a column can be in
		col := 0
		step := func() { // a column, of all windows that begin before it or with it
			next()
			for w := 0; w*stride <= col; w++ {
				if w*stride == col {
					begin(w)
				}
				add(w, col-w*stride)
			}
			col++
		}
		for col < size-stride {
			step()
		}
		o.label(fmt.Sprintf("places%d", stride))
		col = size - stride
		for range stride {
			step()
		}
		if stride == 3 {
			o.p("ADDQ windowArgs_skip(AX), R10")
		}
		end(windows)
		o.p("JNZ places%d", stride)
		o.p("JMP done")
	}
	o.label("done")
	o.p("ADDQ $%d, R12", 256*fours*size)
	o.p("ADDQ $64, R9")
	o.p("CMPQ R9, windowArgs_features(AX)")
	o.p("JB block")
	o.p("VZEROUPPER")
	o.p("RET")
	for i := range columns {
		o.label(fmt.Sprintf("padding%d", i))
		o.load("windowArgs", "pad", "BX")
		first := map[int]int{3: 16, 5: 20}[size]
		o.p("VMOVDQU8.Z (BX)(R9*1), K1, Z%d", first)
		for j := 1; j < min(size, 4); j++ {
			o.p("VMOVDQA64 Z%d, Z%d", first, first+j)
		}
		if size == 5 {
			o.p("VMOVDQA64 Z20, Z28")
		}
		o.p("JMP column%d", i)
	}
}
