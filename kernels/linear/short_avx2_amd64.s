//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// PAIR: sums of one row of x, 2 k at (R), with the weights in Y12 and Y13.
#define PAIR(i, R, A0, A1) \
	VPBROADCASTD (i*4)(R), Y14; \
	VPMADDWD Y12, Y14, Y15; \
	VPMADDWD Y13, Y14, Y14; \
	VPADDD Y15, A0, A0; \
	VPADDD Y14, A1, A1

#define STEP(i) \
	VMOVDQU (i*64)(SI), Y12; \
	VMOVDQU (i*64+32)(SI), Y13; \
	PAIR(i, R8, Y0, Y1); \
	PAIR(i, R9, Y2, Y3); \
	PAIR(i, R10, Y4, Y5)

// ADD the sum of a span.
#define ADD(S, A) \
	VCVTDQ2PS S, S; \
	VADDPS S, A, A

// STORE: row i of y.
#define STORE(i, A0, A1) \
	MOVQ (i*8)(R8), AX; \
	ADDQ R9, AX; \
	VBROADCASTSS (i*4)(R10), Y14; \
	VMULPS Y14, A0, A0; \
	VMULPS Y14, A1, A1; \
	VMULPS Y12, A0, A0; \
	VMULPS Y13, A1, A1; \
	VMOVUPS A0, (AX); \
	VMOVUPS A1, 32(AX)

// func shortsAVX2(a *shortArgs)
// Row i has the sums of a span in Y(2i), Y(2i+1), all in Y(6+2i), Y(7+2i).
TEXT ·shortsAVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), DI
	MOVQ shortArgs_w(DI), SI
	MOVQ shortArgs_spans(DI), CX
	MOVQ shortArgs_x(DI), R8
	MOVQ shortArgs_kp(DI), AX
	LEAQ (R8)(AX*1), R9
	LEAQ (R8)(AX*2), R10
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	VPXOR Y8, Y8, Y8
	VPXOR Y9, Y9, Y9
	VPXOR Y10, Y10, Y10
	VPXOR Y11, Y11, Y11

span:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
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
	ADD(Y0, Y6)
	ADD(Y1, Y7)
	ADD(Y2, Y8)
	ADD(Y3, Y9)
	ADD(Y4, Y10)
	ADD(Y5, Y11)
	ADDQ $1024, SI
	ADDQ $64, R8
	ADDQ $64, R9
	ADDQ $64, R10
	DECQ CX
	JNZ span

	MOVQ shortArgs_wscale(DI), AX
	VMOVUPS (AX), Y12
	VMOVUPS 32(AX), Y13
	MOVQ shortArgs_y(DI), R8
	MOVQ shortArgs_at(DI), R9
	MOVQ shortArgs_scale(DI), R10
	STORE(0, Y6, Y7)
	STORE(1, Y8, Y9)
	STORE(2, Y10, Y11)
	VZEROUPPER
	RET

// func roundShortsAVX2(dst *int16, x *float32, lines int, inv float32)
TEXT ·roundShortsAVX2(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ lines+16(FP), CX
	VBROADCASTSS inv+24(FP), Y0

line:
	VMULPS (SI), Y0, Y1
	VMULPS 32(SI), Y0, Y2
	VCVTPS2DQ Y1, Y1
	VCVTPS2DQ Y2, Y2
	VPACKSSDW Y2, Y1, Y1
	VPERMQ $0xd8, Y1, Y1
	VMOVDQU Y1, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ line
	VZEROUPPER
	RET
