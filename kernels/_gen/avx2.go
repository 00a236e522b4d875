package main

import "fmt"

func avx2() string {
	o := newFile()
	spreadTable(o)
	dotI8AVX2(o)
	for h := 1; h <= 3; h++ {
		dotI8AVXVNNI(o, h)
	}
	expandI4AVX2(o)
	return o.String()
}

// spreadTable prints the byte indices that spread 16 group bytes over 16
// columns of 4 bytes, and constants of 8 bytes.
func spreadTable(o *out) {
	fmt.Fprint(o, "\n// Byte indices that spread 16 group bytes over 16 columns of 4 bytes; repeated constants.\n")
	for i := 0; i < 64; i += 8 {
		fmt.Fprintf(o, "DATA spread<>+%d(SB)/8, $0x%08x%08x\n", i, 0x01010101*(i/4+1), 0x01010101*(i/4))
	}
	fmt.Fprint(o, `GLOBL spread<>(SB), RODATA|NOPTR, $64

DATA nibbles<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL nibbles<>(SB), RODATA|NOPTR, $8

DATA ones<>+0(SB)/8, $0x0001000100010001
GLOBL ones<>(SB), RODATA|NOPTR, $8
`)
}

// dotI8AVX2 takes 2 rows and one block. VPMADDUBSW would saturate, so bytes are
// widened first: Y0..Y3 sums of row 0 and Y4..Y7 of row 1, each 4 columns of
// two partial sums; Y8 weights, Y9 and Y10 inputs.
func dotI8AVX2(o *out) {
	o.text("dotI8x2AVX2", "a *dotArgs", "2 rows x 16 columns; CX steps of 8 k.")
	o.load("dotArgs", "a0", "SI", "a1", "DI", "w", "R8", "k", "CX", "c", "DX")
	o.p("SHRQ $3, CX")
	for i := range 8 {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	o.label("loop")
	for u := range 2 {
		for i, base := range []string{"SI", "DI"} {
			o.p("VPBROADCASTD %d(%s), X%d", 4*u, base, 9+i)
			o.p("VPMOVZXBW X%d, Y%d", 9+i, 9+i)
		}
		for q := range 4 {
			o.p("VPMOVSXBW %d(R8), Y8", 64*u+16*q)
			for i := range 2 {
				o.p("VPMADDWD Y8, Y%d, Y%d", 9+i, 11+i)
				o.p("VPADDD Y%d, Y%d, Y%d", 11+i, 4*i+q, 4*i+q)
			}
		}
	}
	o.p("ADDQ $8, SI")
	o.p("ADDQ $8, DI")
	o.p("ADDQ $128, R8")
	o.p("DECQ CX")
	o.p("JNZ loop")
	for i := range 4 { // columns 8i.. of the two rows
		o.p("VPHADDD Y%d, Y%d, Y%d", 2*i+1, 2*i, 2*i)
		o.p("VPERMQ $0xd8, Y%d, Y%d", 2*i, 2*i)
		o.p("VMOVDQU Y%d, %d(DX)", 2*i, 32*i)
	}
	o.p("VZEROUPPER")
	o.p("RET")
}

// dotI8AVXVNNI takes 2h rows and one block: Y0.. sums by row, two each; Y12
// and Y13 weights, Y14 and Y15 inputs in turn.
func dotI8AVXVNNI(o *out, h int) {
	rows := 2 * h
	o.text(fmt.Sprintf("dotI8x%dAVXVNNI", rows), "a *dotArgs", fmt.Sprintf("%d rows x 16 columns; CX steps of 8 k.", rows))
	o.load("dotArgs", "a0", "SI", "a1", "DI", "lda", "BX", "w", "R8", "k", "CX", "c", "DX")
	o.p("SHRQ $3, CX")
	for i := range 2 * rows {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	o.label("loop")
	for u := range 2 {
		o.p("VMOVDQU %d(R8), Y12", 64*u)
		o.p("VMOVDQU %d(R8), Y13", 64*u+32)
		for i := range rows {
			x := 14 + i%2
			o.p("VPBROADCASTD %s, Y%d", rowAddr(h, i, 4*u), x)
			for j := range 2 {
				o.bytes(vpdpbusd256(2*i+j, x, 12+j), "VPDPBUSD Y%d, Y%d, Y%d", 12+j, x, 2*i+j)
			}
		}
	}
	o.p("ADDQ $8, SI")
	o.p("ADDQ $8, DI")
	o.p("ADDQ $128, R8")
	o.p("DECQ CX")
	o.p("JNZ loop")
	for i := range 2 * rows {
		o.p("VMOVDQU Y%d, %d(DX)", i, 32*i)
	}
	o.p("VZEROUPPER")
	o.p("RET")
}

// expandI4AVX2 is expandI4 in two halves of 8 columns: Y0 and Y1 gscale and
// zero*gscale of the first, Y2 and Y3 of the second; Y4, Y5 weights.
func expandI4AVX2(o *out) {
	o.text("expandI4AVX2", "a *dotArgs", "one block of I4 to I8; R8 weights, R12 groups, DI destination.")
	o.load("dotArgs", "dst", "DI", "w", "R8", "g", "R12", "steps", "DX", "group", "AX")
	o.p("VPBROADCASTQ ones<>(SB), Y14")
	o.p("VPBROADCASTQ nibbles<>(SB), Y15")
	o.groupLoop(func() {
		for i := range 2 {
			zg, zz := 2*i, 2*i+1
			o.p("VBROADCASTI128 (R12), Y%d", zz)
			o.p("VPSHUFB spread<>+%d(SB), Y%d, Y%d", 32*i, zz, zz)
			o.p("VPSRLW $12, Y%d, Y%d", zz, zg)
			o.p("VPADDW Y14, Y%d, Y%d", zg, zg)
			o.p("VPAND Y15, Y%d, Y%d", zz, zz)
			o.p("VPMULLW Y%d, Y%d, Y%d", zg, zz, zz)
		}
		o.p("ADDQ $16, R12")
	}, func() {
		for i := range 4 { // step i/2, columns 8*(i%2)
			zg, zz := i%2*2, i%2*2+1
			o.p("VMOVDQU %d(R8), Y4", 32*i)
			o.p("VPSRLW $4, Y4, Y5")
			for j := range 2 {
				o.p("VPAND Y15, Y%d, Y%d", 4+j, 4+j)
				o.p("VPMULLW Y%d, Y%d, Y%d", zg, 4+j, 4+j)
				o.p("VPSUBB Y%d, Y%d, Y%d", zz, 4+j, 4+j)
				o.p("VMOVDQU Y%d, %d(DI)", 4+j, i/2*128+i%2*32+64*j)
			}
		}
		o.p("ADDQ $256, DI")
		o.p("ADDQ $128, R8")
	}, func() {})
	o.p("VZEROUPPER")
	o.p("RET")
}
