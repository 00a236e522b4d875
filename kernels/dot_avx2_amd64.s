//go:build !purego

#include "textflag.h"

// F32 dotRows with FMA on 8 lanes: the registers of dot_avx512_amd64.s, a
// block of 16 columns as two halves. Same order, so the same bits as AVX-512.

#define ARGS \
	MOVQ c+0(FP), DX; \
	MOVQ ldc+8(FP), R11; \
	MOVQ lda+24(FP), R8; \
	MOVQ b+32(FP), DI

#define BLOCK \
	MOVQ a+16(FP), AX; \
	LEAQ (AX)(R8*2), R9; \
	ADDQ R8, R9; \
	LEAQ (DX)(R11*2), R12; \
	ADDQ R11, R12; \
	MOVQ DI, BX; \
	MOVQ k+56(FP), CX

#define NEXTBLOCK \
	ADDQ $64, DX; \
	ADDQ stride+40(FP), DI; \
	DECQ nb+48(FP)

// func dotF32x1AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotF32x1AVX2(SB), NOSPLIT, $0-64
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Y0
	VMOVUPS 32(DX), Y1
loop:
	VBROADCASTSS (AX), Y8
	VFMADD231PS (BX), Y8, Y0
	VFMADD231PS 32(BX), Y8, Y1
	ADDQ $4, AX
	ADDQ $64, BX
	DECQ CX
	JNZ loop
	VMOVUPS Y0, (DX)
	VMOVUPS Y1, 32(DX)
	NEXTBLOCK
	JNZ block
	VZEROUPPER
	RET

// func dotF32x4AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotF32x4AVX2(SB), NOSPLIT, $0-64
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Y0
	VMOVUPS 32(DX), Y1
	VMOVUPS (DX)(R11*1), Y2
	VMOVUPS 32(DX)(R11*1), Y3
	VMOVUPS (DX)(R11*2), Y4
	VMOVUPS 32(DX)(R11*2), Y5
	VMOVUPS (R12), Y6
	VMOVUPS 32(R12), Y7
loop:
	VMOVUPS (BX), Y12
	VMOVUPS 32(BX), Y13
	VBROADCASTSS (AX), Y8
	VBROADCASTSS (AX)(R8*1), Y9
	VBROADCASTSS (AX)(R8*2), Y10
	VBROADCASTSS (R9), Y11
	VFMADD231PS Y12, Y8, Y0
	VFMADD231PS Y13, Y8, Y1
	VFMADD231PS Y12, Y9, Y2
	VFMADD231PS Y13, Y9, Y3
	VFMADD231PS Y12, Y10, Y4
	VFMADD231PS Y13, Y10, Y5
	VFMADD231PS Y12, Y11, Y6
	VFMADD231PS Y13, Y11, Y7
	ADDQ $4, AX
	ADDQ $4, R9
	ADDQ $64, BX
	DECQ CX
	JNZ loop
	VMOVUPS Y0, (DX)
	VMOVUPS Y1, 32(DX)
	VMOVUPS Y2, (DX)(R11*1)
	VMOVUPS Y3, 32(DX)(R11*1)
	VMOVUPS Y4, (DX)(R11*2)
	VMOVUPS Y5, 32(DX)(R11*2)
	VMOVUPS Y6, (R12)
	VMOVUPS Y7, 32(R12)
	NEXTBLOCK
	JNZ block
	VZEROUPPER
	RET
