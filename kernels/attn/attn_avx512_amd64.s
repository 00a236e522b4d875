//go:build !purego

#include "go_asm.h"
#include "textflag.h"

#define FOLD(OP, Z, Y, X, T, TX) \
	VEXTRACTF64X4 $1, Z, T; \
	OP T, Y, Y; \
	VEXTRACTF128 $1, Y, TX; \
	OP TX, X, X; \
	VPERMILPS $0x4e, X, TX; \
	OP TX, X, X; \
	VPERMILPS $0xb1, X, TX; \
	OP TX, X, X

// Z28 = 0x7fff, Z29 = 1, Z30 = 0xffff0000, Z31 = 0x400000.
#define BF16CONST \
	MOVL $0x7fff, AX; \
	VPBROADCASTD AX, Z28; \
	MOVL $1, AX; \
	VPBROADCASTD AX, Z29; \
	MOVL $0xffff0000, AX; \
	VPBROADCASTD AX, Z30; \
	MOVL $0x400000, AX; \
	VPBROADCASTD AX, Z31

// TOBF16: X = X rounded to bfloat16, NaN made quiet; see num.BF16.
#define TOBF16(X, T, K) \
	VCMPPS $3, X, X, K; \
	VPSRLD $16, X, T; \
	VPANDD Z29, T, T; \
	VPADDD Z28, T, T; \
	VPADDD X, T, T; \
	VPORD Z31, X, K, T; \
	VPANDD Z30, T, X

// ROUNDP: TOBF16 for numbers, and NaNs without low bits that could carry.
#define ROUNDP(X, T) \
	VPSRLD $16, X, T; \
	VPANDD Z29, T, T; \
	VPADDD Z28, T, T; \
	VPADDD X, T, T; \
	VPANDD Z30, T, X

// MASK: K1 = the first min(CX, 16) lanes.
#define MASK \
	MOVL $16, BX; \
	CMPQ CX, BX; \
	CMOVQLT CX, BX; \
	MOVL $-1, AX; \
	BZHIL BX, AX, AX; \
	KMOVW AX, K1

// EXPAND: 16 codes at off(SI) times S, as bfloat16.
#define EXPAND(off, S) \
	VPMOVSXBD (off)(SI), Z0; \
	VCVTDQ2PS Z0, Z0; \
	VMULPS S, Z0, Z0; \
	ROUNDP(Z0, Z1); \
	VPSRLD $16, Z0, Z0; \
	VPMOVDW Z0, (2*off)(DI)

// EXPAND2 does so for 32 codes where there is AVX512_BF16, which AMX implies:
// the same but that denormals become zero, as which they count (numerics N6.2).
// The bytes are VCVTNE2PS2BF16 zmm0, zmm1, zmm0.
#define EXPAND2(S0, S1) \
	VPMOVSXBD (SI), Z0; \
	VPMOVSXBD 16(SI), Z1; \
	VCVTDQ2PS Z0, Z0; \
	VCVTDQ2PS Z1, Z1; \
	VMULPS S0, Z0, Z0; \
	VMULPS S1, Z1, Z1; \
	BYTE $0x62; BYTE $0xf2; BYTE $0x77; BYTE $0x48; BYTE $0x72; BYTE $0xc0; \
	VMOVDQU32 Z0, (DI)

// func expandKeysAVX512(dst, codes *byte, rows int, scale *float32, amx int)
// Z2, Z3: scales 0..7 and 8..15, each twice.
TEXT ·expandKeysAVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ codes+8(FP), SI
	MOVQ rows+16(FP), CX
	MOVQ scale+24(FP), DX
	MOVQ amx+32(FP), R8
	BF16CONST
	VPMOVZXDQ (DX), Z2
	VPSLLQ $32, Z2, Z0
	VPORQ Z0, Z2, Z2
	VPMOVZXDQ 32(DX), Z3
	VPSLLQ $32, Z3, Z0
	VPORQ Z0, Z3, Z3
loop:
	TESTQ R8, R8
	JNZ amx
	EXPAND(0, Z2)
	EXPAND(16, Z3)
	JMP next
amx:
	EXPAND2(Z2, Z3)
next:
	ADDQ $32, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func expandValuesAVX512(dst, codes *byte, rows int, scale *float32, amx int)
TEXT ·expandValuesAVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ codes+8(FP), SI
	MOVQ rows+16(FP), CX
	MOVQ scale+24(FP), DX
	MOVQ amx+32(FP), R8
	BF16CONST
loop:
	VBROADCASTSD (DX), Z2
	TESTQ R8, R8
	JNZ amx
	EXPAND(0, Z2)
	EXPAND(16, Z2)
	JMP next
amx:
	EXPAND2(Z2, Z2)
next:
	ADDQ $32, SI
	ADDQ $64, DI
	ADDQ $8, DX
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// 16 values of a row of keys are 8 pairs, 64 bytes apart; the last ones may be
// padding, for which there is room.
DATA rows64<>+0x00(SB)/8, $0x0000004000000000
DATA rows64<>+0x08(SB)/8, $0x000000c000000080
DATA rows64<>+0x10(SB)/8, $0x0000014000000100
DATA rows64<>+0x18(SB)/8, $0x000001c000000180
GLOBL rows64<>(SB), RODATA|NOPTR, $0x20

// func putKeyAVX512(b *byte, x *float32, n int)
TEXT ·putKeyAVX512(SB), NOSPLIT, $0-24
	MOVQ b+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	BF16CONST
	VMOVDQU rows64<>(SB), Y3
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	TOBF16(Z0, Z1, K2)
	VPSRLD $16, Z0, Z0
	VPMOVDW Z0, Y0
	KXNORW K2, K2, K2
	VPSCATTERDD Y0, K2, (DI)(Y3*1)
	ADDQ $64, SI
	ADDQ $512, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// func putValueAVX512(b *byte, x *float32, n int)
// 16 values are every second word of 64 bytes, 1024 bytes apart; all words from b on
// without the last, which may belong to the next position.
TEXT ·putValueAVX512(SB), NOSPLIT, $0-24
	MOVQ b+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	BF16CONST
	MOVL $0x55555555, AX
	KMOVD AX, K3
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	TOBF16(Z0, Z1, K2)
	VPSRLD $16, Z0, Z0
	VMOVDQU16 Z0, K3, (DI)
	ADDQ $64, SI
	ADDQ $1024, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// The high words of 16 dwords and of 16 more.
DATA highWords<>+0x00(SB)/8, $0x0007000500030001
DATA highWords<>+0x08(SB)/8, $0x000f000d000b0009
DATA highWords<>+0x10(SB)/8, $0x0017001500130011
DATA highWords<>+0x18(SB)/8, $0x001f001d001b0019
DATA highWords<>+0x20(SB)/8, $0x0027002500230021
DATA highWords<>+0x28(SB)/8, $0x002f002d002b0029
DATA highWords<>+0x30(SB)/8, $0x0037003500330031
DATA highWords<>+0x38(SB)/8, $0x003f003d003b0039
GLOBL highWords<>(SB), RODATA|NOPTR, $0x40

// The high words of 32 dwords in the order of dot.PackPairs.
DATA packedWords<>+0x00(SB)/8, $0x0003000700010005
DATA packedWords<>+0x08(SB)/8, $0x000b000f0009000d
DATA packedWords<>+0x10(SB)/8, $0x0013001700110015
DATA packedWords<>+0x18(SB)/8, $0x001b001f0019001d
DATA packedWords<>+0x20(SB)/8, $0x0023002700210025
DATA packedWords<>+0x28(SB)/8, $0x002b002f0029002d
DATA packedWords<>+0x30(SB)/8, $0x0033003700310035
DATA packedWords<>+0x38(SB)/8, $0x003b003f0039003d
GLOBL packedWords<>(SB), RODATA|NOPTR, $0x40

// KEYROW puts 32 values of a key at SI into X as bfloat16, and goes on to the next of R8 rows, if this is not the last.
#define KEYROW(X, NEXT) \
	VMOVUPS (SI), X; \
	VMOVUPS 64(SI), Z17; \
	TOBF16(X, Z16, K2); \
	TOBF16(Z17, Z18, K3); \
	VPERMT2W Z17, Z27, X; \
	CMPQ R8, $NEXT; \
	CMOVQLE R13, R12; \
	ADDQ R12, SI

// PAIRS4 and LANES are steps of turning 16 rows of 16 dwords: first in each lane of 4 by 4, then the lanes.
#define PAIRS4(A, B, C, D, T0, T1, T2, T3) \
	VPUNPCKLDQ B, A, T0; \
	VPUNPCKHDQ B, A, T1; \
	VPUNPCKLDQ D, C, T2; \
	VPUNPCKHDQ D, C, T3; \
	VPUNPCKLQDQ T2, T0, A; \
	VPUNPCKHQDQ T2, T0, B; \
	VPUNPCKLQDQ T3, T1, C; \
	VPUNPCKHQDQ T3, T1, D

#define LANES(A, B, C, D, T0, T1, T2, T3, at) \
	VSHUFI32X4 $0x88, B, A, T0; \
	VSHUFI32X4 $0xdd, B, A, T1; \
	VSHUFI32X4 $0x88, D, C, T2; \
	VSHUFI32X4 $0xdd, D, C, T3; \
	VSHUFI32X4 $0x88, T2, T0, A; \
	VSHUFI32X4 $0x88, T3, T1, B; \
	VSHUFI32X4 $0xdd, T2, T0, C; \
	VSHUFI32X4 $0xdd, T3, T1, D; \
	VMOVDQU32 A, K1, at(DI); \
	VMOVDQU32 B, K1, 256+at(DI); \
	VMOVDQU32 C, K1, 512+at(DI); \
	VMOVDQU32 D, K1, 768+at(DI)

// func queriesAVX512(q *uint16, x *float32, ldx, rows, n int, scale float32)
// rows of n values, a multiple of 32, times scale as bfloat16, packed as for VDPBF16PS.
TEXT ·queriesAVX512(SB), NOSPLIT, $0-44
	MOVQ q+0(FP), DI
	MOVQ x+8(FP), R11
	MOVQ ldx+16(FP), R9
	MOVQ rows+24(FP), R8
	VBROADCASTSS scale+40(FP), Z2
	VMOVDQU64 packedWords<>(SB), Z27
	SHLQ $2, R9
	BF16CONST
row:
	MOVQ R11, SI
	MOVQ n+32(FP), CX
values:
	VMULPS (SI), Z2, Z0
	VMULPS 64(SI), Z2, Z3
	TOBF16(Z0, Z1, K2)
	TOBF16(Z3, Z4, K3)
	VPERMT2W Z3, Z27, Z0
	VMOVDQU64 Z0, (DI)
	ADDQ $128, SI
	ADDQ $64, DI
	SUBQ $32, CX
	JA values
	ADDQ R9, R11
	DECQ R8
	JNZ row
	VZEROUPPER
	RET

// func putKeysAVX512(b *byte, x *float32, ldx, rows, n int)
// 32 values of up to 16 keys at a time: Z0 to Z15 the keys, then pairs of values of all.
TEXT ·putKeysAVX512(SB), NOSPLIT, $0-40
	MOVQ b+0(FP), DI
	MOVQ x+8(FP), R11
	MOVQ ldx+16(FP), R9
	MOVQ rows+24(FP), R8
	MOVQ n+32(FP), R10
	SHLQ $2, R9
	XORQ R13, R13
	MOVQ R8, CX
	MASK
loop:
	BF16CONST
	VMOVDQU64 highWords<>(SB), Z27
	MOVQ R11, SI
	MOVQ R9, R12
	KEYROW(Z0, 1)
	KEYROW(Z1, 2)
	KEYROW(Z2, 3)
	KEYROW(Z3, 4)
	KEYROW(Z4, 5)
	KEYROW(Z5, 6)
	KEYROW(Z6, 7)
	KEYROW(Z7, 8)
	KEYROW(Z8, 9)
	KEYROW(Z9, 10)
	KEYROW(Z10, 11)
	KEYROW(Z11, 12)
	KEYROW(Z12, 13)
	KEYROW(Z13, 14)
	KEYROW(Z14, 15)
	KEYROW(Z15, 16)
	PAIRS4(Z0, Z1, Z2, Z3, Z16, Z17, Z18, Z19)
	PAIRS4(Z4, Z5, Z6, Z7, Z20, Z21, Z22, Z23)
	PAIRS4(Z8, Z9, Z10, Z11, Z24, Z25, Z26, Z27)
	PAIRS4(Z12, Z13, Z14, Z15, Z28, Z29, Z30, Z31)
	LANES(Z0, Z4, Z8, Z12, Z16, Z17, Z18, Z19, 0)
	LANES(Z1, Z5, Z9, Z13, Z20, Z21, Z22, Z23, 64)
	LANES(Z2, Z6, Z10, Z14, Z24, Z25, Z26, Z27, 128)
	LANES(Z3, Z7, Z11, Z15, Z28, Z29, Z30, Z31, 192)
	ADDQ $128, R11
	ADDQ $1024, DI
	SUBQ $32, R10
	JA loop
	VZEROUPPER
	RET

// func putValuesAVX512(b *byte, x *float32, ldx, pairs, n int)
// Two values' rows become a row of pairs; 16 columns of all pairs, 1024 bytes apart, at a time.
TEXT ·putValuesAVX512(SB), NOSPLIT, $0-40
	MOVQ b+0(FP), R8
	MOVQ x+8(FP), R11
	MOVQ ldx+16(FP), R9
	MOVQ n+32(FP), R10
	SHLQ $2, R9
	BF16CONST
columns:
	MOVQ R8, DI
	MOVQ R11, SI
	MOVQ pairs+24(FP), CX
pair:
	VMOVUPS (SI), Z0
	VMOVUPS (SI)(R9*1), Z2
	TOBF16(Z0, Z1, K2)
	TOBF16(Z2, Z3, K3)
	VPSRLD $16, Z0, Z0
	VPORD Z2, Z0, Z0
	VMOVDQU32 Z0, (DI)
	LEAQ (SI)(R9*2), SI
	ADDQ $64, DI
	DECQ CX
	JNZ pair
	ADDQ $64, R11
	ADDQ $1024, R8
	SUBQ $16, R10
	JA columns
	VZEROUPPER
	RET

// func divideRowsAVX512(out, o, l *float32, rows, dim, hd int)
// DI a row of out, SI of o, DX of l; Z2 one over the sum of l.
TEXT ·divideRowsAVX512(SB), NOSPLIT, $0-48
	MOVQ out+0(FP), DI
	MOVQ o+8(FP), SI
	MOVQ l+16(FP), DX
	MOVQ rows+24(FP), R8
	MOVQ dim+32(FP), R9
	MOVQ hd+40(FP), R10
	SUBQ R9, R10
	MOVL $0x3f800000, AX // 1
	VMOVD AX, X3
row:
	VMOVUPS (DX), Z2
	FOLD(VADDPS, Z2, Y2, X2, Y1, X1)
	VDIVSS X2, X3, X2
	VBROADCASTSS X2, Z2
	MOVQ R9, CX
column:
	MASK
	VMULPS.Z (SI), Z2, K1, Z0
	VMOVUPS Z0, K1, (DI)
	LEAQ (SI)(BX*4), SI
	LEAQ (DI)(BX*4), DI
	SUBQ $16, CX
	JA column
	LEAQ (SI)(R10*4), SI
	ADDQ $64, DX
	DECQ R8
	JNZ row
	VZEROUPPER
	RET

// FTZON sets FTZ and DAZ (0x8040), as TDPBF16PS always has them. A switch costs
// 90 ns at the next float instruction, so calls must be long.
#define FTZON \
	STMXCSR old-4(SP); \
	MOVL old-4(SP), AX; \
	ORL $0x8040, AX; \
	MOVL AX, new-8(SP); \
	LDMXCSR new-8(SP)

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

// Of four words those of pairs: 2, 0, 3, 1.
DATA pairs4<>+0x00(SB)/8, $0x0302070601000504
DATA pairs4<>+0x08(SB)/8, $0x0b0a0f0e09080d0c
GLOBL pairs4<>(SB), RODATA|NOPTR, $0x10

// softmax is softmaxBlock for CX <= 16 rows: SI s [16][32], R9 m, R10 l, DI o,
// DX hd, R11 the mode; with AMX and pairs p goes to R13. R8, unless negative, is the mask
// of the scores. First the new maxima, a lane a row; then a = 2^(m - M) of all rows,
// and l and o are multiplied in the rows where it is not 1; then p, two
// registers a row. A NaN may or may not be the maximum: its row is lost anyway.
TEXT softmax<>(SB), NOSPLIT, $64-0
	EXP2CONST
	VBROADCASTI32X4 pairs4<>(SB), Z27
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
	VMOVDQA32 Z0, Z2
	CMPQ R11, $const_attnPairs
	JNE asis
	VPSHUFB Z27, Z0, Z2
asis:
	VMOVDQU32 Z2, (R13)
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
	CMPQ R11, $const_attnPairs
	JEQ pairsqk
	CMPQ R11, $const_attnF32
	MOVQ $128, R11
	JEQ f32qk
	CALL qpt∕kernels∕internal∕dot·rowsBF16(SB)
	JMP scores
f32qk:
	CALL qpt∕kernels∕internal∕dot·rowsF32(SB)
	JMP scores
pairsqk:
	SUBQ attnArgs_q(BX), AX
	SHRQ $1, AX
	ADDQ attnArgs_q16(BX), AX
	SHRQ $1, R8
	MOVQ $128, R11
	CALL qpt∕kernels∕internal∕dot·rowsPairs(SB)
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
	CMPQ R11, $const_attnPairs
	JEQ pairspv
	CMPQ R11, $const_attnF32
	MOVQ R9, R11
	JEQ f32pv
	MOVQ $1024, R13
	CALL qpt∕kernels∕internal∕dot·rowsBF16(SB)
	JMP next
f32pv:
	MOVQ $2048, R13
	CALL qpt∕kernels∕internal∕dot·rowsF32(SB)
	JMP next
pairspv:
	MOVQ attnArgs_p(BX), AX
	MOVQ $64, R8
	MOVQ R9, R11
	MOVQ $1024, R13
	CALL qpt∕kernels∕internal∕dot·rowsPairs(SB)
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
