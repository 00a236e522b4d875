package main

import (
	"fmt"
	"math"
)

// siluConstants are those of exp32 of kernels/elem and of SiLU; the first eight lie in Z24..Z31.
var siluConstants = []struct {
	name  string
	value float64
}{
	{"sign", math.Copysign(0, -1)}, {"most", 89}, {"least", 87}, {"one", 1}, {"log2e", 1.44269504}, {"hi", 0.693115234375}, {"lo", 3.194618494529e-05},
	{"e6", 0.0013926183587568192}, {"e5", 0.00836317905270155}, {"e4", 0.04166655461720603}, {"e3", 0.16666576989699006}, {"e2", 0.5},
}

// siluAVX512 prints the subroutine silu8: DI = x / (1 + exp(-x)) for CX > 0 vectors at SI, eight at a time even where that is more than there are; it moves both. The steps are those
// of exp32. One vector after the other would leave the units idle, so long is the chain of its steps, and one step of all after the other would use half of the units at a time,
// since sums and products alternate: four vectors are two steps behind the other four.
//
// Of vector i: -x, then x in Zi, n in Z(8+i), the result in Z(16+i).
func siluAVX512(o *out) {
	at := map[string]string{}
	fmt.Fprintf(o, "\n// silu8 is DI = SiLU(SI) of CX > 0 vectors, eight at a time.\nTEXT silu8<>(SB), NOSPLIT|NOFRAME, $0-0\n")
	for i, c := range siluConstants {
		fmt.Fprintf(&o.data, "DATA silu<>+%d(SB)/4, $0x%08x // %s\n", 4*i, math.Float32bits(float32(c.value)), c.name)
		if at[c.name] = fmt.Sprintf("silu<>+%d(SB)", 4*i); i < 8 {
			o.p("VBROADCASTSS %s, Z%d", at[c.name], 24+i)
			at[c.name] = fmt.Sprintf("Z%d", 24+i)
		}
	}
	fmt.Fprintf(&o.data, "GLOBL silu<>(SB), RODATA|NOPTR, $%d\n", 4*len(siluConstants))
	// 1 x, 2 n, 3 the result, 4 where the vector is, 5 a mask
	steps := []string{
		"VPXORD %[4]d(SI), " + at["sign"] + ", Z%[1]d",
		"VMINPS Z%[1]d, " + at["most"] + ", Z%[1]d // NaN stays",
		"VMULPS " + at["log2e"] + ", Z%[1]d, Z%[2]d",
		"VRNDSCALEPS $8, Z%[2]d, Z%[2]d",
		"VMULPS " + at["hi"] + ", Z%[2]d, Z%[3]d",
		"VSUBPS Z%[3]d, Z%[1]d, Z%[1]d",
		"VMULPS " + at["lo"] + ", Z%[2]d, Z%[3]d",
		"VSUBPS Z%[3]d, Z%[1]d, Z%[1]d",
		"VMULPS " + at["e6"] + ", Z%[1]d, Z%[3]d",
	}
	for _, e := range []string{"e5", "e4", "e3", "e2"} {
		steps = append(steps, "VADDPS.BCST "+at[e]+", Z%[3]d, Z%[3]d", "VMULPS Z%[1]d, Z%[3]d, Z%[3]d")
	}
	steps = append(steps,
		"VMULPS Z%[1]d, Z%[3]d, Z%[3]d",
		"VADDPS Z%[1]d, Z%[3]d, Z%[3]d",
		"VMOVUPS %[4]d(SI), Z%[1]d",
		"VADDPS "+at["one"]+", Z%[3]d, Z%[3]d",
		"VCMPPS $10, "+at["least"]+", Z%[1]d, K%[5]d // not greater, or NaN",
		"VSCALEFPS.Z Z%[2]d, Z%[3]d, K%[5]d, Z%[3]d",
		"VADDPS "+at["one"]+", Z%[3]d, Z%[3]d",
		"VDIVPS Z%[3]d, Z%[1]d, Z%[1]d",
		"VMOVUPS Z%[1]d, %[4]d(DI)",
	)
	o.label("eight")
	for s := range len(steps) + 2 {
		for v := range 4 {
			for _, at := range []int{s, s - 2} {
				if at >= 0 && at < len(steps) {
					o.p(steps[at], v, 8+v, 16+v, 64*v, 1+v%7)
				}
				v += 4
			}
		}
	}
	o.p("ADDQ $512, SI")
	o.p("ADDQ $512, DI")
	o.p("SUBQ $8, CX")
	o.p("JG eight")
	o.p("RET")
}

// siluFile is SiLU for kernels/elem.
func siluFile() string {
	o := newFile()
	siluAVX512(o)
	o.WriteString("\n// func siluAVX512(dst, x *float32, vectors int)\n// vectors is a positive multiple of 8.\nTEXT ·siluAVX512(SB), NOSPLIT, $0-24\n")
	o.p("MOVQ dst+0(FP), DI")
	o.p("MOVQ x+8(FP), SI")
	o.p("MOVQ vectors+16(FP), CX")
	o.p("CALL silu8<>(SB)")
	o.p("VZEROUPPER")
	o.p("RET")
	return o.whole()
}
