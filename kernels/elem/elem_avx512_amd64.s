//go:build !purego

#include "textflag.h"

// Elementwise loops. n > 0 values, 16 at a time, the last ones under mask K1:
// LOOP's condition is n left in CX. Each function is its Go twin lane by lane.

DATA expConst<>+0x00(SB)/4, $1.44269504           // log2(e)
DATA expConst<>+0x04(SB)/4, $0.693115234375       // expHi
DATA expConst<>+0x08(SB)/4, $3.194618494529e-05   // expLo
DATA expConst<>+0x0c(SB)/4, $0.0013926183587568192 // e6
DATA expConst<>+0x10(SB)/4, $0.00836317905270155  // e5
DATA expConst<>+0x14(SB)/4, $0.04166655461720603  // e4
DATA expConst<>+0x18(SB)/4, $0.16666576989699006  // e3
DATA expConst<>+0x1c(SB)/4, $0.5                  // e2
DATA expConst<>+0x20(SB)/4, $1.0
DATA expConst<>+0x24(SB)/4, $89.0
DATA expConst<>+0x28(SB)/4, $-87.0
DATA expConst<>+0x2c(SB)/4, $1.5957691216057308   // geluC1
DATA expConst<>+0x30(SB)/4, $0.07135481282740234  // geluC2
GLOBL expConst<>(SB), RODATA|NOPTR, $0x34

DATA geluConst<>+0x00(SB)/4, $14.0 // geluA
DATA geluConst<>+0x04(SB)/4, $0.3 // geluP
DATA geluConst<>+0x08(SB)/4, $-0.5 // -1/2
DATA geluConst<>+0x0c(SB)/4, $0.037547770887613297 // geluR7
DATA geluConst<>+0x10(SB)/4, $-0.16490502655506134 // geluR6
DATA geluConst<>+0x14(SB)/4, $0.21942146122455597 // geluR5
DATA geluConst<>+0x18(SB)/4, $-0.0654936358332634 // geluR4
DATA geluConst<>+0x1c(SB)/4, $0.1346747875213623 // geluR3
DATA geluConst<>+0x20(SB)/4, $0.09810864925384521 // geluR2
DATA geluConst<>+0x24(SB)/4, $0.1210343986749649 // geluR1
DATA geluConst<>+0x28(SB)/4, $0.11961164325475693 // geluR0
GLOBL geluConst<>(SB), RODATA|NOPTR, $0x2c

// Z16..Z26 hold the constants of EXP.
#define EXPCONST \
	VBROADCASTSS expConst<>+0x00(SB), Z16; \
	VBROADCASTSS expConst<>+0x04(SB), Z17; \
	VBROADCASTSS expConst<>+0x08(SB), Z18; \
	VBROADCASTSS expConst<>+0x0c(SB), Z19; \
	VBROADCASTSS expConst<>+0x10(SB), Z20; \
	VBROADCASTSS expConst<>+0x14(SB), Z21; \
	VBROADCASTSS expConst<>+0x18(SB), Z22; \
	VBROADCASTSS expConst<>+0x1c(SB), Z23; \
	VBROADCASTSS expConst<>+0x20(SB), Z24; \
	VBROADCASTSS expConst<>+0x24(SB), Z25; \
	VBROADCASTSS expConst<>+0x28(SB), Z26

// EXP: P = exp(X), see exp32. Spoils X, N, K. Predicate 5: not less than, true
// for NaN; VMINPS gives its second source, X, when that is NaN.
#define EXP(X, N, P, K) \
	VCMPPS $5, Z26, X, K; \
	VMINPS X, Z25, X; \
	VMULPS Z16, X, N; \
	VRNDSCALEPS $8, N, N; \
	VMULPS Z17, N, P; \
	VSUBPS P, X, X; \
	VMULPS Z18, N, P; \
	VSUBPS P, X, X; \
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
	VSCALEFPS.Z N, P, K, P

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

// func gate8AVX512(dst, x *byte, gate *float32, n int, r *Recoding)
TEXT ·gate8AVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ gate+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ r+32(FP), R8
	VBROADCASTSS 0(R8), Z1 // scale, inv, lo, hi, zero, toZero
	VBROADCASTSS 4(R8), Z2
	VBROADCASTSS 8(R8), Z3
	VBROADCASTSS 12(R8), Z4
	VPBROADCASTD 16(R8), Z5
	VPBROADCASTD 20(R8), Z6
loop:
	MASK
	VPMOVZXBD.Z (SI), K1, Z0
	VPSUBD Z5, Z0, Z0
	VCVTDQ2PS Z0, Z0
	VMULPS Z1, Z0, Z0
	VMULPS.Z (DX), Z0, K1, Z0
	VMULPS Z2, Z0, Z0
	VMAXPS Z3, Z0, Z0 // NaN gives lo
	VMINPS Z4, Z0, Z0
	VCVTPS2DQ Z0, Z0
	VPADDD Z6, Z0, Z0
	VPMOVDB Z0, K1, (DI)
	ADDQ $16, SI
	ADDQ $16, DI
	ADDQ $64, DX
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

// func toBF16AVX512(dst *uint16, x *float32, n int)
TEXT ·toBF16AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	BF16CONST
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	TOBF16(Z0, Z1, K2)
	VPSRLD $16, Z0, Z0
	VPMOVDW Z0, K1, (DI)
	ADDQ $64, SI
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

// func geluAVX512(dst, x *float32, n int)
// Z0 x, Z27 a, Z28 t, Z29 R; Z30 the bits of a magnitude.
TEXT ·geluAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	EXPCONST
	VBROADCASTSS geluConst<>+0x00(SB), Z5
	VBROADCASTSS geluConst<>+0x04(SB), Z6
	VBROADCASTSS geluConst<>+0x08(SB), Z7
	VBROADCASTSS geluConst<>+0x0c(SB), Z8
	VBROADCASTSS geluConst<>+0x10(SB), Z9
	VBROADCASTSS geluConst<>+0x14(SB), Z10
	VBROADCASTSS geluConst<>+0x18(SB), Z11
	VBROADCASTSS geluConst<>+0x1c(SB), Z12
	VBROADCASTSS geluConst<>+0x20(SB), Z13
	VBROADCASTSS geluConst<>+0x24(SB), Z14
	VBROADCASTSS geluConst<>+0x28(SB), Z15
	VPTERNLOGD $0xff, Z30, Z30, Z30
	VPSRLD $1, Z30, Z30
	VPXORD Z31, Z31, Z31
loop:
	MASK
	VMOVUPS.Z (SI), K1, Z0
	VPANDD Z30, Z0, Z27
	VMINPS Z5, Z27, Z27 // NaN gives 14; it stays in the other operand of the difference
	VMULPS Z6, Z27, Z28
	VADDPS Z24, Z28, Z28
	VDIVPS Z28, Z24, Z28
	VMULPS Z8, Z28, Z29
	VADDPS Z9, Z29, Z29
	VMULPS Z28, Z29, Z29
	VADDPS Z10, Z29, Z29
	VMULPS Z28, Z29, Z29
	VADDPS Z11, Z29, Z29
	VMULPS Z28, Z29, Z29
	VADDPS Z12, Z29, Z29
	VMULPS Z28, Z29, Z29
	VADDPS Z13, Z29, Z29
	VMULPS Z28, Z29, Z29
	VADDPS Z14, Z29, Z29
	VMULPS Z28, Z29, Z29
	VADDPS Z15, Z29, Z29
	VMULPS Z28, Z29, Z29
	VMULPS Z27, Z27, Z1
	VMULPS Z7, Z1, Z1
	EXP(Z1, Z2, Z3, K2)
	VMULPS Z3, Z29, Z29
	VMULPS Z29, Z27, Z27
	VCMPPS $5, Z31, Z0, K2
	VMOVAPS.Z Z0, K2, Z0
	VSUBPS Z27, Z0, Z0
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
