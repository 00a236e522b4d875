//go:build !purego

#include "textflag.h"
#include "exp_avx512_amd64.h"

// Elementwise loops. n > 0 values, 16 at a time, the last ones under mask K1:
// LOOP's condition is n left in CX. Each function is its Go twin lane by lane.

// MASK: K1 = the first min(CX, 16) lanes.
#define MASK \
	MOVL $16, BX; \
	CMPQ CX, BX; \
	CMOVQLT CX, BX; \
	MOVL $-1, AX; \
	BZHIL BX, AX, AX; \
	KMOVW AX, K1

// func absMaxAVX512(x *float32, n int) uint32
TEXT ·absMaxAVX512(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	MOVL $0x7fffffff, AX
	VPBROADCASTD AX, Z2
	VPXORD Z0, Z0, Z0
	CMPQ CX, $16
	JB tail
loop:
	VPANDD (SI), Z2, Z1
	VPMAXUD Z1, Z0, Z0
	ADDQ $64, SI
	SUBQ $16, CX
	CMPQ CX, $16
	JAE loop
tail:
	MASK
	VMOVDQU32.Z (SI), K1, Z1
	VPANDD Z2, Z1, Z1
	VPMAXUD Z1, Z0, Z0
	FOLD(VPMAXUD, Z0, Y0, X0, Y1, X1)
	VMOVD X0, AX
	MOVL AX, ret+16(FP)
	VZEROUPPER
	RET

// func codes8AVX512(dst *byte, x *float32, n int, inv, lo, hi float32, zero int32)
TEXT ·codes8AVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS inv+24(FP), Z1
	VBROADCASTSS lo+28(FP), Z2
	VBROADCASTSS hi+32(FP), Z3
	MOVL zero+36(FP), AX
	VPBROADCASTD AX, Z4
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VMULPS Z1, Z0, Z0
	VMAXPS Z2, Z0, Z0 // NaN gives lo
	VMINPS Z3, Z0, Z0
	VCVTPS2DQ Z0, Z0
	VPADDD Z4, Z0, Z0
	VPMOVDB Z0, K1, (DI)
	ADDQ $64, SI
	ADDQ $16, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// func codes16AVX512(hi, lo *byte, x *float32, n int, inv float32)
TEXT ·codes16AVX512(SB), NOSPLIT, $0-36
	MOVQ hi+0(FP), DI
	MOVQ lo+8(FP), DX
	MOVQ x+16(FP), SI
	MOVQ n+24(FP), CX
	VBROADCASTSS inv+32(FP), Z1
	MOVL $32768, AX
	VPBROADCASTD AX, Z2
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VMULPS Z1, Z0, Z0
	VCVTPS2DQ Z0, Z0
	VPADDD Z2, Z0, Z0
	VPMOVDB Z0, K1, (DX)
	VPSRLD $8, Z0, Z0
	VPMOVDB Z0, K1, (DI)
	ADDQ $64, SI
	ADDQ $16, DI
	ADDQ $16, DX
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// func roundBF16AVX512(dst *uint16, wide, x *float32, n int, scale float32)
TEXT ·roundBF16AVX512(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ wide+8(FP), DX
	MOVQ x+16(FP), SI
	MOVQ n+24(FP), CX
	VBROADCASTSS scale+32(FP), Z2
	BF16CONST
loop:
	MASK
	VMULPS.Z (SI), Z2, K1, Z0
	TOBF16(Z0, Z1, K2)
	VMOVUPS Z0, K1, (DX)
	VPSRLD $16, Z0, Z0
	VPMOVDW Z0, K1, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $32, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// func siluMulAVX512(dst, gate, u *float32, n int)
TEXT ·siluMulAVX512(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ gate+8(FP), SI
	MOVQ u+16(FP), DX
	MOVQ n+24(FP), CX
	EXPCONST
	VPXORD Z4, Z4, Z4
	VPTERNLOGD $0xff, Z4, Z4, Z4
	VPSLLD $31, Z4, Z4
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VPXORD Z4, Z0, Z1
	EXP(Z1, Z2, Z3, K2)
	VADDPS Z24, Z3, Z3
	VDIVPS Z3, Z0, Z0
	VMOVUPS.Z (DX), K1, Z1
	VMULPS Z1, Z0, Z0
	VMOVUPS Z0, K1, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// func siluAVX512(dst, x *float32, n int)
TEXT ·siluAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	EXPCONST
	VPTERNLOGD $0xff, Z4, Z4, Z4
	VPSLLD $31, Z4, Z4
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VPXORD Z4, Z0, Z1
	EXP(Z1, Z2, Z3, K2)
	VADDPS Z24, Z3, Z3
	VDIVPS Z3, Z0, Z0
	VMOVUPS Z0, K1, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// func geluTanhAVX512(dst, x *float32, n int)
TEXT ·geluTanhAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	EXPCONST
	VBROADCASTSS expConst<>+0x2c(SB), Z5
	VBROADCASTSS expConst<>+0x30(SB), Z6
	VPTERNLOGD $0xff, Z4, Z4, Z4
	VPSLLD $31, Z4, Z4
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VMULPS Z0, Z0, Z1
	VMULPS Z6, Z1, Z1
	VADDPS Z5, Z1, Z1
	VMULPS Z0, Z1, Z1
	VPXORD Z4, Z1, Z1
	EXP(Z1, Z2, Z3, K2)
	VADDPS Z24, Z3, Z3
	VDIVPS Z3, Z0, Z0
	VMOVUPS Z0, K1, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// func addAVX512(dst, a, b *float32, n int)
TEXT ·addAVX512(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z (DX), K1, Z1
	VADDPS Z1, Z0, Z0
	VMOVUPS Z0, K1, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// func mulAVX512(dst, a, b *float32, n int)
TEXT ·mulAVX512(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z (DX), K1, Z1
	VMULPS Z1, Z0, Z0
	VMOVUPS Z0, K1, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

// func sumSquaresAVX512(x *float32, n int) float32
TEXT ·sumSquaresAVX512(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VPXORD Z0, Z0, Z0
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z1
	VMULPS Z1, Z1, Z1
	VADDPS Z1, Z0, Z0
	ADDQ $64, SI
	SUBQ $16, CX
	JA loop
	FOLD(VADDPS, Z0, Y0, X0, Y1, X1)
	VMOVSS X0, ret+16(FP)
	VZEROUPPER
	RET

// func normRowAVX512(dst, x, w *float32, n int, inv, offset float32)
TEXT ·normRowAVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ w+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS inv+32(FP), Z2
	VBROADCASTSS offset+36(FP), Z3
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z (DX), K1, Z1
	VMULPS Z2, Z0, Z0
	VADDPS Z3, Z1, Z1
	VMULPS Z1, Z0, Z0
	VMOVUPS Z0, K1, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
	JA loop
	VZEROUPPER
	RET

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

// func rotateHalvesAVX512(x, t *float32, n, heads, headDim int)
// SI, DI the halves at the present value; DX, R8 cosines and sines.
TEXT ·rotateHalvesAVX512(SB), NOSPLIT, $0-40
	MOVQ x+0(FP), R9
	MOVQ n+16(FP), R10
	MOVQ heads+24(FP), R11
	MOVQ headDim+32(FP), R12
head:
	MOVQ R9, SI
	LEAQ (R9)(R10*4), DI
	MOVQ t+8(FP), DX
	LEAQ (DX)(R10*4), R8
	MOVQ R10, CX
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z (DI), K1, Z1
	VMOVUPS.Z (DX), K1, Z2
	VMOVUPS.Z (R8), K1, Z3
	VMULPS Z2, Z0, Z4
	VMULPS Z3, Z1, Z5
	VSUBPS Z5, Z4, Z4
	VMULPS Z2, Z1, Z1
	VMULPS Z3, Z0, Z0
	VADDPS Z0, Z1, Z1
	VMOVUPS Z4, K1, (SI)
	VMOVUPS Z1, K1, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	ADDQ $64, DX
	ADDQ $64, R8
	SUBQ $16, CX
	JA loop
	LEAQ (R9)(R12*4), R9
	DECQ R11
	JNZ head
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
	VMOVSS expConst<>+0x20(SB), X3
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
