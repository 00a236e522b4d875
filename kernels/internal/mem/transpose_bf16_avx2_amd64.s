//go:build !purego

#include "textflag.h"

// PAIR: 4 bfloat16 of rows i and i+4, widened, a half of Y each.
#define PAIR(i, Y, X) \
	MOVQ (i*8)(BX), AX; \
	VPMOVZXWD (AX)(R8*1), X; \
	MOVQ (i*8+32)(BX), AX; \
	VPMOVZXWD (AX)(R8*1), X4; \
	VINSERTF128 $1, X4, Y, Y; \
	VPSLLD $16, Y, Y

// func transpose8BF16AVX2(t *float32, rows *[8]*byte, n int)
// Line k of the transpose of 8 rows of 4n goes to t + 64k.
TEXT ·transpose8BF16AVX2(SB), NOSPLIT, $0-24
	MOVQ t+0(FP), DI
	MOVQ rows+8(FP), BX
	MOVQ n+16(FP), CX
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
	VMOVUPS Y1, 64(DI)
	VMOVUPS Y2, 128(DI)
	VMOVUPS Y3, 192(DI)
	ADDQ $256, DI
	ADDQ $8, R8
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET
