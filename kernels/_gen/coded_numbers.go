package main

// Scales, offsets and zeros of groups, and what ends sums.

// numbers prints the decoders of scales, offsets and zeros, lines of 16: DI dst, SI src, CX lines, R10 super.
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
		{"U8", 1, func(h int) {
			o.p("VPMOVZXBD %d(SI), Y0", 8*h)
			o.p("VCVTDQ2PS Y0, Y0")
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

// merge prints what adds sums of a group times its scales to results: SI sums, DI results, DX scales, R8 rows.
func merge(o *out) {
	o.text("mergeAVX2", "a *mergeArgs", "16 columns of 32.")
	o.load("mergeArgs", "c", "DI", "sum", "SI", "scale", "DX", "rows", "R8")
	for h := range 2 {
		o.p("VMOVUPS %d(DX), Y%d", 32*h, 4+h)
	}
	o.p("VPXOR Y6, Y6, Y6")
	o.label("row")
	for h := range 2 {
		o.p("VMOVUPS %d(DI), Y%d", 32*h, h)
		o.p("VFMADD231PS %d(SI), Y%d, Y%d", 32*h, 4+h, h)
		o.p("VMOVUPS Y%d, %d(DI)", h, 32*h)
		o.p("VMOVUPS Y6, %d(SI)", 32*h)
	}
	o.p("ADDQ $128, SI")
	o.p("ADDQ $128, DI")
	o.p("DECQ R8")
	o.p("JNZ row")
	o.p("VZEROUPPER")
	o.p("RET")
}

// finish prints what makes results of sums: SI sums, DI results, DX scales, R10 bias or 0, BX bytes from row to row, R8 rows, R9 whether to add.
func finish(o *out) {
	o.text("finishAVX2", "a *finishArgs", "16 columns.")
	o.load("finishArgs", "c", "SI", "y", "DI", "scale", "DX", "bias", "R10", "ldy", "BX", "rows", "R8", "add", "R9", "lds", "R11", "ldb", "R12")
	o.label("row")
	o.p("VBROADCASTSS (DX), Y2")
	for h := range 2 {
		o.p("VMULPS %d(SI), Y2, Y%d", 32*h, h)
	}
	o.p("TESTQ R10, R10")
	o.p("JZ plain")
	for h := range 2 {
		o.p("VADDPS %d(R10), Y%d, Y%d", 32*h, h, h)
	}
	o.label("plain")
	o.p("TESTQ R9, R9")
	o.p("JZ store")
	for h := range 2 {
		o.p("VADDPS %d(DI), Y%d, Y%d", 32*h, h, h)
	}
	o.label("store")
	for h := range 2 {
		o.p("VMOVUPS Y%d, %d(DI)", h, 32*h)
	}
	o.p("ADDQ $64, SI")
	o.p("ADDQ R11, DX")
	o.p("ADDQ BX, DI")
	o.p("ADDQ R12, R10 // what is nil stays so: its step is 0")
	o.p("DECQ R8")
	o.p("JNZ row")
	o.p("VZEROUPPER")
	o.p("RET")
}
