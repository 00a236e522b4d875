//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "exp_avx512_amd64.h"

// dotRows and the block loop of attention; linear_float.go and attention.go
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

// EXPNEG: P = exp(X) in the lanes K, else 0, for X <= 0 or NaN: EXP without the
// cases of large X, so that adding n to the exponent makes 2^n. NaN stays
// because 23 low bits of N are then zero.
#define EXPNEG(X, N, P, K) \
	VCMPPS $5, Z26, X, K, K; \
	VMULPS Z16, X, N; \
	VADDPS Z27, N, N; \
	VSUBPS Z27, N, P; \
	VPSLLD $23, N, N; \
	VMULPS Z17, P, Z9; \
	VSUBPS Z9, X, X; \
	VMULPS Z18, P, Z9; \
	VSUBPS Z9, X, X; \
	VMULPS Z19, X, P; \
	VADDPS Z20, P, P; \
	VMULPS X, P, P; \
	VADDPS Z21, P, P; \
	VMULPS X, P, P; \
	VADDPS Z22, P, P; \
	VMULPS X, P, P; \
	VADDPS Z23, P, P; \
	VMULPS X, P, P; \
	VMULPS X, P, P; \
	VADDPS X, P, P; \
	VADDPS Z24, P, P; \
	VPADDD.Z N, P, K, P

// softmax is softmaxBlock: CX rows, SI s, R8 mask, R9 m, R10 l, DI o, DX hd,
// R11 1 to round p to bfloat16. One row at a time: Z0, Z1 the 32 scores, then
// p; K1, K2 the visible ones; Z5 the new maximum, Z6 the old one. While the
// maximum stays, a = 1, and l and o are not multiplied.
TEXT softmax<>(SB), NOSPLIT, $0-0
	EXPCONST
	BF16CONST
	MOVL $0x4b400000, AX // 3<<22
	VPBROADCASTD AX, Z27
row:
	MOVL (R8), AX
	KMOVW AX, K1
	SHRL $16, AX
	KMOVW AX, K2
	VMOVUPS (SI), Z0
	VMOVUPS 64(SI), Z1
	VBROADCASTSS (R9), Z6
	VMOVAPS Z6, Z5
	VMAXPS Z6, Z0, K1, Z5 // NaN gives the second source, the old maximum
	VMAXPS Z5, Z1, K2, Z5
	FOLD(VMAXPS, Z5, Y5, X5, Y2, X2)
	VBROADCASTSS X5, Z5
	VSUBPS Z5, Z0, Z2
	VSUBPS Z5, Z1, Z7
	EXPNEG(Z2, Z3, Z0, K1)
	EXPNEG(Z7, Z8, Z1, K2)
	TESTQ R11, R11
	JZ rounded
	ROUNDP(Z0, Z2)
	ROUNDP(Z1, Z8)
rounded:
	VMOVUPS Z0, (SI)
	VMOVUPS Z1, 64(SI)
	VADDPS Z1, Z0, Z0
	FOLD(VADDPS, Z0, Y0, X0, Y2, X2)

	VMOVD X5, AX
	MOVL (R9), BX
	MOVL AX, (R9)
	CMPL AX, $0xff800000 // -Inf - -Inf is NaN, not 0
	JEQ scale
	CMPL AX, BX
	JEQ kept
scale:
	VSUBPS Z5, Z6, Z2
	EXP(Z2, Z3, Z4, K3)
	VMULSS (R10), X4, X1
	VADDSS X0, X1, X1
	VMOVSS X1, (R10)
	MOVQ DI, R12
	MOVQ DX, BX
column:
	VMULPS (R12), Z4, Z1
	VMOVUPS Z1, (R12)
	ADDQ $64, R12
	SUBQ $16, BX
	JNZ column
	JMP next
kept:
	VADDSS (R10), X0, X0
	VMOVSS X0, (R10)
next:
	ADDQ $128, SI
	ADDQ $4, R8
	ADDQ $4, R9
	ADDQ $4, R10
	LEAQ (DI)(DX*4), DI
	DECQ CX
	JNZ row
	RET

// The block loop: s = 0, s += q k, softmax, o += p v; then the next block of
// keys, values and masks. hd*32 elements are a block of keys or values.

#define ATTNSTART \
	MOVQ args+0(FP), BX; \
	MOVQ attnArgs_k(BX), AX; \
	MOVQ AX, k-16(SP); \
	MOVQ attnArgs_v(BX), AX; \
	MOVQ AX, v-24(SP); \
	MOVQ attnArgs_mask(BX), AX; \
	MOVQ AX, mask-32(SP); \
	MOVQ attnArgs_blocks(BX), AX; \
	MOVQ AX, left-40(SP)

#define ATTNCLEAR \
	MOVQ attnArgs_s(BX), DX; \
	MOVQ attnArgs_rows(BX), R12; \
	MOVQ DX, SI; \
	MOVQ R12, CX; \
	VPXORD Z0, Z0, Z0

// ATTNQK: arguments of the product with keys; SI = hd, R13 = hd.
#define ATTNQK \
	MOVQ attnArgs_q(BX), AX; \
	MOVQ attnArgs_hd(BX), SI; \
	MOVQ SI, R8; \
	SHLQ $2, R8; \
	MOVQ $128, R11; \
	MOVQ k-16(SP), DI; \
	MOVQ SI, R13; \
	MOVQ $1, R10

#define ATTNSOFTMAX \
	MOVQ args+0(FP), BX; \
	MOVQ attnArgs_rows(BX), CX; \
	MOVQ attnArgs_s(BX), SI; \
	MOVQ mask-32(SP), R8; \
	MOVQ attnArgs_m(BX), R9; \
	MOVQ attnArgs_l(BX), R10; \
	MOVQ attnArgs_o(BX), DI; \
	MOVQ attnArgs_hd(BX), DX

#define ATTNPV \
	MOVQ args+0(FP), BX; \
	MOVQ attnArgs_s(BX), AX; \
	MOVQ $128, R8; \
	MOVQ attnArgs_o(BX), DX; \
	MOVQ attnArgs_hd(BX), R10; \
	MOVQ R10, R11; \
	SHLQ $2, R11; \
	SHRQ $5, R10; \
	MOVQ v-24(SP), DI; \
	MOVQ $32, SI; \
	MOVQ attnArgs_rows(BX), R12

#define ATTNNEXT(shift) \
	MOVQ args+0(FP), BX; \
	MOVQ attnArgs_hd(BX), AX; \
	SHLQ $shift, AX; \
	ADDQ AX, k-16(SP); \
	ADDQ AX, v-24(SP); \
	MOVQ attnArgs_rows(BX), AX; \
	SHLQ $2, AX; \
	ADDQ AX, mask-32(SP); \
	DECQ left-40(SP)

// func attnF32AVX512(args *attnArgs)
TEXT ·attnF32AVX512(SB), NOSPLIT, $40-8
	ATTNSTART
block:
	ATTNCLEAR
clear:
	VMOVUPS Z0, (SI)
	VMOVUPS Z0, 64(SI)
	ADDQ $128, SI
	DECQ CX
	JNZ clear
	ATTNQK
	SHLQ $6, R13
	CALL dotF32<>(SB)
	ATTNSOFTMAX
	XORL R11, R11
	CALL softmax<>(SB)
	ATTNPV
	MOVQ $2048, R13
	CALL dotF32<>(SB)
	ATTNNEXT(7)
	JNZ block
	VZEROUPPER
	RET

// func attnBF16AVX512(args *attnArgs)
TEXT ·attnBF16AVX512(SB), NOSPLIT, $40-8
	FTZON
	ATTNSTART
block:
	ATTNCLEAR
clear:
	VMOVUPS Z0, (SI)
	VMOVUPS Z0, 64(SI)
	ADDQ $128, SI
	DECQ CX
	JNZ clear
	ATTNQK
	SHLQ $5, R13
	CALL dotBF16<>(SB)
	ATTNSOFTMAX
	MOVL $1, R11
	CALL softmax<>(SB)
	ATTNPV
	MOVQ $1024, R13
	CALL dotBF16<>(SB)
	ATTNNEXT(6)
	JNZ block
	LDMXCSR old-4(SP)
	VZEROUPPER
	RET
