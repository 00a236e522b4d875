package main

import "fmt"

// Convolutions of 3 x 3 by fewer products, for kernels/conv; see Winograd there. All kernels take a *winogradArgs, but the end of a tile, which takes a *directArgs.
//
// What is transformed along lines, a vector for each of 6 x 6 numbers, waits at R13 to be transformed along columns.

// winograd prints the kernels of a level.
func winograd(o *out, avx512 bool) {
	for pair := range 2 { // the upper bytes of words: bytes 0 and 1 of fours, or 2 and 3
		for half := range 2 {
			x := uint64(0)
			for i := range 4 {
				x |= uint64(8*half+4*(i/2)+2*pair+i%2) << (16*i + 8)
			}
			fmt.Fprintf(o, "DATA bytes<>+%d(SB)/8, $%#016x\n", 16*pair+8*half, x|0x0080008000800080)
		}
	}
	o.WriteString("GLOBL bytes<>(SB), RODATA|NOPTR, $32\n\n// The inverse of 9 modulo 2^32.\nDATA ninth<>+0(SB)/4, $0x38e38e39\nGLOBL ninth<>(SB), RODATA|NOPTR, $4\n")
	k := &winogradKernels{out: o, isa: "AVX2", reg: "Y", width: 32, move: "VMOVDQU", blocks: 1, tiles: []int{6, 4, 2}}
	if avx512 {
		k = &winogradKernels{out: o, isa: "AVX512", reg: "Z", width: 64, move: "VMOVDQU32", blocks: 2, tiles: []int{12, 8, 4}}
	}
	k.inputs()
	k.weights()
	if avx512 {
		k.products()
		k.end()
	} else {
		k.products256()
		k.end256()
	}
}

type winogradKernels struct {
	*out
	isa, reg, move string
	width          int   // bytes of a vector
	blocks         int   // of columns that are multiplied at a time
	tiles          []int // the same of tiles
}

func (k *winogradKernels) name(name, args, comment string) {
	k.text("winograd"+name+k.isa, args, comment)
}

// op prints an instruction on registers of these numbers.
func (k *winogradKernels) op(op string, regs ...int) {
	for i, r := range regs {
		sep := ","
		if i == 0 {
			sep = ""
		}
		op += fmt.Sprintf("%s %s%d", sep, k.reg, r)
	}
	k.p("%s", op)
}

// shift is op with a number of bits in front.
func (k *winogradKernels) shift(op string, by, from, to int) {
	k.p("%s $%d, %s%d, %s%d", op, by, k.reg, from, k.reg, to)
}

// line transforms words of registers 0 to 5, with 6 to 9 beside them: store gets a register for each of six results.
//
//	4 0 -5  0 1 0;  0 -4 -4 1 1 0;  0 4 -4 -1 1 0;  0 -2 -1 2 1 0;  0 2 -1 -2 1 0;  0 4 0 -5 0 1
func (k *winogradKernels) line(store func(i, reg int)) {
	sub := func(a, b, to int) { k.op("VPSUBW", b, a, to) } // a - b
	k.shift("VPSLLW", 2, 2, 6)
	sub(4, 6, 6)
	k.shift("VPSLLW", 2, 1, 7)
	sub(3, 7, 7)
	k.op("VPADDW", 6, 7, 8)
	store(1, 8)
	sub(6, 7, 9)
	store(2, 9)
	sub(4, 2, 6)
	sub(3, 1, 7)
	k.op("VPADDW", 7, 7, 7)
	k.op("VPADDW", 6, 7, 8)
	store(3, 8)
	sub(6, 7, 9)
	store(4, 9)
	sub(0, 2, 8)
	k.shift("VPSLLW", 2, 8, 8)
	k.op("VPADDW", 6, 8, 8)
	store(0, 8)
	sub(5, 3, 9)
	k.op("VPADDW", 7, 7, 7)
	sub(9, 7, 9)
	store(5, 9)
}

// inputs transforms tiles: of each R8 36 pointers to its pixels; R9 feature, R10 where the results begin, R11 bytes from one of 36 to the next, R12 features, CX tiles left.
func (k *winogradKernels) inputs() {
	k.name("Inputs", "a *winogradArgs", "tiles of c features, of which table names 36 pixels each, to v.")
	k.load("winogradArgs", "table", "R8", "v", "DI", "vstep", "R11", "c", "R12", "tiles", "CX", "work", "R13")
	k.label("tile")
	k.p("XORQ R9, R9")
	k.label("features")
	mask := ""
	if k.width == 64 { // features come in sixteens
		k.p("MOVQ R12, DX")
		k.p("SUBQ R9, DX")
		k.p("MOVL $-1, BX")
		k.p("CMPQ DX, $32")
		k.p("JGE whole")
		k.p("MOVL $0xffff, BX")
		k.label("whole")
		k.p("KMOVD BX, K1")
		mask = "K1, "
	}
	for i := range 6 {
		for j := range 6 {
			k.p("MOVQ %d(R8), SI", 8*(6*i+j))
			if mask != "" {
				k.p("VPMOVZXBW.Z (SI)(R9*1), K1, Z%d", j)
			} else {
				k.p("VPMOVZXBW (SI)(R9*1), Y%d", j)
			}
		}
		k.line(func(j, reg int) { k.p("%s %s%d, %d(R13)", k.move, k.reg, reg, k.width*(6*i+j)) })
	}
	k.p("LEAQ (DI)(R9*2), R10")
	k.p("LEAQ (R11)(R11*2), BX")
	k.p("LEAQ (R10)(BX*2), DX") // six on
	k.p("SUBQ R10, DX")
	for j := range 6 {
		for i := range 6 {
			k.p("%s %d(R13), %s%d", k.move, k.width*(6*i+j), k.reg, i)
		}
		// rows 0, 1, 2 of results at R10, 3, 4, 5 at SI
		k.p("LEAQ (DX)(DX*2), SI")
		k.p("ADDQ R10, SI")
		k.line(func(i, reg int) {
			to := []string{"(R10)", "(R10)(DX*1)", "(R10)(DX*2)", "(SI)", "(SI)(DX*1)", "(SI)(DX*2)"}[i]
			if mask != "" {
				k.p("VMOVDQU16 Z%d, K1, %s", reg, to)
			} else {
				k.p("VMOVDQU Y%d, %s", reg, to)
			}
		})
		if j < 5 {
			k.p("ADDQ R11, R10")
		}
	}
	k.p("ADDQ $%d, R9", k.width/2)
	k.p("CMPQ R9, R12")
	k.p("JLT features")
	k.p("ADDQ $288, R8")
	k.p("LEAQ (DI)(R12*2), DI")
	k.p("DECQ CX")
	k.p("JNZ tile")
	k.p("VZEROUPPER")
	k.p("RET")
}

// tap makes result i of six of words of registers a, b, c in register to, with temp beside it; register six has words of 6, the next of 3.
//
//	6 0 0;  4 4 4;  4 -4 4;  1 2 4;  1 -2 4;  0 0 3
func (k *winogradKernels) tap(i, a, b, c, six, temp, to int) {
	switch i {
	case 0:
		k.op("VPMULLW", six, a, to)
	case 5:
		k.op("VPMULLW", six+1, c, to)
	case 1, 2:
		k.op("VPADDW", a, c, to)
		k.op([]string{"VPADDW", "VPSUBW"}[i-1], b, to, to)
		k.shift("VPSLLW", 2, to, to)
	default:
		k.shift("VPSLLW", 2, c, to)
		k.op("VPADDW", b, b, temp)
		k.op("VPADDW", a, to, to)
		k.op([]string{"VPADDW", "VPSUBW"}[i-3], temp, to, to)
	}
}

// weights transforms a block of weights [9][c/4][16][4] to a half of the pairs of words [36][c/2][blocks][16][2], 18: SI weights, R8, R10 and BX tap to tap, three and four; DI results, R11 bytes from one of 36
// to the next, R9 six of these, R12 fours left. Words of the taps are in registers 0 to 8 or, where these are few, wait at R13.
func (k *winogradKernels) weights() {
	k.name("Weights", "a *winogradArgs", "A block of weights [9][c/4][16][4] to pairs of words [18][c/2][16][2] in u, a pair upair bytes after the other.")
	k.load("winogradArgs", "w", "SI", "u", "DI", "ustep", "R11", "c", "R12", "work", "R13")
	many := k.width == 64
	words, six := 0, 14 // registers: the first of a line's words, constants
	if many {
		words, six = 20, 30
	}
	k.p("MOVQ R12, R8")
	k.p("SHLQ $4, R8")
	k.p("SHRQ $2, R12")
	k.p("LEAQ (R8)(R8*2), R10")
	k.p("LEAQ (R11)(R11*2), R9")
	k.p("SHLQ $1, R9")
	for i, word := range []int{6, 3} {
		k.p("MOVL $%d, BX", word)
		k.p("VMOVD BX, X%d", six+i)
		k.p("VPBROADCASTW X%d, %s%[1]d", six+i, k.reg)
	}
	k.p("CMPQ winogradArgs_half(AX), $0")
	k.p("JNE half1")
	for half := range 2 {
		k.label(fmt.Sprintf("half%d", half))
		for pair := range 2 {
			shuffle := six - 1
			if many {
				k.p("VBROADCASTI32X4 bytes<>+%d(SB), Z%d", 16*pair, shuffle)
			} else {
				k.p("VBROADCASTI128 bytes<>+%d(SB), Y%d", 16*pair, shuffle)
			}
			for part := range 64 / k.width {
				k.p("MOVQ SI, BX")
				for t := range 9 { // of words whose upper byte is a weight
					r := 0
					if many {
						r = t
					}
					k.p("%s %d(BX)%s, %s%d", k.move, 32*part, []string{"", "(R8*1)", "(R8*2)"}[t%3], k.reg, r)
					if t%3 == 2 {
						k.p("ADDQ R10, BX")
					}
					k.op("VPSHUFB", shuffle, r, r)
					k.shift("VPSRAW", 8, r, r)
					if !many {
						k.p("VMOVDQU Y0, %d(R13)", 32*t)
					}
				}
				k.p("MOVQ DI, BX")
				for i := 3 * half; i < 3*half+3; i++ {
					for j := range 3 {
						from := []int{j, 3 + j, 6 + j}
						if !many {
							for n := range 3 {
								k.p("VMOVDQU %d(R13), Y%d", 32*from[n], 6+n)
							}
							from = []int{6, 7, 8}
						}
						k.tap(i, from[0], from[1], from[2], six, words+4, words+j)
					}
					k.p("LEAQ (R11)(R11*2), DX")
					k.p("ADDQ BX, DX")
					for j := range 6 {
						k.tap(j, words, words+1, words+2, six, words+4, words+3+j%2*2)
						to := []string{"(BX)", "(BX)(R11*1)", "(BX)(R11*2)", "(DX)", "(DX)(R11*1)", "(DX)(R11*2)"}[j]
						k.p("%s %s%d, %d%s", k.move, k.reg, words+3+j%2*2, 32*part, to)
					}
					k.p("ADDQ R9, BX")
				}
			}
			k.p("ADDQ winogradArgs_upair(AX), DI")
		}
		k.p("ADDQ $64, SI")
		k.p("DECQ R12")
		k.p("JNZ half%d", half)
		k.p("VZEROUPPER")
		k.p("RET")
	}
}

// products multiplies tiles by two blocks, for each of so many of the 36: Z0.. sums, Z24 and Z25 weights, Z26.. inputs. R8, SI, BX tiles 0, 4 and 8, R9 and R10 one and three tiles; R11 weights, DX those at hand,
// R14 results, DI those at hand, CX steps left, R12 tiles left, R13 of the 36 left.
func (k *winogradKernels) products() {
	k.name("Products", "a *winogradArgs", "m = v * u.")
	k.load("winogradArgs", "v", "R8", "u", "R11", "m", "R14", "c", "R9", "positions", "R13")
	k.p("SHLQ $1, R9")
	k.p("LEAQ (R9)(R9*2), R10")
	next := 0
	k.eachPosition(func(rows int) {
		for i := range 2 * rows {
			k.p("VPXORD Z%d, Z%[1]d, Z%[1]d", i)
		}
	}, func(u, rows int, at func(r int) string) {
		for j := range 2 {
			k.p("VMOVDQU32 %d(DX), Z%d", 128*u+64*j, 24+j)
		}
		for r := range rows {
			x := 26 + next%6
			next++
			k.p("VPBROADCASTD %s, Z%d", at(r), x)
			for j := range 2 {
				k.p("VPDPWSSD Z%d, Z%d, Z%d", 24+j, x, 2*r+j)
			}
		}
	})
}

// eachPosition prints the loops of products: begin clears the sums of so many tiles, step adds the products of two features, u of four times; at is where those of a tile are.
func (k *winogradKernels) eachPosition(begin func(rows int), step func(u, rows int, at func(r int) string)) {
	line := 64 * k.blocks
	k.label("position")
	k.load("winogradArgs", "tiles", "R12")
	k.p("MOVQ R14, DI")
	for n, rows := range k.tiles {
		next := "done"
		if n+1 < len(k.tiles) {
			next = fmt.Sprintf("rows%d", k.tiles[n+1])
		}
		k.label(fmt.Sprintf("rows%d", rows))
		k.p("CMPQ R12, $%d", rows)
		k.p("JLT %s", next)
		bases := []string{"R8", "SI", "BX"}[:(rows+3)/4]
		for i := range bases[1:] {
			k.p("LEAQ (%s)(R9*4), %s", bases[i], bases[i+1])
		}
		begin(rows)
		k.p("MOVQ R11, DX")
		k.p("MOVQ winogradArgs_c(AX), CX")
		k.p("SHRQ $3, CX")
		k.label(fmt.Sprintf("step%d", rows))
		for u := range 4 {
			if n == 0 {
				for j := range k.blocks { // those of a position come from the second-level cache the first time
					k.p("PREFETCHT0 %d(DX)", 8*line+line*u+64*j)
				}
			}
			step(u, rows, func(r int) string {
				return fmt.Sprintf("%d(%s)%s", 4*u, bases[r/4], []string{"", "(R9*1)", "(R9*2)", "(R10*1)"}[r%4])
			})
		}
		k.p("ADDQ $%d, DX", 4*line)
		for _, r := range bases {
			k.p("ADDQ $16, %s", r)
		}
		k.p("DECQ CX")
		k.p("JNZ step%d", rows)
		for r := range rows {
			for j := range line / k.width {
				k.p("%s %s%d, %d(DI)", k.move, k.reg, line/k.width*r+j, 36*line*r+k.width*j)
			}
		}
		for i := rows - 1; i > 0; { // R8 is one tile on
			by := min(i&-i, 8)
			k.p("LEAQ (R8)(R9*%d), R8", by)
			i -= by
		}
		k.p("ADDQ $%d, DI", 36*line*rows)
		k.p("SUBQ $%d, R12", rows)
		k.p("JMP rows%d", rows)
	}
	k.label("done")
	k.p("ADDQ $%d, R14", line)
	k.p("ADDQ $64, R8")
	k.p("ADDQ winogradArgs_ustep(AX), R11")
	k.p("DECQ R13")
	k.p("JNZ position")
	k.p("VZEROUPPER")
	k.p("RET")
}

// sums transforms registers m0 to m5 back to four others, the last of which may be m4; temp is beside them.
//
//	1 -1 -1 1 1 0;  0 -1 1 2 -2 0;  0 -1 -1 4 4 0;  0 -1 1 8 -8 8
func (k *winogradKernels) sums(m [6]int, temp int, to [4]int) {
	sub := func(a, b, to int) { k.op("VPSUBD", b, a, to) } // a - b
	k.op("VPADDD", m[1], m[2], temp)
	sub(m[1], m[2], m[1])
	k.op("VPADDD", m[3], m[4], m[2])
	sub(m[3], m[4], m[3])
	sub(m[0], temp, m[0])
	k.op("VPADDD", m[5], m[3], m[5])
	k.op("VPADDD", m[3], m[3], m[3])
	k.op("VPADDD", m[2], m[0], to[0])
	k.shift("VPSLLD", 2, m[2], m[2])
	k.shift("VPSLLD", 3, m[5], m[5])
	sub(m[5], m[1], to[3])
	sub(m[3], m[1], to[1])
	sub(m[2], temp, to[2])
}

// exact makes the sum of a register that is 576 times as large, modulo 2^32: times the inverse of 9, by 64.
func (k *winogradKernels) exact(r, ninth int) {
	k.op("VPMULLD", ninth, r, r)
	k.shift("VPSRAD", 6, r, r)
}

// nextTile takes a tile from the list, of which there are more.
func (k *winogradKernels) nextTile() {
	k.label("tile")
	k.load("directArgs", "list", "DX")
	for _, f := range [][3]string{{"ldd", "first", "dst"}, {"ldo", "firstOther", "other"}} {
		k.p("MOVQ winogradTile_at(DX), R8")
		k.p("IMULQ directArgs_%s(AX), R8", f[0])
		k.p("ADDQ directArgs_%s(AX), R8", f[1])
		k.p("MOVQ R8, directArgs_%s(AX)", f[2])
	}
	for _, f := range []string{"places", "lines"} {
		k.p("MOVQ winogradTile_%s(DX), R8", f)
		k.p("MOVQ R8, directArgs_%s(AX)", f)
	}
	k.p("ADDQ $winogradTile__size, directArgs_list(AX)")
}

// lastTile goes on with the next if there is one.
func (k *winogradKernels) lastTile() {
	k.p("ADDQ $%d, directArgs_m(AX)", 36*64*k.blocks)
	k.p("DECQ directArgs_tiles(AX)")
	k.p("JNZ tile")
	k.p("VZEROUPPER")
	k.p("RET")
}

// end brings the sums of a tile of a block to dst: those of place x of line y come to Z(6y+x), of the last to Z(6y+4).
//
// R13 lines left, BX the line's results, R9 from line to line; of what is added SI and R12.
func (k *winogradKernels) end() {
	k.name("End", "a *directArgs", "Of tiles: m [36] lines 128 bytes apart, which come from the second-level cache.")
	k.nextTile()
	k.load("directArgs", "m", "SI", "start", "R13")
	for j := range 6 {
		for i := range 6 {
			k.p("VMOVDQU32 %d(SI), Z%d", 128*(6*i+j), 24+i)
			k.p("PREFETCHT0 %d(SI)", 128*(36+6*i+j))
		}
		if j == 1 { // counts in all sums
			k.p("VPADDD (R13), Z25, Z25")
		}
		k.sums([6]int{24, 25, 26, 27, 28, 29}, 30, [4]int{j, 6 + j, 12 + j, 18 + j})
	}
	k.p("VPBROADCASTD ninth<>(SB), Z25")
	sum := func(i, _ int) int { return 6*(i/4) + []int{0, 1, 2, 4}[i%4] }
	for y := range 4 {
		k.sums([6]int{6 * y, 6*y + 1, 6*y + 2, 6*y + 3, 6*y + 4, 6*y + 5}, 30, [4]int{6 * y, 6*y + 1, 6*y + 2, 6*y + 4})
		for x := range 4 {
			k.exact(sum(4*y+x, 0), 25)
		}
	}
	e := tileEnd{k.out, false, 16, 1, 4, sum}
	e.scaled()
	k.label("active")
	k.load("directArgs", "places", "CX", "lines", "R13", "dst", "DI", "ldd", "R8", "lineStep", "R9", "other", "R10", "ldo", "R11")
	k.p("MOVQ DI, BX")
	e.stored(func(i int, kind string) {
		if i%4 < 3 {
			k.p("ADDQ R8, DI")
			k.p("DECQ CX")
			k.p("JZ %s%d", kind, i/4)
			return
		}
		k.label(fmt.Sprintf("%s%d", kind, i/4))
		if i == 15 {
			k.p("JMP stored")
			return
		}
		k.p("DECQ R13")
		k.p("JZ stored")
		k.p("ADDQ R9, BX")
		k.p("MOVQ BX, DI")
		k.p("MOVQ directArgs_places(AX), CX")
	}, func() {
		k.p("MOVQ R10, R12")
		k.p("MOVQ R13, SI")
		k.p("MOVQ CX, DX")
	}, func(i int, added string) {
		if i%4 < 3 {
			k.p("ADDQ R11, R10")
			k.p("DECQ DX")
			k.p("JZ %sLine%d", added, i/4)
			return
		}
		k.label(fmt.Sprintf("%sLine%d", added, i/4))
		if i == 15 {
			return
		}
		k.p("DECQ SI")
		k.p("JZ %s", added)
		k.p("ADDQ directArgs_otherStep(AX), R12")
		k.p("MOVQ R12, R10")
		k.p("MOVQ CX, DX")
	})
	e.silu()
	k.label("stored")
	k.lastTile()
}

// products256 is products of one block, with the registers of that; Y0.. sums, Y12 and Y13 weights, Y14 inputs, Y15 products.
func (k *winogradKernels) products256() {
	k.name("Products", "a *winogradArgs", "m = v * u.")
	k.load("winogradArgs", "v", "R8", "u", "R11", "m", "R14", "c", "R9", "positions", "R13")
	k.p("SHLQ $1, R9")
	k.p("LEAQ (R9)(R9*2), R10")
	k.eachPosition(func(rows int) {
		for i := range 2 * rows {
			k.p("VPXOR Y%d, Y%[1]d, Y%[1]d", i)
		}
	}, func(u, rows int, at func(r int) string) {
		for j := range 2 {
			k.p("VMOVDQU %d(DX), Y%d", 64*u+32*j, 12+j)
		}
		for r := range rows {
			k.p("VPBROADCASTD %s, Y14", at(r))
			k.p("VPMADDWD Y12, Y14, Y15")
			k.p("VPMADDWD Y13, Y14, Y14")
			k.p("VPADDD Y15, Y%d, Y%[1]d", 2*r)
			k.p("VPADDD Y14, Y%d, Y%[1]d", 2*r+1)
		}
	})
}

// end256 brings the sums of a tile of a block to dst: they are made in work, from R13 + 768 on [16][16], and stored line by line.
func (k *winogradKernels) end256() {
	k.name("End", "a *directArgs", "Of tiles: m [36] lines 64 bytes apart.")
	k.nextTile()
	k.load("directArgs", "m", "SI", "start", "R8", "work", "R13")
	k.p("VPBROADCASTD ninth<>(SB), Y15")
	for half := range 2 {
		for j := range 6 {
			for i := range 6 {
				k.p("VMOVDQU %d(SI), Y%d", 64*(6*i+j)+32*half, i)
			}
			if j == 1 { // counts in all sums
				k.p("VPADDD %d(R8), Y1, Y1", 32*half)
			}
			k.sums([6]int{0, 1, 2, 3, 4, 5}, 6, [4]int{7, 8, 9, 10})
			for y := range 4 {
				k.p("VMOVDQU Y%d, %d(R13)", 7+y, 32*(6*y+j))
			}
		}
		for y := range 4 {
			for j := range 6 {
				k.p("VMOVDQU %d(R13), Y%d", 32*(6*y+j), j)
			}
			k.sums([6]int{0, 1, 2, 3, 4, 5}, 6, [4]int{7, 8, 9, 10})
			for x := range 4 {
				k.exact(7+x, 15)
				k.p("VMOVDQU Y%d, %d(R13)", 7+x, 768+64*(4*y+x)+32*half)
			}
		}
	}
	k.p("LEAQ 768(R13), SI")
	k.label("line")
	k.p("MOVQ SI, directArgs_line(AX)")
	k.load("directArgs", "places", "CX")
	k.p("MOVQ CX, directArgs_rows(AX)")
	k.p("CALL directEnd<>(SB)")
	k.load("directArgs", "line", "SI", "places", "R8")
	k.p("ADDQ $256, SI")
	for _, f := range [][3]string{{"ldd", "lineStep", "dst"}, {"ldo", "otherStep", "other"}} { // from the end of a line to the next
		k.load("directArgs", f[0], "R9", f[1], "R10")
		k.p("IMULQ R8, R9")
		k.p("SUBQ R9, R10")
		k.p("ADDQ R10, directArgs_%s(AX)", f[2])
	}
	k.p("DECQ directArgs_lines(AX)")
	k.p("JNZ line")
	k.lastTile()
}
