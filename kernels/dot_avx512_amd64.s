//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "exp_avx512_amd64.h"

// dotRows and the loops of attention; linear_float.go and attention.go
// say what they compute. dotF32 and dotBF16 take blocks of b in pairs, rows of
// a 8 (F32), 4, 2 or 1 at a time:
//
//	AX  rows [R12][SI] of a, R8 bytes apart     R9, R10, R12  rows 0, 3, 6 at the present k
//	DX  rows of c, R11 bytes apart
//	DI  first block of b, R13 bytes to the next BX            present row of b
//	R10 pairs of blocks   SI  k   R12 rows      CX            k left
//
// They keep R8, R11, R13 and SI.

// ROW: S0, S1 += a * blocks 0 and 1 (Z16, Z17).
#define ROW(addr, S0, S1) \
	VBROADCASTSS addr, Z20; \
	VFMADD231PS Z16, Z20, S0; \
	VFMADD231PS Z17, Z20, S1

// STARTC: rows 3 and 6 of c.
#define STARTC \
	LEAQ (DX)(R11*2), R10; \
	ADDQ R11, R10; \
	LEAQ (R10)(R11*2), R12; \
	ADDQ R11, R12

// STARTAB: the pointers of the k loop.
#define STARTAB \
	MOVQ AX, R9; \
	LEAQ (AX)(R8*2), R10; \
	ADDQ R8, R10; \
	LEAQ (R10)(R8*2), R12; \
	ADDQ R8, R12; \
	MOVQ DI, BX; \
	MOVQ SI, CX

#define LOADB(i) \
	VMOVUPS (64*i)(BX), Z16; \
	VMOVUPS (64*i)(BX)(R13*1), Z17

#define F32X1(i) \
	LOADB(i); \
	ROW((4*i)(R9), Z0, Z1)

#define F32X2(i) \
	F32X1(i); \
	ROW((4*i)(R9)(R8*1), Z2, Z3)

#define F32X4(i) \
	F32X2(i); \
	ROW((4*i)(R9)(R8*2), Z4, Z5); \
	ROW((4*i)(R10), Z6, Z7)

#define F32X8(i) \
	F32X4(i); \
	ROW((4*i)(R9)(R8*4), Z8, Z9); \
	ROW((4*i)(R10)(R8*2), Z10, Z11); \
	ROW((4*i)(R12), Z12, Z13); \
	ROW((4*i)(R10)(R8*4), Z14, Z15)

#define F32STEP \
	ADDQ $16, R9; \
	ADDQ $16, R10; \
	ADDQ $16, R12; \
	ADDQ $256, BX; \
	SUBQ $4, CX

TEXT dotF32<>(SB), NOSPLIT, $40-0
	MOVQ AX, a0-8(SP)
	MOVQ R12, rows-16(SP)
	MOVQ R10, pairs-24(SP)

pair:
	MOVQ a0-8(SP), AX
	MOVQ DX, c0-32(SP)
	MOVQ rows-16(SP), R9
	MOVQ R9, left-40(SP)

eight:
	CMPQ left-40(SP), $8
	JB four
	STARTC
	VMOVUPS (DX), Z0
	VMOVUPS 64(DX), Z1
	VMOVUPS (DX)(R11*1), Z2
	VMOVUPS 64(DX)(R11*1), Z3
	VMOVUPS (DX)(R11*2), Z4
	VMOVUPS 64(DX)(R11*2), Z5
	VMOVUPS (R10), Z6
	VMOVUPS 64(R10), Z7
	VMOVUPS (DX)(R11*4), Z8
	VMOVUPS 64(DX)(R11*4), Z9
	VMOVUPS (R10)(R11*2), Z10
	VMOVUPS 64(R10)(R11*2), Z11
	VMOVUPS (R12), Z12
	VMOVUPS 64(R12), Z13
	VMOVUPS (R10)(R11*4), Z14
	VMOVUPS 64(R10)(R11*4), Z15
	STARTAB
loop8:
	F32X8(0)
	F32X8(1)
	F32X8(2)
	F32X8(3)
	F32STEP
	JNZ loop8
	STARTC
	VMOVUPS Z0, (DX)
	VMOVUPS Z1, 64(DX)
	VMOVUPS Z2, (DX)(R11*1)
	VMOVUPS Z3, 64(DX)(R11*1)
	VMOVUPS Z4, (DX)(R11*2)
	VMOVUPS Z5, 64(DX)(R11*2)
	VMOVUPS Z6, (R10)
	VMOVUPS Z7, 64(R10)
	VMOVUPS Z8, (DX)(R11*4)
	VMOVUPS Z9, 64(DX)(R11*4)
	VMOVUPS Z10, (R10)(R11*2)
	VMOVUPS Z11, 64(R10)(R11*2)
	VMOVUPS Z12, (R12)
	VMOVUPS Z13, 64(R12)
	VMOVUPS Z14, (R10)(R11*4)
	VMOVUPS Z15, 64(R10)(R11*4)
	LEAQ (AX)(R8*8), AX
	LEAQ (DX)(R11*8), DX
	SUBQ $8, left-40(SP)
	JMP eight

four:
	CMPQ left-40(SP), $4
	JB two
	STARTC
	VMOVUPS (DX), Z0
	VMOVUPS 64(DX), Z1
	VMOVUPS (DX)(R11*1), Z2
	VMOVUPS 64(DX)(R11*1), Z3
	VMOVUPS (DX)(R11*2), Z4
	VMOVUPS 64(DX)(R11*2), Z5
	VMOVUPS (R10), Z6
	VMOVUPS 64(R10), Z7
	STARTAB
loop4:
	F32X4(0)
	F32X4(1)
	F32X4(2)
	F32X4(3)
	F32STEP
	JNZ loop4
	STARTC
	VMOVUPS Z0, (DX)
	VMOVUPS Z1, 64(DX)
	VMOVUPS Z2, (DX)(R11*1)
	VMOVUPS Z3, 64(DX)(R11*1)
	VMOVUPS Z4, (DX)(R11*2)
	VMOVUPS Z5, 64(DX)(R11*2)
	VMOVUPS Z6, (R10)
	VMOVUPS Z7, 64(R10)
	LEAQ (AX)(R8*4), AX
	LEAQ (DX)(R11*4), DX
	SUBQ $4, left-40(SP)

two:
	CMPQ left-40(SP), $2
	JB one
	VMOVUPS (DX), Z0
	VMOVUPS 64(DX), Z1
	VMOVUPS (DX)(R11*1), Z2
	VMOVUPS 64(DX)(R11*1), Z3
	STARTAB
loop2:
	F32X2(0)
	F32X2(1)
	F32X2(2)
	F32X2(3)
	F32STEP
	JNZ loop2
	VMOVUPS Z0, (DX)
	VMOVUPS Z1, 64(DX)
	VMOVUPS Z2, (DX)(R11*1)
	VMOVUPS Z3, 64(DX)(R11*1)
	LEAQ (AX)(R8*2), AX
	LEAQ (DX)(R11*2), DX
	SUBQ $2, left-40(SP)

one:
	CMPQ left-40(SP), $1
	JB next
	VMOVUPS (DX), Z0
	VMOVUPS 64(DX), Z1
	STARTAB
loop1:
	F32X1(0)
	F32X1(1)
	F32X1(2)
	F32X1(3)
	F32STEP
	JNZ loop1
	VMOVUPS Z0, (DX)
	VMOVUPS Z1, 64(DX)

next:
	MOVQ c0-32(SP), DX
	ADDQ $128, DX
	LEAQ (DI)(R13*2), DI
	DECQ pairs-24(SP)
	JNZ pair
	RET

// BF16: sums e of even k in Z0..Z7 and o of odd k in Z8..Z15, two for each row;
// c in Z16..Z23; rows of b: even k in Z24, Z25, odd k in Z26, Z27; Z31 the mask
// of odd k. The caller switches FTZ and DAZ on.

#define PAIRB(i) \
	VMOVDQU32 (64*i)(BX), Z26; \
	VMOVDQU32 (64*i)(BX)(R13*1), Z27; \
	VPSLLD $16, Z26, Z24; \
	VPSLLD $16, Z27, Z25; \
	VPANDD Z31, Z26, Z26; \
	VPANDD Z31, Z27, Z27

#define ROWS(even, odd, E0, E1, O0, O1) \
	VBROADCASTSS even, Z28; \
	VBROADCASTSS odd, Z29; \
	VFMADD231PS Z24, Z28, E0; \
	VFMADD231PS Z25, Z28, E1; \
	VFMADD231PS Z26, Z29, O0; \
	VFMADD231PS Z27, Z29, O1

#define BF16X1(i) \
	PAIRB(i); \
	ROWS((8*i)(R9), (8*i+4)(R9), Z0, Z1, Z8, Z9)

#define BF16X2(i) \
	BF16X1(i); \
	ROWS((8*i)(R9)(R8*1), (8*i+4)(R9)(R8*1), Z2, Z3, Z10, Z11)

#define BF16X4(i) \
	BF16X2(i); \
	ROWS((8*i)(R9)(R8*2), (8*i+4)(R9)(R8*2), Z4, Z5, Z12, Z13); \
	ROWS((8*i)(R10), (8*i+4)(R10), Z6, Z7, Z14, Z15)

// BF16STEP: the zero flag is set at the end of a slice.
#define BF16STEP \
	ADDQ $32, R9; \
	ADDQ $32, R10; \
	ADDQ $256, BX; \
	SUBQ $8, CX; \
	TESTQ $24, CX

#define ZERO(R) VPXORD R, R, R

#define ZEROROW(E0, E1, O0, O1) \
	ZERO(E0); \
	ZERO(E1); \
	ZERO(O0); \
	ZERO(O1)

#define ADDROW(E0, E1, O0, O1, C0, C1) \
	VADDPS O0, E0, E0; \
	VADDPS O1, E1, E1; \
	VADDPS E0, C0, C0; \
	VADDPS E1, C1, C1

TEXT dotBF16<>(SB), NOSPLIT, $40-0
	MOVQ AX, a0-8(SP)
	MOVQ R12, rows-16(SP)
	MOVQ R10, pairs-24(SP)
	MOVL $0xffff0000, R9
	VPBROADCASTD R9, Z31

pair:
	MOVQ a0-8(SP), AX
	MOVQ DX, c0-32(SP)
	MOVQ rows-16(SP), R9
	MOVQ R9, left-40(SP)

four:
	CMPQ left-40(SP), $4
	JB two
	STARTC
	VMOVUPS (DX), Z16
	VMOVUPS 64(DX), Z17
	VMOVUPS (DX)(R11*1), Z18
	VMOVUPS 64(DX)(R11*1), Z19
	VMOVUPS (DX)(R11*2), Z20
	VMOVUPS 64(DX)(R11*2), Z21
	VMOVUPS (R10), Z22
	VMOVUPS 64(R10), Z23
	STARTAB
slice4:
	ZEROROW(Z0, Z1, Z8, Z9)
	ZEROROW(Z2, Z3, Z10, Z11)
	ZEROROW(Z4, Z5, Z12, Z13)
	ZEROROW(Z6, Z7, Z14, Z15)
loop4:
	BF16X4(0)
	BF16X4(1)
	BF16X4(2)
	BF16X4(3)
	BF16STEP
	JNZ loop4
	ADDROW(Z0, Z1, Z8, Z9, Z16, Z17)
	ADDROW(Z2, Z3, Z10, Z11, Z18, Z19)
	ADDROW(Z4, Z5, Z12, Z13, Z20, Z21)
	ADDROW(Z6, Z7, Z14, Z15, Z22, Z23)
	TESTQ CX, CX
	JNZ slice4
	STARTC
	VMOVUPS Z16, (DX)
	VMOVUPS Z17, 64(DX)
	VMOVUPS Z18, (DX)(R11*1)
	VMOVUPS Z19, 64(DX)(R11*1)
	VMOVUPS Z20, (DX)(R11*2)
	VMOVUPS Z21, 64(DX)(R11*2)
	VMOVUPS Z22, (R10)
	VMOVUPS Z23, 64(R10)
	LEAQ (AX)(R8*4), AX
	LEAQ (DX)(R11*4), DX
	SUBQ $4, left-40(SP)
	JMP four

two:
	CMPQ left-40(SP), $2
	JB one
	VMOVUPS (DX), Z16
	VMOVUPS 64(DX), Z17
	VMOVUPS (DX)(R11*1), Z18
	VMOVUPS 64(DX)(R11*1), Z19
	STARTAB
slice2:
	ZEROROW(Z0, Z1, Z8, Z9)
	ZEROROW(Z2, Z3, Z10, Z11)
loop2:
	BF16X2(0)
	BF16X2(1)
	BF16X2(2)
	BF16X2(3)
	BF16STEP
	JNZ loop2
	ADDROW(Z0, Z1, Z8, Z9, Z16, Z17)
	ADDROW(Z2, Z3, Z10, Z11, Z18, Z19)
	TESTQ CX, CX
	JNZ slice2
	VMOVUPS Z16, (DX)
	VMOVUPS Z17, 64(DX)
	VMOVUPS Z18, (DX)(R11*1)
	VMOVUPS Z19, 64(DX)(R11*1)
	LEAQ (AX)(R8*2), AX
	LEAQ (DX)(R11*2), DX
	SUBQ $2, left-40(SP)

one:
	CMPQ left-40(SP), $1
	JB next
	VMOVUPS (DX), Z16
	VMOVUPS 64(DX), Z17
	STARTAB
slice1:
	ZEROROW(Z0, Z1, Z8, Z9)
loop1:
	BF16X1(0)
	BF16X1(1)
	BF16X1(2)
	BF16X1(3)
	BF16STEP
	JNZ loop1
	ADDROW(Z0, Z1, Z8, Z9, Z16, Z17)
	TESTQ CX, CX
	JNZ slice1
	VMOVUPS Z16, (DX)
	VMOVUPS Z17, 64(DX)

next:
	MOVQ c0-32(SP), DX
	ADDQ $128, DX
	LEAQ (DI)(R13*2), DI
	DECQ pairs-24(SP)
	JNZ pair
	RET

// FTZON sets FTZ and DAZ (0x8040), as TDPBF16PS always has them. A switch costs
// 90 ns at the next float instruction, so calls must be long.
#define FTZON \
	STMXCSR old-4(SP); \
	MOVL old-4(SP), AX; \
	ORL $0x8040, AX; \
	MOVL AX, new-8(SP); \
	LDMXCSR new-8(SP)

#define ARGS \
	MOVQ c+0(FP), DX; \
	MOVQ ldc+8(FP), R11; \
	MOVQ a+16(FP), AX; \
	MOVQ lda+24(FP), R8; \
	MOVQ b+32(FP), DI; \
	MOVQ stride+40(FP), R13; \
	MOVQ rows+48(FP), R12; \
	MOVQ pairs+56(FP), R10; \
	MOVQ k+64(FP), SI

// func dotF32AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, rows, pairs, k int)
TEXT ·dotF32AVX512(SB), NOSPLIT, $0-72
	ARGS
	CALL dotF32<>(SB)
	VZEROUPPER
	RET

// func dotBF16AVX512(c *float32, ldc int, a *float32, lda int, b *byte, stride, rows, pairs, k int)
TEXT ·dotBF16AVX512(SB), NOSPLIT, $8-72
	FTZON
	ARGS
	CALL dotBF16<>(SB)
	LDMXCSR old-4(SP)
	VZEROUPPER
	RET

DATA exp2Const<>+0x00(SB)/4, $-126.0
DATA exp2Const<>+0x04(SB)/4, $12582912.0 // 3<<22
DATA exp2Const<>+0x08(SB)/4, $0.0013381302123889327
DATA exp2Const<>+0x0c(SB)/4, $0.00966636836528778
DATA exp2Const<>+0x10(SB)/4, $0.055503811687231064
DATA exp2Const<>+0x14(SB)/4, $0.2402234971523285
DATA exp2Const<>+0x18(SB)/4, $0.6931471824645996
DATA exp2Const<>+0x1c(SB)/4, $1.0
GLOBL exp2Const<>(SB), RODATA|NOPTR, $0x20

// The even lanes of two registers.
DATA evens<>+0x00(SB)/8, $0x0000000200000000
DATA evens<>+0x08(SB)/8, $0x0000000600000004
DATA evens<>+0x10(SB)/8, $0x0000000a00000008
DATA evens<>+0x18(SB)/8, $0x0000000e0000000c
DATA evens<>+0x20(SB)/8, $0x0000001200000010
DATA evens<>+0x28(SB)/8, $0x0000001600000014
DATA evens<>+0x30(SB)/8, $0x0000001a00000018
DATA evens<>+0x38(SB)/8, $0x0000001e0000001c
GLOBL evens<>(SB), RODATA|NOPTR, $0x40

#define EXP2CONST \
	VBROADCASTSS exp2Const<>+0x00(SB), Z16; \
	VBROADCASTSS exp2Const<>+0x04(SB), Z17; \
	VBROADCASTSS exp2Const<>+0x08(SB), Z18; \
	VBROADCASTSS exp2Const<>+0x0c(SB), Z19; \
	VBROADCASTSS exp2Const<>+0x10(SB), Z20; \
	VBROADCASTSS exp2Const<>+0x14(SB), Z21; \
	VBROADCASTSS exp2Const<>+0x18(SB), Z22; \
	VBROADCASTSS exp2Const<>+0x1c(SB), Z23

// EXP2: P = 2^X, see exp2. Spoils X, N, K. Predicate 5: not less than, true for NaN.
#define EXP2(X, N, P, K) \
	VCMPPS $5, Z16, X, K; \
	VADDPS Z17, X, N; \
	VSUBPS Z17, N, N; \
	VSUBPS N, X, X; \
	VMOVAPS Z18, P; \
	VFMADD213PS Z19, X, P; \
	VFMADD213PS Z20, X, P; \
	VFMADD213PS Z21, X, P; \
	VFMADD213PS Z22, X, P; \
	VFMADD213PS Z23, X, P; \
	VSCALEFPS.Z N, P, K, P

// HALVES: A = max of the halves of A in its first half, of B in its second, as
// SHUF with the two immediates takes them apart.
#define HALVES(SHUF, lo, hi, A, B) \
	SHUF lo, B, A, Z26; \
	SHUF hi, B, A, A; \
	VMAXPS Z26, A, A

// TOP: the maximum of a row of scores in each of 16 lanes.
#define TOP(row, Z) \
	VMOVUPS (128*row)(SI), Z; \
	VMAXPS (128*row+64)(SI), Z, Z

// softmax is softmaxBlock for CX <= 16 rows: SI s [16][32], R9 m, R10 l, DI o,
// DX hd, R11 the mode; with AMX p goes to R13. R8, unless negative, is the mask
// of the scores. First the new maxima, a lane a row; then a = 2^(m - M) of all rows,
// and l and o are multiplied in the rows where it is not 1; then p, two
// registers a row. A NaN may or may not be the maximum: its row is lost anyway.
TEXT softmax<>(SB), NOSPLIT, $64-0
	EXP2CONST
	BF16CONST
	VMOVDQU32 evens<>(SB), Z24
	VPADDD Z29, Z24, Z25
	TESTQ R8, R8
	JLT masked
	MOVL $0xff800000, AX // -Inf
	VPBROADCASTD AX, Z0
	MOVQ SI, R12
	MOVQ CX, BX
mask:
	KMOVW (R8), K1
	KMOVW 2(R8), K2
	KNOTW K1, K1
	KNOTW K2, K2
	VMOVUPS Z0, K1, (R12)
	VMOVUPS Z0, K2, 64(R12)
	ADDQ $4, R8
	ADDQ $128, R12
	DECQ BX
	JNZ mask

masked: // rows in the order that makes the last result lane i of row i
	TOP(0, Z0)
	TOP(4, Z8)
	TOP(8, Z4)
	TOP(12, Z12)
	HALVES(VSHUFF64X2, $0x44, $0xee, Z0, Z8)
	HALVES(VSHUFF64X2, $0x44, $0xee, Z4, Z12)
	HALVES(VSHUFF64X2, $0x88, $0xdd, Z0, Z4)
	TOP(2, Z1)
	TOP(6, Z9)
	TOP(10, Z5)
	TOP(14, Z13)
	HALVES(VSHUFF64X2, $0x44, $0xee, Z1, Z9)
	HALVES(VSHUFF64X2, $0x44, $0xee, Z5, Z13)
	HALVES(VSHUFF64X2, $0x88, $0xdd, Z1, Z5)
	TOP(1, Z2)
	TOP(5, Z10)
	TOP(9, Z6)
	TOP(13, Z14)
	HALVES(VSHUFF64X2, $0x44, $0xee, Z2, Z10)
	HALVES(VSHUFF64X2, $0x44, $0xee, Z6, Z14)
	HALVES(VSHUFF64X2, $0x88, $0xdd, Z2, Z6)
	TOP(3, Z3)
	TOP(7, Z11)
	TOP(11, Z7)
	TOP(15, Z15)
	HALVES(VSHUFF64X2, $0x44, $0xee, Z3, Z11)
	HALVES(VSHUFF64X2, $0x44, $0xee, Z7, Z15)
	HALVES(VSHUFF64X2, $0x88, $0xdd, Z3, Z7)
	HALVES(VSHUFPS, $0x44, $0xee, Z0, Z2)
	HALVES(VSHUFPS, $0x44, $0xee, Z1, Z3)
	HALVES(VSHUFPS, $0x88, $0xdd, Z0, Z1)

	MOVL $-1, AX
	BZHIL CX, AX, AX
	KMOVW AX, K3
	VMOVUPS.Z (R9), K3, Z6
	VMAXPS Z6, Z0, Z5
	VMOVUPS Z5, K3, (R9)
	VSUBPS Z5, Z6, Z0
	EXP2(Z0, Z1, Z4, K4)
	VCMPPS $4, Z23, Z4, K3, K4 // not equal, true for NaN
	KMOVW K4, BX
	TESTL BX, BX
	JZ scaled
	VMOVUPS Z4, a-64(SP)
scale:
	TZCNTL BX, AX
	VBROADCASTSS a-64(SP)(AX*4), Z4
	MOVQ AX, R12
	SHLQ $6, R12
	VMULPS (R10)(R12*1), Z4, Z1
	VMOVUPS Z1, (R10)(R12*1)
	IMULQ DX, AX
	LEAQ (DI)(AX*4), AX
	MOVQ DX, R12
column:
	VMULPS (AX), Z4, Z1
	VMOVUPS Z1, (AX)
	ADDQ $64, AX
	SUBQ $16, R12
	JNZ column
	BLSRL BX, BX
	JNZ scale

scaled:
	MOVQ CX, BX
row:
	VMOVUPS (SI), Z2
	VMOVUPS 64(SI), Z3
	VSUBPS.BCST (R9), Z2, Z2
	VSUBPS.BCST (R9), Z3, Z3
	EXP2(Z2, Z4, Z0, K1)
	EXP2(Z3, Z5, Z1, K2)
	CMPQ R11, $const_attnBF16
	JB pairs
	JE wide
	BYTE $0x62; BYTE $0xf2; BYTE $0x77; BYTE $0x48; BYTE $0x72; BYTE $0xc0 // VCVTNE2PS2BF16 zmm0, zmm1, zmm0
	VMOVDQU32 Z0, (R13)
	ADDQ $64, R13
	VPSLLD $16, Z0, Z2
	VPANDD Z30, Z0, Z3
	JMP sum
wide:
	ROUNDP(Z0, Z2)
	ROUNDP(Z1, Z3)
pairs:
	VMOVUPS Z0, (SI)
	VMOVUPS Z1, 64(SI)
	VMOVAPS Z0, Z2
	VPERMT2PS Z1, Z24, Z2
	VMOVAPS Z0, Z3
	VPERMT2PS Z1, Z25, Z3
sum:
	VADDPS Z3, Z2, Z2
	VADDPS (R10), Z2, Z2
	VMOVUPS Z2, (R10)
	ADDQ $128, SI
	ADDQ $4, R9
	ADDQ $64, R10
	DECQ BX
	JNZ row
	RET

// func attendAVX512(args *attnArgs)
// Strips of rows from row0, their blocks at k and v, and of each block the tiles
// of 16 rows from row: s = q k, softmax, o += p v. The assembler lacks AMX:
// instructions as bytes, the mnemonic beside. Tiles 0, 1 are sums, 4 the left
// side, 6, 7 keys or values.
TEXT ·attendAVX512(SB), NOSPLIT, $64-8
	MOVQ args+0(FP), BX
	CMPQ attnArgs_mode(BX), $const_attnF32
	JEQ start
	FTZON
	CMPQ attnArgs_mode(BX), $const_attnAMX
	JNE start
	MOVQ attnArgs_tiles(BX), AX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0x00 // LDTILECFG (AX)
start:
	MOVQ $0, row0-16(SP)

strip:
	MOVQ attnArgs_k(BX), AX
	MOVQ AX, k-32(SP)
	MOVQ attnArgs_v(BX), AX
	MOVQ AX, v-40(SP)
	MOVQ $0, block-48(SP)

block:
	MOVQ row0-16(SP), AX
	MOVQ AX, row-24(SP)

tile:
	MOVQ row-24(SP), AX
	MOVQ attnArgs_rows(BX), R12
	SUBQ AX, R12
	MOVQ $16, CX
	CMPQ R12, CX
	CMOVQGT CX, R12 // rows of this tile
	MOVQ attnArgs_hd(BX), SI
	IMULQ SI, AX // values before it in q and o
	MOVQ k-32(SP), DI
	MOVQ attnArgs_s(BX), DX
	MOVQ attnArgs_size(BX), R13
	SHRQ $1, R13
	MOVQ attnArgs_mode(BX), R11
	CMPQ R11, $const_attnAMX
	JEQ amxqk
	MOVQ DX, R9
	MOVQ R12, CX
	VPXORD Z0, Z0, Z0
clear:
	VMOVUPS Z0, (R9)
	VMOVUPS Z0, 64(R9)
	ADDQ $128, R9
	DECQ CX
	JNZ clear
	MOVQ attnArgs_q(BX), R9
	LEAQ (R9)(AX*4), AX
	MOVQ SI, R8
	SHLQ $2, R8
	MOVQ $1, R10
	CMPQ R11, $const_attnF32
	MOVQ $128, R11
	JEQ f32qk
	CALL dotBF16<>(SB)
	JMP scores
f32qk:
	CALL dotF32<>(SB)
	JMP scores

amxqk:
	MOVQ attnArgs_q16(BX), R8
	LEAQ (R8)(AX*2), R8
	LEAQ (SI)(SI*1), R9
	MOVQ SI, CX
	MOVQ DI, SI
	ADDQ R13, DI
	MOVQ $64, BX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xc0 // TILEZERO tmm0
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $0xc8 // TILEZERO tmm1
amxk:
	BYTE $0xc4; BYTE $0x82; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x08 // TILELOADD tmm4, (R8)(R9*1)
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x34; BYTE $0x1e // TILELOADD tmm6, (SI)(BX*1)
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xc4 // TDPBF16PS tmm0, tmm4, tmm6
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x3c; BYTE $0x1f // TILELOADD tmm7, (DI)(BX*1)
	BYTE $0xc4; BYTE $0xe2; BYTE $0x42; BYTE $0x5c; BYTE $0xcc // TDPBF16PS tmm1, tmm4, tmm7
	ADDQ $64, R8
	ADDQ $1024, SI
	ADDQ $1024, DI
	SUBQ $32, CX
	JNZ amxk
	MOVQ DX, R8
	LEAQ 64(DX), R10
	MOVQ $128, R9
	BYTE $0xc4; BYTE $0x82; BYTE $0x7a; BYTE $0x4b; BYTE $0x04; BYTE $0x08 // TILESTORED tmm0, (R8)(R9*1)
	BYTE $0xc4; BYTE $0x82; BYTE $0x7a; BYTE $0x4b; BYTE $0x0c; BYTE $0x0a // TILESTORED tmm1, (R10)(R9*1)

scores:
	MOVQ args+0(FP), BX
	MOVQ row-24(SP), AX
	MOVQ attnArgs_rows(BX), R12
	SUBQ AX, R12
	MOVQ $16, CX
	CMPQ R12, CX
	CMOVQLT R12, CX
	MOVQ attnArgs_s(BX), SI
	MOVQ block-48(SP), DX
	MOVQ attnArgs_at(BX)(DX*8), R8
	TESTQ R8, R8
	JLT whole
	ADDQ attnArgs_mask(BX), R8
	LEAQ (R8)(AX*4), R8
whole:
	MOVQ attnArgs_m(BX), R9
	LEAQ (R9)(AX*4), R9
	MOVQ AX, R10
	SHLQ $6, R10
	ADDQ attnArgs_l(BX), R10
	MOVQ attnArgs_hd(BX), DX
	IMULQ DX, AX
	MOVQ attnArgs_o(BX), DI
	LEAQ (DI)(AX*4), DI
	MOVQ attnArgs_mode(BX), R11
	MOVQ attnArgs_p(BX), R13
	MOVQ DI, o-56(SP)
	MOVQ CX, n-64(SP)
	CALL softmax<>(SB)

	MOVQ args+0(FP), BX
	MOVQ o-56(SP), DX
	MOVQ attnArgs_hd(BX), CX
	MOVQ CX, R9
	SHLQ $2, R9
	MOVQ v-40(SP), DI
	MOVQ attnArgs_mode(BX), R11
	CMPQ R11, $const_attnAMX
	JEQ amxpv
	MOVQ attnArgs_s(BX), AX
	MOVQ $128, R8
	MOVQ CX, R10
	SHRQ $5, R10
	MOVQ $32, SI
	MOVQ n-64(SP), R12
	CMPQ R11, $const_attnF32
	MOVQ R9, R11
	JEQ f32pv
	MOVQ $1024, R13
	CALL dotBF16<>(SB)
	JMP next
f32pv:
	MOVQ $2048, R13
	CALL dotF32<>(SB)
	JMP next

amxpv:
	MOVQ attnArgs_p(BX), SI
	MOVQ $64, BX
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x1e // TILELOADD tmm4, (SI)(BX*1)
	MOVQ DI, SI
	ADDQ $1024, DI
	MOVQ DX, R8
	LEAQ 64(DX), R10
amxv:
	BYTE $0xc4; BYTE $0x82; BYTE $0x7b; BYTE $0x4b; BYTE $0x04; BYTE $0x08 // TILELOADD tmm0, (R8)(R9*1)
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x34; BYTE $0x1e // TILELOADD tmm6, (SI)(BX*1)
	BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xc4 // TDPBF16PS tmm0, tmm4, tmm6
	BYTE $0xc4; BYTE $0x82; BYTE $0x7b; BYTE $0x4b; BYTE $0x0c; BYTE $0x0a // TILELOADD tmm1, (R10)(R9*1)
	BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x3c; BYTE $0x1f // TILELOADD tmm7, (DI)(BX*1)
	BYTE $0xc4; BYTE $0xe2; BYTE $0x42; BYTE $0x5c; BYTE $0xcc // TDPBF16PS tmm1, tmm4, tmm7
	BYTE $0xc4; BYTE $0x82; BYTE $0x7a; BYTE $0x4b; BYTE $0x04; BYTE $0x08 // TILESTORED tmm0, (R8)(R9*1)
	BYTE $0xc4; BYTE $0x82; BYTE $0x7a; BYTE $0x4b; BYTE $0x0c; BYTE $0x0a // TILESTORED tmm1, (R10)(R9*1)
	ADDQ $128, R8
	ADDQ $128, R10
	ADDQ $2048, SI
	ADDQ $2048, DI
	SUBQ $32, CX
	JNZ amxv

next:
	MOVQ args+0(FP), BX
	MOVQ row0-16(SP), CX
	ADDQ $const_attnStrip, CX
	MOVQ attnArgs_rows(BX), DX
	CMPQ DX, CX
	CMOVQLT DX, CX // the end of the strip
	MOVQ row-24(SP), AX
	ADDQ $16, AX
	MOVQ AX, row-24(SP)
	CMPQ AX, CX
	JLT tile
	MOVQ attnArgs_size(BX), AX
	ADDQ AX, k-32(SP)
	ADDQ AX, v-40(SP)
	INCQ block-48(SP)
	MOVQ block-48(SP), AX
	CMPQ AX, attnArgs_blocks(BX)
	JLT block
	MOVQ CX, row0-16(SP)
	CMPQ CX, DX
	JLT strip

	CMPQ attnArgs_mode(BX), $const_attnAMX
	JNE release
	BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0xc0 // TILERELEASE
release:
	CMPQ attnArgs_mode(BX), $const_attnF32
	JEQ done
	LDMXCSR old-4(SP)
done:
	VZEROUPPER
	RET
