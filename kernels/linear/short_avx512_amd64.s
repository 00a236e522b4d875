//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// PAIR: sums of one row of x, 2 k at (R), with the weights in Z24 and Z25.
#define PAIR(i, R, A0, A1, T) \
	VPBROADCASTD (i*4)(R), T; \
	VPDPWSSD Z24, T, A0; \
	VPDPWSSD Z25, T, A1

#define STEP(i) \
	VMOVDQU32 (i*64)(SI), Z24; \
	VMOVDQU32 (i*64)(BX), Z25; \
	PAIR(i, R8, Z0, Z1, Z26); \
	PAIR(i, R9, Z2, Z3, Z27); \
	PAIR(i, R10, Z4, Z5, Z28); \
	PAIR(i, R11, Z6, Z7, Z29); \
	PAIR(i, R12, Z8, Z9, Z30); \
	PAIR(i, R13, Z10, Z11, Z31)

// ADD the sum of a span.
#define ADD(S, A) \
	VCVTDQ2PS S, S; \
	VADDPS S, A, A

// STORE: row i of y.
#define STORE(i, A0, A1) \
	MOVQ (i*8)(R8), AX; \
	ADDQ R9, AX; \
	VBROADCASTSS (i*4)(R10), Z26; \
	VMULPS Z26, A0, A0; \
	VMULPS Z26, A1, A1; \
	VMULPS Z24, A0, A0; \
	VMULPS Z25, A1, A1; \
	VMOVUPS A0, (AX); \
	VMOVUPS A1, 64(AX)

// func shortsAVX512(a *shortArgs)
// Row i has the sums of a span in Z(2i), Z(2i+1), all in Z(12+2i), Z(13+2i).
TEXT ·shortsAVX512(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), DI
	MOVQ shortArgs_w(DI), SI
	MOVQ shortArgs_panel(DI), BX
	ADDQ SI, BX
	MOVQ shortArgs_spans(DI), CX
	MOVQ shortArgs_x(DI), R8
	MOVQ shortArgs_kp(DI), AX
	LEAQ (R8)(AX*1), R9
	LEAQ (R8)(AX*2), R10
	LEAQ (R9)(AX*2), R11
	LEAQ (R10)(AX*2), R12
	LEAQ (R11)(AX*2), R13
	VPXORD Z12, Z12, Z12
	VPXORD Z13, Z13, Z13
	VPXORD Z14, Z14, Z14
	VPXORD Z15, Z15, Z15
	VPXORD Z16, Z16, Z16
	VPXORD Z17, Z17, Z17
	VPXORD Z18, Z18, Z18
	VPXORD Z19, Z19, Z19
	VPXORD Z20, Z20, Z20
	VPXORD Z21, Z21, Z21
	VPXORD Z22, Z22, Z22
	VPXORD Z23, Z23, Z23

span:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	VPXORD Z8, Z8, Z8
	VPXORD Z9, Z9, Z9
	VPXORD Z10, Z10, Z10
	VPXORD Z11, Z11, Z11
	STEP(0)
	STEP(1)
	STEP(2)
	STEP(3)
	STEP(4)
	STEP(5)
	STEP(6)
	STEP(7)
	STEP(8)
	STEP(9)
	STEP(10)
	STEP(11)
	STEP(12)
	STEP(13)
	STEP(14)
	STEP(15)
	ADD(Z0, Z12)
	ADD(Z1, Z13)
	ADD(Z2, Z14)
	ADD(Z3, Z15)
	ADD(Z4, Z16)
	ADD(Z5, Z17)
	ADD(Z6, Z18)
	ADD(Z7, Z19)
	ADD(Z8, Z20)
	ADD(Z9, Z21)
	ADD(Z10, Z22)
	ADD(Z11, Z23)
	ADDQ $1024, SI
	ADDQ $1024, BX
	ADDQ $64, R8
	ADDQ $64, R9
	ADDQ $64, R10
	ADDQ $64, R11
	ADDQ $64, R12
	ADDQ $64, R13
	DECQ CX
	JNZ span

	MOVQ shortArgs_wscale(DI), AX
	VMOVUPS (AX), Z24
	VMOVUPS 64(AX), Z25
	MOVQ shortArgs_y(DI), R8
	MOVQ shortArgs_at(DI), R9
	MOVQ shortArgs_scale(DI), R10
	STORE(0, Z12, Z13)
	STORE(1, Z14, Z15)
	STORE(2, Z16, Z17)
	STORE(3, Z18, Z19)
	STORE(4, Z20, Z21)
	STORE(5, Z22, Z23)
	VZEROUPPER
	RET

// func roundShortsAVX512(dst *int16, x *float32, lines int, inv float32)
TEXT ·roundShortsAVX512(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ lines+16(FP), CX
	VBROADCASTSS inv+24(FP), Z0

line:
	VMULPS (SI), Z0, Z1
	VCVTPS2DQ Z1, Z1
	VPMOVSDW Z1, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ line
	VZEROUPPER
	RET
