package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// lanes8 prints functions of 8 lanes of float32, the steps of the twins of kernels/elem one by one.
// Constants lie in memory, repeated 8 times; they are printed last.
type lanes8 struct {
	*out
	constants []string
	values    map[string]uint32
}

// c names a constant in memory.
func (o *lanes8) c(name string, v float64) string { return o.bits(name, math.Float32bits(float32(v))) }

func (o *lanes8) bits(name string, b uint32) string {
	if old, ok := o.values[name]; !ok {
		o.constants = append(o.constants, name)
		o.values[name] = b
	} else if old != b {
		panic("two values of " + name)
	}
	return name + "<>(SB)"
}

func (o *lanes8) printConstants() {
	for _, name := range o.constants {
		fmt.Fprintln(o)
		for i := 0; i < 32; i += 8 {
			fmt.Fprintf(o, "DATA %s<>+%d(SB)/8, $0x%08[3]x%08[3]x\n", name, i, o.values[name])
		}
		fmt.Fprintf(o, "GLOBL %s<>(SB), RODATA|NOPTR, $32\n", name)
	}
}

// lines prints instructions, one a line.
func (o *lanes8) lines(text string) {
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		o.p("%s", strings.TrimSpace(l))
	}
}

// exp: Y3 = exp(Y1), see exp32. Spoils Y1, Y2, Y4.
func (o *lanes8) exp() { o.exponential("Y1", "Y2", "Y3", "Y4", false) }

// exponential: p = exp(a), of which a, n and m are spoiled; loose says that p is any number where a is NaN, in fewer steps. VMINPS gives a when that is NaN.
func (o *lanes8) exponential(a, n, p, m string, loose bool) {
	r := strings.NewReplacer("A,", a+",", "N,", n+",", "P,", p+",", "M,", m+",", " A;", " "+a, " N;", " "+n, " P;", " "+p, " M;", " "+m)
	steps := func(text string, constants ...any) { o.lines(r.Replace(fmt.Sprintf(text, constants...))) }
	steps(`VCMPPS $5, %s, A, M;
		VMOVUPS %s, N;
		VMINPS A, N, A;
		VMULPS %s, A, N;
		VROUNDPS $8, N, N;
		VMULPS %s, N, P;
		VSUBPS P, A, A;
		VMULPS %s, N, P;
		VSUBPS P, A, A;`, o.c("expLeast", -87), o.c("expMost", 89), o.c("expLog2e", 1.44269504), o.c("expHi", 0.693115234375), o.c("expLo", 3.194618494529e-05))
	o.horner(p, a, "exp", 0.0013926183587568192, 0.00836317905270155, 0.04166655461720603, 0.16666576989699006, 0.5)
	steps(`VMULPS A, P, P;
		VMULPS A, P, P;
		VADDPS A, P, P;
		VADDPS %s, P, P;
		VCVTPS2DQ N, N;`, o.c("one", 1))
	if loose { // 0.7 < p < 1.5, and n from -126 on if p > 1, else from -125, to 128: only infinity is no sum of exponents
		steps(`VPSLLD $23, N, N;
			VPADDD N, P, P;
			VPMINSD %s, P, P;
			VANDPS M, P, P;`, o.bits("infinity", 0x7f800000))
		return
	}
	bias := o.bits("expBias", 127)
	steps(`VPSRAD $1, N, A;
		VPSUBD A, N, N;
		VPADDD %s, A, A;
		VPSLLD $23, A, A;
		VMULPS A, P, P;
		VPADDD %s, N, N;
		VPSLLD $23, N, N;
		VMULPS N, P, P;
		VANDPS M, P, P;`, bias, bias)
}

// horner: p = ((c0*x + c1)*x + c2)*x ...
func (o *lanes8) horner(p, x, name string, c ...float64) {
	for i, v := range c {
		at := o.c(fmt.Sprintf("%s%d", name, i), v)
		switch i {
		case 0:
			o.p("VMULPS %s, %s, %s", at, x, p)
			continue
		case 1:
		default:
			o.p("VMULPS %s, %s, %s", x, p, p)
		}
		o.p("VADDPS %s, %s, %s", at, p, p)
	}
}

// gate: Y0 = x / (1 + exp(Y0)).
func (o *lanes8) gate() {
	o.exponential("Y0", "Y1", "Y2", "Y3", true)
	o.p("VADDPS %s, Y2, Y2", o.c("one", 1))
	o.p("VMOVUPS (SI), Y0")
	o.p("VDIVPS Y2, Y0, Y0")
}

func (o *lanes8) negate(from, to string) {
	o.p("VXORPS %s, %s, %s", o.bits("sign", 0x80000000), from, to)
}

// magnitude: to = |from|.
func (o *lanes8) magnitude(from, to string) {
	o.p("VANDPS %s, %s, %s", o.bits("magnitude", 0x7fffffff), from, to)
}

// unaries are the bodies of the functions of one value: Y0 = f(Y0), with Y1 to Y9 free, or, where vectors go side by side, Y1 to Y3 of four.
var unaries = []struct {
	name   string
	beside int
	body   func(o *lanes8)
}{
	{"exp", 4, func(o *lanes8) {
		o.exponential("Y0", "Y1", "Y2", "Y3", false)
		o.p("VMOVAPS Y2, Y0")
	}},
	{"sigmoid", 4, func(o *lanes8) {
		o.negate("Y0", "Y0")
		o.exponential("Y0", "Y1", "Y2", "Y3", false)
		o.p("VMOVUPS %s, Y0", o.c("one", 1))
		o.lines(`VADDPS Y0, Y2, Y2
			VDIVPS Y2, Y0, Y0`)
	}},
	{"silu", 4, func(o *lanes8) {
		o.negate("Y0", "Y0")
		o.gate()
	}},
	{"quickGELU", 4, func(o *lanes8) {
		o.p("VMULPS %s, Y0, Y0", o.c("quick", -1.702))
		o.gate()
	}},
	{"geluTanh", 4, func(o *lanes8) {
		o.p("VMULPS Y0, Y0, Y1")
		o.p("VMULPS %s, Y1, Y1", o.c("geluC2", 1.5957691216057308*0.044715))
		o.p("VADDPS %s, Y1, Y1", o.c("geluC1", 1.5957691216057308))
		o.p("VMULPS Y0, Y1, Y0")
		o.negate("Y0", "Y0")
		o.gate()
	}},
	// Y6 a, Y7 its piece in the low bits, Y8 r, Y9 what is taken off.
	{"gelu", 1, func(o *lanes8) {
		o.magnitude("Y0", "Y6")
		o.p("VMOVUPS %s, Y7", o.c("geluSteps", 1/float64(float32(0.75))))
		o.p("VMOVUPS %s, Y1", o.c("magic", 3<<22))
		o.lines(`VFMADD213PS Y1, Y6, Y7
			VSUBPS Y1, Y7, Y8`)
		o.p("VMOVUPS %s, Y1", o.c("geluStep", 0.75))
		o.p("VFNMADD213PS Y6, Y1, Y8")
		o.p("VPERMPS ·geluTable(SB), Y7, Y9")
		for i := 1; i < 7; i++ {
			o.p("VPERMPS ·geluTable+%d(SB), Y7, Y1", 32*i)
			o.p("VFMADD213PS Y1, Y8, Y9")
		}
		o.p("VCMPPS $1, %s, Y6, Y6", o.c("geluEnd", 5.625))
		o.lines(`VANDPS Y6, Y9, Y9
			VXORPS Y1, Y1, Y1
			VMAXPS Y0, Y1, Y0 // NaN stays, and -0
			VSUBPS Y9, Y0, Y0`)
	}},
	// Y6 a, Y7 result for small ones, Y8 z, Y9 the sign.
	{"tanh", 1, func(o *lanes8) {
		o.p("VANDPS %s, Y0, Y9", o.bits("sign", 0x80000000))
		o.magnitude("Y0", "Y6")
		o.p("VMULPS Y6, Y6, Y8")
		o.horner("Y7", "Y8", "tanhH", -0.006096714176237583, 0.020997179672122, -0.05385090783238411, 0.1333276927471161, -0.333333283662796)
		o.lines(`VMULPS Y8, Y7, Y7
			VMULPS Y6, Y7, Y7
			VADDPS Y6, Y7, Y7
			VADDPS Y6, Y6, Y1`)
		o.exp()
		o.p("VMOVUPS %s, Y0", o.c("one", 1))
		o.p("VADDPS Y0, Y3, Y3")
		o.p("VMOVUPS %s, Y1", o.c("two", 2))
		o.lines(`VDIVPS Y3, Y1, Y1
			VSUBPS Y1, Y0, Y0`)
		o.p("VCMPPS $1, %s, Y6, Y1", o.c("tanhEnd", 0.625))
		o.lines(`VBLENDVPS Y1, Y7, Y0, Y0
			VORPS Y9, Y0, Y0`)
	}},
	{"relu", 1, func(o *lanes8) { o.relu() }},
	{"relu6", 1, func(o *lanes8) { o.relu6() }},
	{"hardswish", 1, func(o *lanes8) {
		o.p("VMOVAPS Y0, Y3")
		o.p("VADDPS %s, Y0, Y0", o.c("three", 3))
		o.relu6()
		o.lines(`VMULPS Y0, Y3, Y0
			VDIVPS Y2, Y0, Y0`)
	}},
	{"hardsigmoid", 1, func(o *lanes8) {
		o.p("VADDPS %s, Y0, Y0", o.c("three", 3))
		o.relu6()
		o.p("VDIVPS Y2, Y0, Y0")
	}},
	{"neg", 1, func(o *lanes8) { o.negate("Y0", "Y0") }},
	{"abs", 1, func(o *lanes8) { o.magnitude("Y0", "Y0") }},
	{"sqrt", 1, func(o *lanes8) { o.p("VSQRTPS Y0, Y0") }},
	{"rsqrt", 1, func(o *lanes8) {
		o.p("VSQRTPS Y0, Y0")
		o.p("VMOVUPS %s, Y1", o.c("one", 1))
		o.p("VDIVPS Y0, Y1, Y0")
	}},
	{"relu2", 1, func(o *lanes8) {
		o.relu()
		o.p("VMULPS Y0, Y0, Y0")
	}},
}

// relu: Y0 = Y0, 0 where it is less. Spoils Y1.
func (o *lanes8) relu() {
	o.lines(`VXORPS Y1, Y1, Y1
		VCMPPS $5, Y1, Y0, Y1
		VANDPS Y1, Y0, Y0`)
}

// relu6: Y0 = relu, 6 where it is greater; NaN stays. Y2 is 6; spoils Y1.
func (o *lanes8) relu6() {
	o.relu()
	o.p("VMOVUPS %s, Y2", o.c("six", 6))
	o.p("VMINPS Y0, Y2, Y0")
}

// beside prints the steps of a function of n vectors side by side, of regs registers each: one after the other their chains of steps fill the scheduler.
func (o *lanes8) beside(n, regs int, body func(o *lanes8)) {
	one := &lanes8{out: &out{}, constants: o.constants, values: o.values}
	one.p("VMOVUPS (SI), Y0")
	body(one)
	one.p("VMOVUPS Y0, (DI)")
	o.constants = one.constants
	for line := range strings.Lines(one.String()) {
		for v := range n {
			o.WriteString(operands.ReplaceAllStringFunc(line, func(s string) string {
				if s[0] == '(' {
					return fmt.Sprintf("%d%s", 32*v, s)
				}
				i, _ := strconv.Atoi(s[1:])
				return fmt.Sprintf("Y%d", v*regs+i)
			}))
		}
	}
}

var operands = regexp.MustCompile(`\bY\d+|\((SI|DI)\)`)

// elementwise prints elem/each_avx2_amd64.s.
func elementwise() string {
	o := &lanes8{out: newFile(), values: map[string]uint32{}}
	o.WriteString("\n// n is a positive multiple of 8.\n")
	for _, f := range unaries {
		fmt.Fprintf(o, "\n// func %sAVX2(dst, x *float32, n int)\nTEXT ·%sAVX2(SB), NOSPLIT, $0-24\n", f.name, f.name)
		o.lines(`MOVQ dst+0(FP), DI
			MOVQ x+8(FP), SI
			MOVQ n+16(FP), CX`)
		if n := f.beside; n > 1 {
			o.p("SUBQ $%d, CX", 8*n)
			o.p("JLT few")
			o.label("many")
			o.beside(n, 16/n, f.body)
			o.p("ADDQ $%d, SI", 32*n)
			o.p("ADDQ $%d, DI", 32*n)
			o.p("SUBQ $%d, CX", 8*n)
			o.p("JGE many")
			o.label("few")
			o.p("ADDQ $%d, CX", 8*n)
			o.p("JZ done")
		}
		o.label("loop")
		o.beside(1, 16, f.body)
		o.lines(`ADDQ $32, SI
			ADDQ $32, DI
			SUBQ $8, CX
			JNZ loop`)
		if f.beside > 1 {
			o.label("done")
		}
		o.lines(`VZEROUPPER
			RET`)
	}
	o.rows()
	o.binaries()
	o.printConstants()
	return o.String()
}

// rows prints what rows need: sums in 16 lanes that go on from those at lane; n is a positive multiple of 16.
func (o *lanes8) rows() {
	sum := func(name, args string, size int, load string, each func(at int)) {
		fmt.Fprintf(o, "\n// func %s(%s)\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", name, args, name, size)
		o.lines(load)
		o.lines(`VMOVUPS (DX), Y10
			VMOVUPS 32(DX), Y11`)
		o.label("loop")
		each(0)
		each(1)
		o.p("ADDQ $64, SI")
		if strings.Contains(args, "dst") {
			o.p("ADDQ $64, DI")
		}
		o.lines(`SUBQ $16, CX
			JNZ loop
			VMOVUPS Y10, (DX)
			VMOVUPS Y11, 32(DX)
			VZEROUPPER
			RET`)
	}
	load := "MOVQ x+0(FP), SI\nMOVQ n+8(FP), CX\nMOVQ lane+16(FP), DX"
	sum("sumAVX2", "x *float32, n int, lane *float32", 24, load, func(i int) { o.p("VADDPS %d(SI), Y%d, Y%d", 32*i, 10+i, 10+i) })
	sum("sumSquaresAVX2", "x *float32, n int, lane *float32", 24, load, func(i int) {
		o.p("VMOVUPS %d(SI), Y0", 32*i)
		o.p("VMULPS Y0, Y0, Y0")
		o.p("VADDPS Y0, Y%d, Y%d", 10+i, 10+i)
	})
	sum("expSumAVX2", "dst, x *float32, n int, lane *float32, top float32", 36,
		"MOVQ dst+0(FP), DI\nMOVQ x+8(FP), SI\nMOVQ n+16(FP), CX\nMOVQ lane+24(FP), DX\nVBROADCASTSS top+32(FP), Y9", func(i int) {
			o.p("VMOVUPS %d(SI), Y1", 32*i)
			o.p("VSUBPS Y9, Y1, Y1")
			o.exp()
			o.p("VMOVUPS Y3, %d(DI)", 32*i)
			o.p("VADDPS Y3, Y%d, Y%d", 10+i, 10+i)
		})
	o.WriteString(`
// func topAVX2(x *float32, n int) float32
// n is a positive multiple of 8; NaNs are left out, -Inf if there is nothing else.
TEXT ·topAVX2(SB), NOSPLIT, $0-20
`)
	o.lines(`MOVQ x+0(FP), SI
		MOVQ n+8(FP), CX
		MOVL $0xff800000, AX
		VMOVD AX, X0
		VPBROADCASTD X0, Y0`)
	o.label("loop")
	o.lines(`VMOVUPS (SI), Y1
		VMAXPS Y0, Y1, Y0
		ADDQ $32, SI
		SUBQ $8, CX
		JNZ loop
		VEXTRACTF128 $1, Y0, X1
		VMAXPS X1, X0, X0
		VPERMILPS $0x4e, X0, X1
		VMAXPS X1, X0, X0
		VPERMILPS $0xb1, X0, X1
		VMAXPS X1, X0, X0
		VMOVSS X0, ret+16(FP)
		VZEROUPPER
		RET`)
	o.WriteString(`
// func decode8AVX2(dst *float32, x *byte, n int, zero int32, scale float32)
// n is a positive multiple of 8.
TEXT ·decode8AVX2(SB), NOSPLIT, $0-32
`)
	o.lines(`MOVQ dst+0(FP), DI
		MOVQ x+8(FP), SI
		MOVQ n+16(FP), CX
		MOVL zero+24(FP), AX
		VMOVD AX, X2
		VPBROADCASTD X2, Y2
		VBROADCASTSS scale+28(FP), Y3
		XORQ AX, AX`)
	o.label("loop")
	o.lines(`VPMOVZXBD (SI)(AX*1), Y0
		VPSUBD Y2, Y0, Y0
		VCVTDQ2PS Y0, Y0
		VMULPS Y3, Y0, Y0
		VMOVUPS Y0, (DI)(AX*4)
		ADDQ $8, AX
		CMPQ AX, CX
		JB loop
		VZEROUPPER
		RET`)
	o.WriteString(`
// func normRowAVX2(dst, x, w *float32, n int, inv, offset float32)
// n is a positive multiple of 8.
TEXT ·normRowAVX2(SB), NOSPLIT, $0-40
`)
	o.lines(`MOVQ dst+0(FP), DI
		MOVQ x+8(FP), SI
		MOVQ w+16(FP), DX
		MOVQ n+24(FP), CX
		VBROADCASTSS inv+32(FP), Y2
		VBROADCASTSS offset+36(FP), Y3
		XORQ AX, AX`)
	o.label("loop")
	o.lines(`VMULPS (SI)(AX*4), Y2, Y0
		VADDPS (DX)(AX*4), Y3, Y1
		VMULPS Y1, Y0, Y0
		VMOVUPS Y0, (DI)(AX*4)
		ADDQ $8, AX
		CMPQ AX, CX
		JB loop
		VZEROUPPER
		RET`)
}

// binaries prints functions of two values. Where the step of an operand is 0 its one value is repeated, from the stack.
func (o *lanes8) binaries() {
	for _, f := range []struct{ name, op string }{{"add", "VADDPS"}, {"sub", "VSUBPS"}, {"mul", "VMULPS"}, {"div", "VDIVPS"}} {
		fmt.Fprintf(o, "\n// func %sStepsAVX2(dst, a, b *float32, n, sa, sb int)\n", f.name)
		o.WriteString("// n is a positive multiple of 8; sa and sb are 32, the bytes to the next 8 operands, or 0 for one that is repeated.\n")
		fmt.Fprintf(o, "TEXT ·%sStepsAVX2(SB), NOSPLIT, $64-48\n", f.name)
		o.lines(`MOVQ dst+0(FP), DI
			MOVQ a+8(FP), SI
			MOVQ b+16(FP), DX
			MOVQ n+24(FP), CX
			MOVQ sa+32(FP), R8
			MOVQ sb+40(FP), R9
			TESTQ R8, R8
			JNZ many
			VBROADCASTSS (SI), Y0
			VMOVUPS Y0, one-64(SP)
			LEAQ one-64(SP), SI`)
		o.label("many")
		o.lines(`TESTQ R9, R9
			JNZ loop
			VBROADCASTSS (DX), Y0
			VMOVUPS Y0, two-32(SP)
			LEAQ two-32(SP), DX`)
		o.label("loop")
		o.p("VMOVUPS (SI), Y0")
		o.p("%s (DX), Y0, Y0", f.op)
		o.lines(`VMOVUPS Y0, (DI)
			ADDQ R8, SI
			ADDQ R9, DX
			ADDQ $32, DI
			SUBQ $8, CX
			JNZ loop
			VZEROUPPER
			RET`)
	}
}
