//go:build !purego

#include "textflag.h"

DATA c1<>+0(SB)/8, $0x3f3172183f317218
DATA c1<>+8(SB)/8, $0x3f3172183f317218
DATA c1<>+16(SB)/8, $0x3f3172183f317218
DATA c1<>+24(SB)/8, $0x3f3172183f317218
GLOBL c1<>(SB), RODATA|NOPTR, $32

DATA high<>+0(SB)/8, $0xffff0000ffff0000
DATA high<>+8(SB)/8, $0xffff0000ffff0000
DATA high<>+16(SB)/8, $0xffff0000ffff0000
DATA high<>+24(SB)/8, $0xffff0000ffff0000
GLOBL high<>(SB), RODATA|NOPTR, $32

// START: FTZ and DAZ on, see FTZON of dot_avx512_amd64.s; the arguments.
#define START \
	STMXCSR old-4(SP); \
	MOVL old-4(SP), AX; \
	ORL $0x8040, AX; \
	MOVL AX, new-8(SP); \
	LDMXCSR new-8(SP); \
	MOVQ c+0(FP), DX; \
	MOVQ ldc+8(FP), R11; \
	MOVQ lda+24(FP), R8; \
	MOVQ b+32(FP), DI; \
	VMOVDQU high<>(SB), Y15

#define BLOCK \
	MOVQ a+16(FP), AX; \
	MOVQ DI, BX; \
	MOVQ k+56(FP), CX

#define NEXTBLOCK \
	ADDQ $64, DX; \
	ADDQ stride+40(FP), DI; \
	DECQ nb+48(FP)

// BF16: sums e of even k in Y0..Y3 and o of odd k in Y4..Y7, two a row; rows of
// b: even k in Y8, Y9, odd k in Y10, Y11. A slice of 32 k is 16 pairs in R13.
#define PAIR \
	VMOVDQU (BX), Y10; \
	VMOVDQU 32(BX), Y11; \
	VPSLLD $16, Y10, Y8; \
	VPSLLD $16, Y11, Y9; \
	VPAND Y15, Y10, Y10; \
	VPAND Y15, Y11, Y11

#define ROW(even, odd, E0, E1, O0, O1) \
	VBROADCASTSS even, Y12; \
	VBROADCASTSS odd, Y13; \
	VFMADD231PS Y8, Y12, E0; \
	VFMADD231PS Y9, Y12, E1; \
	VFMADD231PS Y10, Y13, O0; \
	VFMADD231PS Y11, Y13, O1

#define ADDROW(E0, E1, O0, O1, c0, c1) \
	VADDPS O0, E0, E0; \
	VADDPS O1, E1, E1; \
	VADDPS c0, E0, E0; \
	VADDPS c1, E1, E1; \
	VMOVUPS E0, c0; \
	VMOVUPS E1, c1

// func dotBF16x1AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotBF16x1AVX2(SB), NOSPLIT, $8-64
	START
block:
	BLOCK
slice:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	MOVQ $16, R13
pair:
	PAIR
	ROW((AX), 4(AX), Y0, Y1, Y4, Y5)
	ADDQ $8, AX
	ADDQ $64, BX
	DECQ R13
	JNZ pair
	ADDROW(Y0, Y1, Y4, Y5, (DX), 32(DX))
	SUBQ $32, CX
	JNZ slice
	NEXTBLOCK
	JNZ block
	LDMXCSR old-4(SP)
	VZEROUPPER
	RET

// func dotBF16x2AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, pairs, nb, k int)
// Pairs of rows, one after the other, between two changes of FTZ and DAZ. R10, R14: c and b of the pair's first block.
TEXT ·dotBF16x2AVX2(SB), NOSPLIT, $8-72
	START
	MOVQ DX, R10
	MOVQ DI, R14
rows:
	MOVQ R10, DX
	MOVQ R14, DI
	MOVQ nb+56(FP), R12
block:
	MOVQ a+16(FP), AX
	MOVQ DI, BX
	MOVQ k+64(FP), CX
slice:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	MOVQ $16, R13
pair:
	PAIR
	ROW((AX), 4(AX), Y0, Y1, Y4, Y5)
	ROW((AX)(R8*1), 4(AX)(R8*1), Y2, Y3, Y6, Y7)
	ADDQ $8, AX
	ADDQ $64, BX
	DECQ R13
	JNZ pair
	ADDROW(Y0, Y1, Y4, Y5, (DX), 32(DX))
	ADDROW(Y2, Y3, Y6, Y7, (DX)(R11*1), 32(DX)(R11*1))
	SUBQ $32, CX
	JNZ slice
	ADDQ $64, DX
	ADDQ stride+40(FP), DI
	DECQ R12
	JNZ block
	LEAQ (R10)(R11*2), R10
	LEAQ (R8*2), AX
	ADDQ AX, a+16(FP)
	DECQ pairs+48(FP)
	JNZ rows
	LDMXCSR old-4(SP)
	VZEROUPPER
	RET
