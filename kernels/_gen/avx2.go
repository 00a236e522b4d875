package main

import "fmt"

func avx2() string {
	o := newFile()
	spreadTable(o)
	fmt.Fprint(o, "\n// Byte indices that make two words of each of 16 bytes.\n")
	for i := 0; i < 64; i += 8 {
		fmt.Fprintf(o, "DATA twice<>+%d(SB)/8, $0x80%02[2]x80%02[2]x80%02[3]x80%02[3]x\n", i, i/4+1, i/4)
	}
	fmt.Fprint(o, "GLOBL twice<>(SB), RODATA|NOPTR, $64\n")
	dotI8AVX2(o)
	for h := 1; h <= 3; h++ {
		dotI8AVXVNNI(o, h)
	}
	expandAVX2(o, 4)
	expandAVX2(o, 6)
	streamI8AVXVNNI(o, 1, 4)
	streamI8AVXVNNI(o, 2, 2)
	streamCodes(o, 4, "AVXVNNI", 1, 4)
	streamCodes(o, 4, "AVXVNNI", 2, 2)
	streamSigned(o, 1, 4)
	streamSigned(o, 2, 1)
	for _, isa := range []string{"AVX2", "AVXVNNI"} {
		streamCodes(o, 6, isa, 1, 4)
		streamCodes(o, 6, isa, 2, 1)
	}
	streamWords(o)
	fmt.Fprint(o, "\n// The low nibbles of 32 bytes.\n")
	for i := range 4 {
		fmt.Fprintf(o, "DATA low<>+%d(SB)/8, $0x0f0f0f0f0f0f0f0f\n", 8*i)
	}
	fmt.Fprint(o, "GLOBL low<>(SB), RODATA|NOPTR, $32\n")
	for _, rows := range []int{4, 6} {
		for _, quads := range []int{8, 4} {
			dotCodes256(o, rows, quads, false)
			dotCodes256(o, rows, quads, true)
		}
		dotWords256(o, rows, false)
		dotWords256(o, rows, true)
	}
	manyCopies(o)
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
DATA ones<>+8(SB)/8, $0x0001000100010001
DATA ones<>+16(SB)/8, $0x0001000100010001
DATA ones<>+24(SB)/8, $0x0001000100010001
GLOBL ones<>(SB), RODATA|NOPTR, $32

DATA signs<>+0(SB)/8, $0x8080808080808080
GLOBL signs<>(SB), RODATA|NOPTR, $8

// The low byte of 32 bits; the order 0, 2, 1, 3 of four words.
DATA lowest<>+0(SB)/8, $0x000000ff000000ff
GLOBL lowest<>(SB), RODATA|NOPTR, $8

DATA pairs<>+0(SB)/8, $0x0706030205040100
DATA pairs<>+8(SB)/8, $0x0f0e0b0a0d0c0908
GLOBL pairs<>(SB), RODATA|NOPTR, $16

// Bits 4 and 5 of bytes: those above the nibble in codes of six bits. The low six bits of words.
DATA above<>+0(SB)/8, $0x3030303030303030
DATA above<>+8(SB)/8, $0x3030303030303030
DATA above<>+16(SB)/8, $0x3030303030303030
DATA above<>+24(SB)/8, $0x3030303030303030
GLOBL above<>(SB), RODATA|NOPTR, $32

DATA sixbits<>+0(SB)/8, $0x3f3f3f3f3f3f3f3f
DATA sixbits<>+8(SB)/8, $0x3f3f3f3f3f3f3f3f
DATA sixbits<>+16(SB)/8, $0x3f3f3f3f3f3f3f3f
DATA sixbits<>+24(SB)/8, $0x3f3f3f3f3f3f3f3f
GLOBL sixbits<>(SB), RODATA|NOPTR, $32
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

// unpack256 leaves the codes of k = 8u.. in Y lo and of k = 8u+4.. in Y hi; the
// 16 k are at base, 8 columns a register. Y15 nibbles; p and t temporary, for codes of six bits.
func (o *out) unpack256(bits, u int, base string, off, lo, hi, p, t int) {
	o.p("VMOVDQU %d(%s), Y%d", 64*u+off, base, lo)
	o.p("VPSRLW $4, Y%d, Y%d", lo, hi)
	o.p("VPAND Y15, Y%d, Y%d", lo, lo)
	o.p("VPAND Y15, Y%d, Y%d", hi, hi)
	if bits == 4 {
		return
	}
	if u == 0 {
		o.p("VMOVDQU %d(%s), Y%d", 128+off, base, p)
	}
	for i, y := range []int{lo, hi} {
		switch 2*u + i {
		case 0:
			o.p("VPSLLW $4, Y%d, Y%d", p, t)
			o.p("VPAND above<>(SB), Y%d, Y%d", t, t)
		case 1:
			o.p("VPSLLW $2, Y%d, Y%d", p, t)
			o.p("VPAND above<>(SB), Y%d, Y%d", t, t)
		case 2:
			o.p("VPAND above<>(SB), Y%d, Y%d", p, t)
		case 3:
			o.p("VPSRLW $2, Y%d, Y%d", p, t)
			o.p("VPAND above<>(SB), Y%d, Y%d", t, t)
		}
		o.p("VPOR Y%d, Y%d, Y%d", t, y, y)
	}
}

// expandAVX2 is expand in two halves of 8 columns: Y0 and Y1 gscale and
// zero*gscale of the first, Y2 and Y3 of the second; Y4, Y5 weights, Y6, Y7 their high bits.
func expandAVX2(o *out, bits int) {
	o.text(fmt.Sprintf("expandI%dAVX2", bits), "a *dotArgs", fmt.Sprintf("one block of I%d to I8; R8 weights, R12 groups, DI destination.", bits))
	o.load("dotArgs", "dst", "DI", "w", "R8", "g", "R12", "steps", "DX", "group", "AX")
	o.p("VPBROADCASTQ ones<>(SB), Y14")
	o.p("VPBROADCASTQ nibbles<>(SB), Y15")
	o.groupLoop(func() {
		for i := range 2 {
			zg, zz := 2*i, 2*i+1
			o.p("VBROADCASTI128 (R12), Y%d", zz)
			o.p("VPSHUFB spread<>+%d(SB), Y%d, Y%d", 32*i, zz, zz)
			o.p("VPSRLW $%d, Y%d, Y%d", 8+bits, zz, zg)
			o.p("VPADDW Y14, Y%d, Y%d", zg, zg)
			o.p("VPAND %s, Y%d, Y%d", map[int]string{4: "Y15", 6: "sixbits<>(SB)"}[bits], zz, zz)
			o.p("VPMULLW Y%d, Y%d, Y%d", zg, zz, zz)
		}
		o.p("ADDQ $16, R12")
	}, func() {
		for i := range 4 { // columns 8*(i/2), step i%2
			zg, zz := i/2*2, i/2*2+1
			o.unpack256(bits, i%2, "R8", i/2*32, 4, 5, 6, 7)
			for j := range 2 {
				o.p("VPMULLW Y%d, Y%d, Y%d", zg, 4+j, 4+j)
				o.p("VPSUBB Y%d, Y%d, Y%d", zz, 4+j, 4+j)
				o.p("VMOVDQU Y%d, %d(DI)", 4+j, i%2*128+i/2*32+64*j)
			}
		}
		o.p("ADDQ $256, DI")
		o.p("ADDQ $%d, R8", 32*bits)
	}, func() {})
	o.p("VZEROUPPER")
	o.p("RET")
}

// Kernels for one and two rows read each block of columns as a stream of its
// own, tile after tile, as those of AVX-512 do.

// streamStart opens such a kernel for rows x b blocks; streamEnd goes on to the
// next tile. In between are SI and DI rows, R8 weights, R9 and R10 one and three
// blocks, of codes also R12, R13 and R11 of the groups, DX steps of 8 k, AX of them a group.
func (o *out) streamStart(name, isa string, rows, b int, codes bool) {
	o.text(fmt.Sprintf("%sx%dx%d%s", name, rows, 16*b, isa), "a *dotArgs", fmt.Sprintf("%d rows x %d columns, tile after tile.", rows, 16*b))
	o.label("tile")
	o.p("MOVQ a+0(FP), AX")
	o.load("dotArgs", "a0", "SI", "a1", "DI", "w", "R8", "ws", "R9")
	if b > 2 {
		o.p("LEAQ (R9)(R9*2), R10")
	}
	if codes {
		o.load("dotArgs", "g", "R12", "gs", "R13", "steps", "DX", "group", "AX")
		if b > 2 {
			o.p("LEAQ (R13)(R13*2), R11")
		}
		return
	}
	o.load("dotArgs", "k", "CX")
	o.p("SHRQ $3, CX")
}

// streamEnd stores the sums Y0.., two a block, row by row; started says that they begin with what lies there.
func (o *out) streamEnd(rows, b int, started bool) {
	o.p("MOVQ a+0(FP), AX")
	o.load("dotArgs", "c", "DX", "cs", "R9", "ldc", "BX")
	if b > 2 {
		o.p("LEAQ (R9)(R9*2), R10")
	}
	for i := range rows {
		for j := range 2 * b {
			sum, addr := 2*b*i+j, blockAddr(j/2, 32*(j%2), "DX", "R9", "R10")
			if started {
				o.p("VPADDD %s, Y%d, Y%d", addr, sum, sum)
			}
			o.p("VMOVDQU Y%d, %s", sum, addr)
		}
		if i+1 < rows {
			o.p("ADDQ BX, DX")
		}
	}
	o.nextTile()
}

// nextTile ends a kernel that goes on from tile to tile. No pointer may be left
// behind that points past its memory.
func (o *out) nextTile() {
	o.p("DECQ dotArgs_times(AX)")
	o.p("JZ done")
	o.load("dotArgs", "nextw", "R9", "nextg", "R10")
	o.p("ADDQ R9, dotArgs_w(AX)")
	o.p("ADDQ R10, dotArgs_g(AX)")
	o.p("ADDQ $64, dotArgs_c(AX)")
	o.p("JMP tile")
	o.label("done")
	o.p("VZEROUPPER")
	o.p("RET")
}

// streamSigned sums products of 4-bit codes with inputs less 128, which fit 16 bits for 32 k. Such a
// chunk (16 k in groups of 16) starts at what zero takes away, in the two sums that a column has, and one product
// with gscale widens both. Y0.. sums, two a block and row; then those of the chunk, of each row two inputs,
// lo and hi codes, a product; Y15 nibbles. DX chunks left, CX of them in the group, AX k in one, BX sums of inputs.
func streamSigned(o *out, rows, b int) {
	o.streamStart("dotI4", "AVX2", rows, b, true)
	chunk := 2 * rows * b
	x := chunk + 2*rows
	lo := x + 2*rows
	hi, t := lo+1, lo+2
	bases := []string{"SI", "DI"}
	o.p("VPBROADCASTQ nibbles<>(SB), Y15")
	o.p("MOVQ AX, CX")
	o.p("MOVQ a+0(FP), AX")
	o.load("dotArgs", "sums", "BX", "size", "AX")
	for i := range chunk {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	o.label("chunk")
	groups := func(j int) { // group bytes of 8 columns as words, twice each
		o.p("VBROADCASTI128 %s, Y%d", blockAddr(j, 0, "R12", "R13", "R11"), hi)
		o.p("VPSHUFB twice<>(SB), Y%d, Y%d", hi, lo)
		o.p("VPSHUFB twice<>+32(SB), Y%d, Y%d", hi, hi)
	}
	for j := range b {
		groups(j)
		for half := range 2 {
			o.p("VPAND Y15, Y%d, Y%d", lo+half, lo+half)
		}
		for i := range rows {
			o.p("VPBROADCASTD %d(BX), Y%d", 4*i, x)
			for half := range 2 {
				o.p("VPMULLW Y%d, Y%d, Y%d", x, lo+half, chunk+2*i+half)
			}
		}
		o.p("LEAQ %s, R14", blockAddr(j, 0, "R8", "R9", "R10"))
		for u := range 4 {
			if u == 2 {
				o.p("CMPQ AX, $16")
				o.p("JEQ scale%d", j)
			}
			o.p("PREFETCHT0 %d(R14)", 64*u+prefetch)
			for i := range rows {
				for k := range 2 {
					o.p("VPBROADCASTD %d(%s), Y%d", 8*u+4*k, bases[i], x+2*i+k)
				}
			}
			for half := range 2 {
				o.unpack256(4, u, "R14", 32*half, lo, hi, 0, 0)
				for i := range rows {
					sum := chunk + 2*i + half
					for k := range 2 {
						o.p("VPMADDUBSW Y%d, Y%d, Y%d", x+2*i+k, lo+k, t)
						o.p("VPADDW Y%d, Y%d, Y%d", t, sum, sum)
					}
				}
			}
		}
		o.label(fmt.Sprintf("scale%d", j))
		groups(j)
		for half := range 2 {
			o.p("VPSRLW $4, Y%d, Y%d", lo+half, lo+half)
			o.p("VPADDW ones<>(SB), Y%d, Y%d", lo+half, lo+half)
			for i := range rows {
				sum := 2*b*i + 2*j + half
				o.p("VPMADDWD Y%d, Y%d, Y%d", chunk+2*i+half, lo+half, t)
				o.p("VPADDD Y%d, Y%d, Y%d", t, sum, sum)
			}
		}
	}
	o.p("ADDQ AX, SI")
	o.p("ADDQ AX, DI")
	o.p("LEAQ (R8)(AX*8), R8")
	o.p("ADDQ $8, BX")
	o.p("DECQ CX")
	o.p("JNZ same")
	o.p("ADDQ $16, R12")
	o.p("MOVQ a+0(FP), R14")
	o.p("MOVQ dotArgs_group(R14), CX")
	o.label("same")
	o.p("DECQ DX")
	o.p("JNZ chunk")
	o.streamEnd(rows, b, true)
}

// streamI8AVXVNNI: sums, then Y12 and Y13 weights, Y14 and Y15 inputs.
func streamI8AVXVNNI(o *out, rows, b int) {
	o.streamStart("dotI8", "AVXVNNI", rows, b, false)
	for i := range 2 * rows * b {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	o.label("loop")
	for u := range 2 {
		for i := range rows {
			o.p("VPBROADCASTD %d(%s), Y%d", 4*u, [2]string{"SI", "DI"}[i], 14+i)
		}
		for j := range b {
			o.p("PREFETCHT0 %s", blockAddr(j, 64*u+prefetch, "R8", "R9", "R10"))
			for half := range 2 {
				o.p("VMOVDQU %s, Y%d", blockAddr(j, 64*u+32*half, "R8", "R9", "R10"), 12+half)
				for i := range rows {
					acc := 2*(i*b+j) + half
					o.bytes(vpdpbusd256(acc, 14+i, 12+half), "VPDPBUSD Y%d, Y%d, Y%d", 12+half, 14+i, acc)
				}
			}
		}
	}
	o.p("ADDQ $8, SI")
	o.p("ADDQ $8, DI")
	o.p("ADDQ $128, R8")
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.streamEnd(rows, b, false)
}

// streamCodes sums products of codes, and scales once a group: the sum of
// x*(code-zero)*gscale over a group is gscale*(sum of x*code - zero * sum of x).
// It is exact, and saves expanding, which is what AVX2 has no time for.
// Groups go one after the other, and in each the runs of 8 columns. After the
// sums come of each row those of this group and of its x; then lo and hi codes,
// inputs, for 6 bits the high ones, for AVX2 Y14 ones; Y15 nibbles.
func streamCodes(o *out, bits int, isa string, rows, b int) {
	o.streamStart(fmt.Sprintf("dotI%d", bits), isa, rows, b, true)
	vnni := isa == "AVXVNNI"
	d := 2 * rows * b
	sum := d + rows
	lo := sum + rows
	hi, x, t := lo+1, lo+2, lo+3
	o.p("VPBROADCASTQ nibbles<>(SB), Y15")
	if !vnni {
		o.p("VPBROADCASTQ ones<>(SB), Y14")
	}
	for i := range d {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	bases := []string{"SI", "DI"}
	o.label("group")
	o.p("MOVQ AX, CX")
	o.p("CMPQ DX, CX")
	o.p("CMOVQLT DX, CX")
	o.p("SUBQ CX, DX")
	o.p("SHLQ $3, CX // bytes of x in this group")
	o.p("VPXOR X%d, X%d, X%d", x, x, x)
	for i := range rows {
		o.p("VPXOR X%d, X%d, X%d", sum+i, sum+i, sum+i)
	}
	o.p("XORQ BX, BX")
	o.label("sums")
	for i := range rows {
		o.p("VPSADBW (%s)(BX*1), X%d, X%d", bases[i], x, lo)
		o.p("VPADDD X%d, X%d, X%d", lo, sum+i, sum+i)
	}
	o.p("ADDQ $16, BX")
	o.p("CMPQ BX, CX")
	o.p("JLT sums")
	for i := range rows {
		o.p("VPSHUFD $0x4e, X%d, X%d", sum+i, lo)
		o.p("VPADDD X%d, X%d, X%d", lo, sum+i, sum+i)
		o.p("VPBROADCASTD X%d, Y%d", sum+i, sum+i)
	}
	for half := range 2 * b {
		j, part := half/2, 32*(half%2)
		for i := range rows {
			o.p("VPXOR Y%d, Y%d, Y%d", d+i, d+i, d+i)
		}
		o.p("LEAQ %s, R14", blockAddr(j, part, "R8", "R9", "R10"))
		o.p("XORQ BX, BX")
		o.label(fmt.Sprintf("steps%d", half))
		for line := range bits / 2 {
			if part == 0 {
				o.p("PREFETCHT0 %d(R14)", 64*line+prefetch)
			}
		}
		for u := range 2 {
			o.unpack256(bits, u, "R14", 0, lo, hi, t, x)
			for i := range rows {
				for k := range 2 {
					o.p("VPBROADCASTD %d(%s)(BX*1), Y%d", 8*u+4*k, bases[i], x)
					if vnni {
						o.bytes(vpdpbusd256(d+i, x, lo+k), "VPDPBUSD Y%d, Y%d, Y%d", lo+k, x, d+i)
						continue
					}
					o.p("VPMADDUBSW Y%d, Y%d, Y%d", lo+k, x, x)
					o.p("VPMADDWD Y14, Y%d, Y%d", x, x)
					o.p("VPADDD Y%d, Y%d, Y%d", x, d+i, d+i)
				}
			}
		}
		o.p("ADDQ $%d, R14", 32*bits)
		o.p("ADDQ $16, BX")
		o.p("CMPQ BX, CX")
		o.p("JLT steps%d", half)
		o.p("VPMOVZXBD %s, Y%d", blockAddr(j, part/4, "R12", "R13", "R11"), hi)
		o.p("VPAND %s, Y%d, Y%d", map[int]string{4: "Y15", 6: "sixbits<>(SB)"}[bits], hi, lo)
		o.p("VPSRLD $%d, Y%d, Y%d", bits, hi, hi)
		for i := range rows {
			acc := 2*b*i + half
			o.p("VPMADDWD Y%d, Y%d, Y%d", lo, sum+i, x)
			o.p("VPSUBD Y%d, Y%d, Y%d", x, d+i, d+i)
			o.p("VPMULLD Y%d, Y%d, Y%d", hi, d+i, x)
			o.p("VPADDD Y%d, Y%d, Y%d", d+i, acc, acc)
			o.p("VPADDD Y%d, Y%d, Y%d", x, acc, acc)
		}
	}
	o.p("ADDQ CX, SI")
	o.p("ADDQ CX, DI")
	if bits == 4 {
		o.p("LEAQ (R8)(CX*8), R8")
	} else {
		o.p("LEAQ (CX)(CX*2), R14")
		o.p("LEAQ (R8)(R14*4), R8")
	}
	o.p("ADDQ $16, R12")
	o.p("TESTQ DX, DX")
	o.p("JNZ group")
	o.streamEnd(rows, b, false)
}

// A16 as words: the products of 16 bits with a weight fill 24, and 256 of them 32 (chunkA16). So a sum
// goes in chunks, after each of which its low byte and the rest are added to the two sums in memory that the
// planes' own would be. Inputs lie as wordsAVX2 leaves them, and weights are widened to words of k, k+2 and of k+1, k+3.
const chunkA16 = 256

// streamWords is the kernel of I8 for a row of words and four blocks: Y0..Y7 sums, two a block; Y8 and Y9
// weights, Y10 and Y11 inputs, DX steps of 4 k.
func streamWords(o *out) {
	o.streamStart("dotWords", "AVX2", 1, 4, false)
	o.p("LEAQ (CX)(CX*1), DX")
	o.label("chunk")
	for i := range 8 {
		o.p("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	o.p("MOVQ $%d, CX", chunkA16/4)
	o.p("CMPQ DX, CX")
	o.p("CMOVQLT DX, CX")
	o.p("SUBQ CX, DX")
	o.label("loop")
	o.p("VPBROADCASTD (SI), Y10")
	o.p("VPBROADCASTD 4(SI), Y11")
	for j := range 4 {
		o.p("PREFETCHT0 %s", blockAddr(j, prefetch, "R8", "R9", "R10"))
		for half := range 2 {
			sum := 2*j + half
			o.p("VMOVDQU %s, Y8", blockAddr(j, 32*half, "R8", "R9", "R10"))
			o.p("VPSLLW $8, Y8, Y9")
			o.p("VPSRAW $8, Y9, Y9")
			o.p("VPSRAW $8, Y8, Y8")
			for i := range 2 {
				o.p("VPMADDWD Y%d, Y%d, Y%d", 10+i, 9-i, 9-i)
			}
			o.p("VPADDD Y9, Y8, Y8")
			o.p("VPADDD Y8, Y%d, Y%d", sum, sum)
		}
	}
	o.p("ADDQ $8, SI")
	o.p("ADDQ $64, R8")
	o.p("DECQ CX")
	o.p("JNZ loop")
	o.load("dotArgs", "c", "BX", "cs", "CX", "ldc", "R14")
	o.p("ADDQ BX, R14")
	o.p("VPBROADCASTQ lowest<>(SB), Y9")
	for i := range 8 {
		o.foldA16(i, 8, 9, 32*(i%2), "BX", "R14")
		if i%2 == 1 {
			o.p("ADDQ CX, BX")
			o.p("ADDQ CX, R14")
		}
	}
	o.p("TESTQ DX, DX")
	o.p("JNZ chunk")
	o.nextTile()
}

// foldA16 adds the low byte of a sum to memory at low, the rest at high; t is temporary, mask lowest.
func (o *out) foldA16(sum, t, mask, off int, high, low string) {
	o.p("VPSRAD $8, Y%d, Y%d", sum, t)
	o.p("VPADDD %d(%s), Y%d, Y%d", off, high, t, t)
	o.p("VMOVDQU Y%d, %d(%s)", t, off, high)
	o.p("VPAND Y%d, Y%d, Y%d", mask, sum, t)
	o.p("VPADDD %d(%s), Y%d, Y%d", off, low, t, t)
	o.p("VMOVDQU Y%d, %d(%s)", t, off, low)
}
