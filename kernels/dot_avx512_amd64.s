//go:build !purego

#include "textflag.h"

// Inner loops of float linear layers and attention; dotRowsGeneric says what
// they compute. A function takes 1, 2, 4 or 8 rows of a; ldc, lda and stride
// are in bytes.
//
//	AX, R9, R10  row 0, 3, 6 of a at the present k    R8   lda
//	DX, R12, R13 row 0, 3, 6 of c                     R11  ldc
//	DI, BX       block of b, present row of it        CX   k left
//	Z0..Z7       sums of rows 0..7 (BF16: e)          Z8..Z15 o
//	Z24          row of b; Z25, Z26 its even and odd k; Z27 mask of odd k

#define ARGS \
	MOVQ c+0(FP), DX; \
	MOVQ ldc+8(FP), R11; \
	MOVQ lda+24(FP), R8; \
	MOVQ b+32(FP), DI

#define BLOCK \
	MOVQ a+16(FP), AX; \
	LEAQ (AX)(R8*2), R9; \
	ADDQ R8, R9; \
	LEAQ (R9)(R8*2), R10; \
	ADDQ R8, R10; \
	LEAQ (DX)(R11*2), R12; \
	ADDQ R11, R12; \
	LEAQ (R12)(R11*2), R13; \
	ADDQ R11, R13; \
	MOVQ DI, BX; \
	MOVQ k+56(FP), CX

#define NEXTBLOCK \
	ADDQ $64, DX; \
	ADDQ stride+40(FP), DI; \
	DECQ nb+48(FP)

#define ADVANCE(n) \
	ADDQ $n, AX; \
	ADDQ $n, R9; \
	ADDQ $n, R10

// FMA of row r with the row of b in B: a[r][off/4] * B.
#define ROW1(off, B, S0) \
	VFMADD231PS.BCST off(AX), B, S0
#define ROW2(off, B, S0, S1) \
	ROW1(off, B, S0); \
	VFMADD231PS.BCST off(AX)(R8*1), B, S1
#define ROW4(off, B, S0, S1, S2, S3) \
	ROW2(off, B, S0, S1); \
	VFMADD231PS.BCST off(AX)(R8*2), B, S2; \
	VFMADD231PS.BCST off(R9), B, S3
#define ROW8(off, B, S0, S1, S2, S3, S4, S5, S6, S7) \
	ROW4(off, B, S0, S1, S2, S3); \
	VFMADD231PS.BCST off(AX)(R8*4), B, S4; \
	VFMADD231PS.BCST off(R9)(R8*2), B, S5; \
	VFMADD231PS.BCST off(R10), B, S6; \
	VFMADD231PS.BCST off(R9)(R8*4), B, S7

// F32: k in steps of 4.

#define F32ROW1(i) \
	VMOVUPS (64*i)(BX), Z24; \
	ROW1(4*i, Z24, Z0)
#define F32ROW2(i) \
	VMOVUPS (64*i)(BX), Z24; \
	ROW2(4*i, Z24, Z0, Z1)
#define F32ROW4(i) \
	VMOVUPS (64*i)(BX), Z24; \
	ROW4(4*i, Z24, Z0, Z1, Z2, Z3)
#define F32ROW8(i) \
	VMOVUPS (64*i)(BX), Z24; \
	ROW8(4*i, Z24, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)

#define F32STEP \
	ADVANCE(16); \
	ADDQ $256, BX; \
	SUBQ $4, CX

// func dotF32x1AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotF32x1AVX512(SB), NOSPLIT, $0-64
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Z0
loop:
	F32ROW1(0)
	F32ROW1(1)
	F32ROW1(2)
	F32ROW1(3)
	F32STEP
	JNZ loop
	VMOVUPS Z0, (DX)
	NEXTBLOCK
	JNZ block
	VZEROUPPER
	RET

// func dotF32x2AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotF32x2AVX512(SB), NOSPLIT, $0-64
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Z0
	VMOVUPS (DX)(R11*1), Z1
loop:
	F32ROW2(0)
	F32ROW2(1)
	F32ROW2(2)
	F32ROW2(3)
	F32STEP
	JNZ loop
	VMOVUPS Z0, (DX)
	VMOVUPS Z1, (DX)(R11*1)
	NEXTBLOCK
	JNZ block
	VZEROUPPER
	RET

// func dotF32x4AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotF32x4AVX512(SB), NOSPLIT, $0-64
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Z0
	VMOVUPS (DX)(R11*1), Z1
	VMOVUPS (DX)(R11*2), Z2
	VMOVUPS (R12), Z3
loop:
	F32ROW4(0)
	F32ROW4(1)
	F32ROW4(2)
	F32ROW4(3)
	F32STEP
	JNZ loop
	VMOVUPS Z0, (DX)
	VMOVUPS Z1, (DX)(R11*1)
	VMOVUPS Z2, (DX)(R11*2)
	VMOVUPS Z3, (R12)
	NEXTBLOCK
	JNZ block
	VZEROUPPER
	RET

// func dotF32x8AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotF32x8AVX512(SB), NOSPLIT, $0-64
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Z0
	VMOVUPS (DX)(R11*1), Z1
	VMOVUPS (DX)(R11*2), Z2
	VMOVUPS (R12), Z3
	VMOVUPS (DX)(R11*4), Z4
	VMOVUPS (R12)(R11*2), Z5
	VMOVUPS (R13), Z6
	VMOVUPS (R12)(R11*4), Z7
loop:
	F32ROW8(0)
	F32ROW8(1)
	F32ROW8(2)
	F32ROW8(3)
	F32STEP
	JNZ loop
	VMOVUPS Z0, (DX)
	VMOVUPS Z1, (DX)(R11*1)
	VMOVUPS Z2, (DX)(R11*2)
	VMOVUPS Z3, (R12)
	VMOVUPS Z4, (DX)(R11*4)
	VMOVUPS Z5, (R12)(R11*2)
	VMOVUPS Z6, (R13)
	VMOVUPS Z7, (R12)(R11*4)
	NEXTBLOCK
	JNZ block
	VZEROUPPER
	RET

// BF16: slices of 32 k, 16 rows of pairs, with FTZ and DAZ (0x8040) as TDPBF16PS has them.

#define FTZON \
	STMXCSR old-4(SP); \
	MOVL old-4(SP), AX; \
	ORL $0x8040, AX; \
	MOVL AX, new-8(SP); \
	LDMXCSR new-8(SP); \
	MOVL $0xffff0000, AX; \
	VPBROADCASTD AX, Z27

#define PAIR(i) \
	VMOVDQU32 (64*i)(BX), Z24; \
	VPSLLD $16, Z24, Z25; \
	VPANDD Z27, Z24, Z26

#define BF16ROW1(i) \
	PAIR(i); \
	ROW1(8*i, Z25, Z0); \
	ROW1(8*i+4, Z26, Z8)
#define BF16ROW2(i) \
	PAIR(i); \
	ROW2(8*i, Z25, Z0, Z1); \
	ROW2(8*i+4, Z26, Z8, Z9)
#define BF16ROW4(i) \
	PAIR(i); \
	ROW4(8*i, Z25, Z0, Z1, Z2, Z3); \
	ROW4(8*i+4, Z26, Z8, Z9, Z10, Z11)
#define BF16ROW8(i) \
	PAIR(i); \
	ROW8(8*i, Z25, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7); \
	ROW8(8*i+4, Z26, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)

#define BF16STEP \
	ADVANCE(32); \
	ADDQ $256, BX; \
	SUBQ $8, CX; \
	TESTQ $24, CX

#define ZERO(R) VPXORD R, R, R

// func dotBF16x1AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotBF16x1AVX512(SB), NOSPLIT, $8-64
	FTZON
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Z16
slice:
	ZERO(Z0)
	ZERO(Z8)
loop:
	BF16ROW1(0)
	BF16ROW1(1)
	BF16ROW1(2)
	BF16ROW1(3)
	BF16STEP
	JNZ loop
	VADDPS Z8, Z0, Z0
	VADDPS Z0, Z16, Z16
	TESTQ CX, CX
	JNZ slice
	VMOVUPS Z16, (DX)
	NEXTBLOCK
	JNZ block
	LDMXCSR old-4(SP)
	VZEROUPPER
	RET

// func dotBF16x2AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotBF16x2AVX512(SB), NOSPLIT, $8-64
	FTZON
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Z16
	VMOVUPS (DX)(R11*1), Z17
slice:
	ZERO(Z0)
	ZERO(Z1)
	ZERO(Z8)
	ZERO(Z9)
loop:
	BF16ROW2(0)
	BF16ROW2(1)
	BF16ROW2(2)
	BF16ROW2(3)
	BF16STEP
	JNZ loop
	VADDPS Z8, Z0, Z0
	VADDPS Z9, Z1, Z1
	VADDPS Z0, Z16, Z16
	VADDPS Z1, Z17, Z17
	TESTQ CX, CX
	JNZ slice
	VMOVUPS Z16, (DX)
	VMOVUPS Z17, (DX)(R11*1)
	NEXTBLOCK
	JNZ block
	LDMXCSR old-4(SP)
	VZEROUPPER
	RET

// func dotBF16x4AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotBF16x4AVX512(SB), NOSPLIT, $8-64
	FTZON
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Z16
	VMOVUPS (DX)(R11*1), Z17
	VMOVUPS (DX)(R11*2), Z18
	VMOVUPS (R12), Z19
slice:
	ZERO(Z0)
	ZERO(Z1)
	ZERO(Z2)
	ZERO(Z3)
	ZERO(Z8)
	ZERO(Z9)
	ZERO(Z10)
	ZERO(Z11)
loop:
	BF16ROW4(0)
	BF16ROW4(1)
	BF16ROW4(2)
	BF16ROW4(3)
	BF16STEP
	JNZ loop
	VADDPS Z8, Z0, Z0
	VADDPS Z9, Z1, Z1
	VADDPS Z10, Z2, Z2
	VADDPS Z11, Z3, Z3
	VADDPS Z0, Z16, Z16
	VADDPS Z1, Z17, Z17
	VADDPS Z2, Z18, Z18
	VADDPS Z3, Z19, Z19
	TESTQ CX, CX
	JNZ slice
	VMOVUPS Z16, (DX)
	VMOVUPS Z17, (DX)(R11*1)
	VMOVUPS Z18, (DX)(R11*2)
	VMOVUPS Z19, (R12)
	NEXTBLOCK
	JNZ block
	LDMXCSR old-4(SP)
	VZEROUPPER
	RET

// func dotBF16x8AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotBF16x8AVX512(SB), NOSPLIT, $8-64
	FTZON
	ARGS
block:
	BLOCK
	VMOVUPS (DX), Z16
	VMOVUPS (DX)(R11*1), Z17
	VMOVUPS (DX)(R11*2), Z18
	VMOVUPS (R12), Z19
	VMOVUPS (DX)(R11*4), Z20
	VMOVUPS (R12)(R11*2), Z21
	VMOVUPS (R13), Z22
	VMOVUPS (R12)(R11*4), Z23
slice:
	ZERO(Z0)
	ZERO(Z1)
	ZERO(Z2)
	ZERO(Z3)
	ZERO(Z4)
	ZERO(Z5)
	ZERO(Z6)
	ZERO(Z7)
	ZERO(Z8)
	ZERO(Z9)
	ZERO(Z10)
	ZERO(Z11)
	ZERO(Z12)
	ZERO(Z13)
	ZERO(Z14)
	ZERO(Z15)
loop:
	BF16ROW8(0)
	BF16ROW8(1)
	BF16ROW8(2)
	BF16ROW8(3)
	BF16STEP
	JNZ loop
	VADDPS Z8, Z0, Z0
	VADDPS Z9, Z1, Z1
	VADDPS Z10, Z2, Z2
	VADDPS Z11, Z3, Z3
	VADDPS Z12, Z4, Z4
	VADDPS Z13, Z5, Z5
	VADDPS Z14, Z6, Z6
	VADDPS Z15, Z7, Z7
	VADDPS Z0, Z16, Z16
	VADDPS Z1, Z17, Z17
	VADDPS Z2, Z18, Z18
	VADDPS Z3, Z19, Z19
	VADDPS Z4, Z20, Z20
	VADDPS Z5, Z21, Z21
	VADDPS Z6, Z22, Z22
	VADDPS Z7, Z23, Z23
	TESTQ CX, CX
	JNZ slice
	VMOVUPS Z16, (DX)
	VMOVUPS Z17, (DX)(R11*1)
	VMOVUPS Z18, (DX)(R11*2)
	VMOVUPS Z19, (R12)
	VMOVUPS Z20, (DX)(R11*4)
	VMOVUPS Z21, (R12)(R11*2)
	VMOVUPS Z22, (R13)
	VMOVUPS Z23, (R12)(R11*4)
	NEXTBLOCK
	JNZ block
	LDMXCSR old-4(SP)
	VZEROUPPER
	RET
