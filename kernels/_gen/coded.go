package main

import "fmt"

// Weights of format Codes become panels of float32: 8 places of 16 columns a tile, planes of 8, 4, 2 and 1 bits
// (linear.Coded). DI panel, SI tiles, R8 tiles of a group, R9 groups, R10 scales, R11 offsets, R12 zeros, R13, BX
// and DX the bytes to the next group of each, R14 the table.

// codedRegs names what the two instruction sets differ in.
type codedRegs struct {
	reg    string // Z or Y
	lanes  int
	logic  string // suffix of VPAND and VPOR
	halves int
}

func codedAVX512() string {
	o := newFile()
	r := codedRegs{"Z", 16, "D", 1}
	for bits := 2; bits <= 8; bits++ {
		o.expandCodes(r, fmt.Sprintf("expandCodes%dAVX512", bits), bits, map[bool]string{true: "perm", false: "convert"}[bits <= 4])
	}
	o.expandCodes(r, "expandTable8AVX512", 8, "gather")
	return o.String()
}

func codedAVX2() string {
	o := newFile()
	r := codedRegs{"Y", 8, "", 2}
	for bits := 2; bits <= 8; bits++ {
		o.expandCodes(r, fmt.Sprintf("expandCodes%dAVX2", bits), bits, "convert")
	}
	o.expandCodes(r, "expandTable4AVX2", 4, "perm")
	o.expandCodes(r, "expandTable8AVX2", 8, "gather")
	numbers(o)
	return o.String()
}

// expandCodes prints one function. Registers: 0 the line of a plane of 8 or 4 bits, 1 code, 2 lines of 2 bits, 3 of 1 bit,
// 4, 5 temporaries, 6 value; from 7 on masks; 12, 13 the table; 14, 15 spare. Those of a group are loaded where they are used by AVX2, and stay by AVX-512.
func (o *out) expandCodes(r codedRegs, name string, bits int, way string) {
	z := func(i int) string { return fmt.Sprintf("%s%d", r.reg, i) }
	o.text(name, "a *codedArgs", fmt.Sprintf("%d bits.", bits))
	o.load("codedArgs", "dst", "DI", "w", "SI", "tiles", "R8", "groups", "R9", "scale", "R10", "offset", "R11", "zero", "R12", "sstep", "R13", "ostep", "BX", "zstep", "DX", "table", "R14")
	masks := map[int]int{}
	mask := func(v int) string {
		if _, ok := masks[v]; !ok {
			masks[v] = 7 + len(masks)
		}
		return z(masks[v])
	}
	// The code of each place: planes from the low bits on.
	type plane struct{ p, line, pos int }
	var planes []plane
	line, pos := 0, 0
	for _, p := range []int{8, 4, 2, 1} {
		if bits&p != 0 {
			planes = append(planes, plane{p, line, pos})
			line, pos = line+p, pos+p
		}
	}
	body := &out{}
	for k := range 8 {
		for h := range r.halves {
			value := z(1)
			for i, p := range planes {
				per := 8 / p.p
				src := z(map[int]int{8: 0, 4: 0, 2: 2, 1: 3}[p.p] + 0)
				if r.halves == 2 || k%per == 0 {
					body.p("VPMOVZXBD %d(SI), %s", (p.line+k/per)*16+h*8, src)
				}
				dst := z(1)
				if i > 0 {
					dst = z(4)
				}
				// bits p*(k%per).. of the byte go to pos
				shift := p.pos - p.p*(k%per)
				switch {
				case shift < 0:
					body.p("VPSRLD $%d, %s, %s", -shift, src, dst)
				case shift > 0:
					body.p("VPSLLD $%d, %s, %s", shift, src, dst)
				default:
					if p.p == 8 || way == "perm" && bits == 4 && r.lanes == 16 {
						dst = src
					}
				}
				top := p.p*(k%per)+p.p == 8 && shift <= 0 && p.pos == 0 // nothing above it
				if !top && !(way == "perm" && bits == 4 && r.lanes == 16) {
					from := dst
					if shift == 0 {
						from = src
					}
					body.p("VPAND%s %s, %s, %s", r.logic, mask((1<<p.p-1)<<p.pos), from, dst)
				}
				if i > 0 {
					body.p("VPOR%s %s, %s, %s", r.logic, dst, z(1), z(1))
				} else {
					value = dst
				}
				if i == 0 && len(planes) > 1 && dst != z(1) {
					panic("the code is not in its register")
				}
			}
			scale, offset, zero := z(28), z(29), z(30)
			if r.lanes == 8 {
				scale, offset, zero = fmt.Sprintf("%d(R10)", h*32), fmt.Sprintf("%d(R11)", h*32), fmt.Sprintf("%d(R12)", h*32)
			}
			switch {
			case way == "perm" && r.lanes == 16:
				body.p("VPERMPS Z31, %s, %s", value, z(6))
			case way == "perm":
				body.p("VPSLLD $28, %s, %s", value, z(5))
				body.p("VPERMPS %s, %s, %s", z(12), value, z(6))
				body.p("VPERMPS %s, %s, %s", z(13), value, z(4))
				body.p("VBLENDVPS %s, %s, %s, %s", z(5), z(4), z(6), z(6))
			case way == "gather" && r.lanes == 16:
				body.p("KXNORW K1, K1, K1")
				body.p("VGATHERDPS (R14)(%s*4), K1, %s", value, z(6))
			case way == "gather":
				body.p("VPCMPEQD %s, %s, %s", z(5), z(5), z(5))
				body.p("VGATHERDPS %s, (R14)(%s*4), %s", z(5), value, z(6))
			default:
				body.p("VCVTDQ2PS %s, %s", value, z(6))
			}
			body.p("VSUBPS %s, %s, %s", zero, z(6), z(6))
			body.p("VMULPS %s, %s, %s", scale, z(6), z(6))
			body.p("VADDPS %s, %s, %s", offset, z(6), z(6))
			body.p("VMOVUPS %s, %d(DI)", z(6), k*64+h*32)
		}
	}
	for v := 1; v < 256; v++ { // in order: the same text every time
		if i, ok := masks[v]; ok {
			o.p("MOVL $%d, CX", v)
			if r.lanes == 16 {
				o.p("VPBROADCASTD CX, %s", z(i))
			} else {
				o.p("VMOVD CX, X%d", i)
				o.p("VPBROADCASTD X%d, %s", i, z(i))
			}
		}
	}
	if way == "perm" && r.lanes == 16 {
		o.p("VMOVUPS (R14), Z31")
	} else if way == "perm" {
		o.p("VMOVUPS (R14), %s", z(12))
		o.p("VMOVUPS 32(R14), %s", z(13))
	}
	o.label("group")
	if r.lanes == 16 {
		o.p("VMOVUPS (R10), Z28")
		o.p("VMOVUPS (R11), Z29")
		o.p("VMOVUPS (R12), Z30")
	}
	o.p("MOVQ R8, CX")
	o.label("tile")
	o.WriteString(body.String())
	o.p("ADDQ $%d, SI", 16*bits)
	o.p("ADDQ $512, DI")
	o.p("DECQ CX")
	o.p("JNZ tile")
	o.p("ADDQ R13, R10")
	o.p("ADDQ BX, R11")
	o.p("ADDQ DX, R12")
	o.p("DECQ R9")
	o.p("JNZ group")
	o.p("VZEROUPPER")
	o.p("RET")
}

// numbers prints the decoders of scales and offsets, lines of 16: DI dst, SI src, CX lines, R10 super.
func numbers(o *out) {
	for _, f := range []struct {
		name string
		size int // bytes of a number
		body func(h int)
	}{
		{"F16", 2, func(h int) { o.p("VCVTPH2PS %d(SI), Y0", 16*h) }},
		{"BF16", 2, func(h int) {
			o.p("VPMOVZXWD %d(SI), Y0", 16*h)
			o.p("VPSLLD $16, Y0, Y0")
		}},
		{"E8M0", 1, func(h int) { // 2^-127 is subnormal
			o.p("VPMOVZXBD %d(SI), Y0", 8*h)
			o.p("VPCMPEQD Y0, Y2, Y1")
			o.p("VPAND Y1, Y3, Y1")
			o.p("VPSLLD $23, Y0, Y0")
			o.p("VPOR Y1, Y0, Y0")
		}},
		{"Product", 1, func(h int) {
			o.p("VPMOVSXBD %d(SI), Y0", 8*h)
			o.p("VCVTDQ2PS Y0, Y0")
			o.p("VMULPS %d(R10), Y0, Y0", 32*h)
		}},
	} {
		o.text("numbers"+f.name+"AVX2", "a *numbersArgs", "lines of 16 numbers as float32.")
		o.load("numbersArgs", "dst", "DI", "src", "SI", "lines", "CX", "super", "R10")
		if f.name == "E8M0" {
			o.p("VPXOR Y2, Y2, Y2")
			o.p("MOVL $0x400000, AX")
			o.p("VMOVD AX, X3")
			o.p("VPBROADCASTD X3, Y3")
		}
		o.label("line")
		for h := range 2 {
			f.body(h)
			o.p("VMOVUPS Y0, %d(DI)", 32*h)
		}
		o.p("ADDQ $64, DI")
		o.p("ADDQ $%d, SI", 16*f.size)
		o.p("DECQ CX")
		o.p("JNZ line")
		o.p("VZEROUPPER")
		o.p("RET")
	}
}
