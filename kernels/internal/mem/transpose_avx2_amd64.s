//go:build !purego

#include "textflag.h"

// PAIR: 4 values of rows i and i+4, a half of Y each.
#define PAIR(i, Y, X) \
	MOVQ (i*8)(BX), AX; \
	VMOVUPS (AX)(R8*1), X; \
	MOVQ (i*8+32)(BX), AX; \
	VINSERTF128 $1, (AX)(R8*1), Y, Y

// func Transpose8AVX2(t *float32, rows *[8]*float32, n, class, line int)
// Line k of the transpose of 8 rows of 4n goes to t + k%4*class + k/4*line, in bytes.
TEXT ·Transpose8AVX2(SB), NOSPLIT, $0-40
	MOVQ t+0(FP), DI
	MOVQ rows+8(FP), BX
	MOVQ n+16(FP), CX
	MOVQ class+24(FP), R9
	MOVQ line+32(FP), R10
	LEAQ (R9)(R9*2), R11
	XORQ R8, R8

loop:
	PAIR(0, Y0, X0)
	PAIR(1, Y1, X1)
	PAIR(2, Y2, X2)
	PAIR(3, Y3, X3)
	VUNPCKLPS Y1, Y0, Y4
	VUNPCKHPS Y1, Y0, Y5
	VUNPCKLPS Y3, Y2, Y6
	VUNPCKHPS Y3, Y2, Y7
	VUNPCKLPD Y6, Y4, Y0
	VUNPCKHPD Y6, Y4, Y1
	VUNPCKLPD Y7, Y5, Y2
	VUNPCKHPD Y7, Y5, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, (DI)(R9*1)
	VMOVUPS Y2, (DI)(R9*2)
	VMOVUPS Y3, (DI)(R11*1)
	ADDQ R10, DI
	ADDQ $16, R8
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET
