//go:build !purego

#include "textflag.h"

// func groupErrorAVX512(t, imp *float32, k int, inv, lo, hi, step, err *lanes)
// A lane is a row; see groupErrorGeneric for the sum. Z0 inv, Z1 lo, Z2 hi,
// Z3 step, Z4 err; Z5..Z7 one k.
TEXT ·groupErrorAVX512(SB), NOSPLIT, $0-64
	MOVQ t+0(FP), SI
	MOVQ imp+8(FP), DI
	MOVQ k+16(FP), CX
	MOVQ inv+24(FP), AX
	VMOVUPS (AX), Z0
	MOVQ lo+32(FP), AX
	VMOVUPS (AX), Z1
	MOVQ hi+40(FP), AX
	VMOVUPS (AX), Z2
	MOVQ step+48(FP), AX
	VMOVUPS (AX), Z3
	VPXORD Z4, Z4, Z4

loop:
	VMOVUPS (SI), Z5
	VMULPS Z0, Z5, Z6
	VMAXPS Z1, Z6, Z6
	VMINPS Z2, Z6, Z6
	VRNDSCALEPS $0, Z6, Z6 // ties to even
	VMULPS Z3, Z6, Z6
	VSUBPS Z6, Z5, Z5      // d = v - c*step
	VMULPS Z5, Z5, Z5
	VMULPS.BCST (DI), Z5, Z5
	VADDPS Z5, Z4, Z4
	ADDQ $64, SI
	ADDQ $4, DI
	DECQ CX
	JNZ loop

	MOVQ err+56(FP), AX
	VMOVUPS Z4, (AX)
	VZEROUPPER
	RET
