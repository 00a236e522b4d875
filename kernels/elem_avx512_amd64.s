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

// func expandKeysAVX512(dst, codes *byte, rows int, scale *float32)
// Z2, Z3: scales 0..7 and 8..15, each twice.
TEXT ·expandKeysAVX512(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ codes+8(FP), SI
	MOVQ rows+16(FP), CX
	MOVQ scale+24(FP), DX
	BF16CONST
	VPMOVZXDQ (DX), Z2
	VPSLLQ $32, Z2, Z0
	VPORQ Z0, Z2, Z2
	VPMOVZXDQ 32(DX), Z3
	VPSLLQ $32, Z3, Z0
	VPORQ Z0, Z3, Z3
loop:
	EXPAND(0, Z2)
	EXPAND(16, Z3)
	ADDQ $32, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func expandValuesAVX512(dst, codes *byte, rows int, scale *float32)
TEXT ·expandValuesAVX512(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ codes+8(FP), SI
	MOVQ rows+16(FP), CX
	MOVQ scale+24(FP), DX
	BF16CONST
loop:
	VBROADCASTSD (DX), Z2
	EXPAND(0, Z2)
	EXPAND(16, Z2)
	ADDQ $32, SI
	ADDQ $64, DI
	ADDQ $8, DX
	DECQ CX
	JNZ loop
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
