//go:build !purego

#include "textflag.h"

// Attention and activations on 8 lanes, for machines without AVX-512:
// attention.go, linear_float.go and elem.go say what they compute, to the bit.
// With 16 registers constants stay in memory, repeated 8 times.

DATA least2<>+0(SB)/8, $0xc2fc0000c2fc0000
DATA least2<>+8(SB)/8, $0xc2fc0000c2fc0000
DATA least2<>+16(SB)/8, $0xc2fc0000c2fc0000
DATA least2<>+24(SB)/8, $0xc2fc0000c2fc0000
GLOBL least2<>(SB), RODATA|NOPTR, $32
DATA magic<>+0(SB)/8, $0x4b4000004b400000
DATA magic<>+8(SB)/8, $0x4b4000004b400000
DATA magic<>+16(SB)/8, $0x4b4000004b400000
DATA magic<>+24(SB)/8, $0x4b4000004b400000
GLOBL magic<>(SB), RODATA|NOPTR, $32
DATA c5<>+0(SB)/8, $0x3aaf64333aaf6433
DATA c5<>+8(SB)/8, $0x3aaf64333aaf6433
DATA c5<>+16(SB)/8, $0x3aaf64333aaf6433
DATA c5<>+24(SB)/8, $0x3aaf64333aaf6433
GLOBL c5<>(SB), RODATA|NOPTR, $32
DATA c4<>+0(SB)/8, $0x3c1e5fb03c1e5fb0
DATA c4<>+8(SB)/8, $0x3c1e5fb03c1e5fb0
DATA c4<>+16(SB)/8, $0x3c1e5fb03c1e5fb0
DATA c4<>+24(SB)/8, $0x3c1e5fb03c1e5fb0
GLOBL c4<>(SB), RODATA|NOPTR, $32
DATA c3<>+0(SB)/8, $0x3d6357f73d6357f7
DATA c3<>+8(SB)/8, $0x3d6357f73d6357f7
DATA c3<>+16(SB)/8, $0x3d6357f73d6357f7
DATA c3<>+24(SB)/8, $0x3d6357f73d6357f7
GLOBL c3<>(SB), RODATA|NOPTR, $32
DATA c2<>+0(SB)/8, $0x3e75fd263e75fd26
DATA c2<>+8(SB)/8, $0x3e75fd263e75fd26
DATA c2<>+16(SB)/8, $0x3e75fd263e75fd26
DATA c2<>+24(SB)/8, $0x3e75fd263e75fd26
GLOBL c2<>(SB), RODATA|NOPTR, $32
DATA c1<>+0(SB)/8, $0x3f3172183f317218
DATA c1<>+8(SB)/8, $0x3f3172183f317218
DATA c1<>+16(SB)/8, $0x3f3172183f317218
DATA c1<>+24(SB)/8, $0x3f3172183f317218
GLOBL c1<>(SB), RODATA|NOPTR, $32
DATA one<>+0(SB)/8, $0x3f8000003f800000
DATA one<>+8(SB)/8, $0x3f8000003f800000
DATA one<>+16(SB)/8, $0x3f8000003f800000
DATA one<>+24(SB)/8, $0x3f8000003f800000
GLOBL one<>(SB), RODATA|NOPTR, $32
DATA least<>+0(SB)/8, $0xc2ae0000c2ae0000
DATA least<>+8(SB)/8, $0xc2ae0000c2ae0000
DATA least<>+16(SB)/8, $0xc2ae0000c2ae0000
DATA least<>+24(SB)/8, $0xc2ae0000c2ae0000
GLOBL least<>(SB), RODATA|NOPTR, $32
DATA most<>+0(SB)/8, $0x42b2000042b20000
DATA most<>+8(SB)/8, $0x42b2000042b20000
DATA most<>+16(SB)/8, $0x42b2000042b20000
DATA most<>+24(SB)/8, $0x42b2000042b20000
GLOBL most<>(SB), RODATA|NOPTR, $32
DATA log2e<>+0(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA log2e<>+8(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA log2e<>+16(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA log2e<>+24(SB)/8, $0x3fb8aa3b3fb8aa3b
GLOBL log2e<>(SB), RODATA|NOPTR, $32
DATA expHi<>+0(SB)/8, $0x3f3170003f317000
DATA expHi<>+8(SB)/8, $0x3f3170003f317000
DATA expHi<>+16(SB)/8, $0x3f3170003f317000
DATA expHi<>+24(SB)/8, $0x3f3170003f317000
GLOBL expHi<>(SB), RODATA|NOPTR, $32
DATA expLo<>+0(SB)/8, $0x3805fdf43805fdf4
DATA expLo<>+8(SB)/8, $0x3805fdf43805fdf4
DATA expLo<>+16(SB)/8, $0x3805fdf43805fdf4
DATA expLo<>+24(SB)/8, $0x3805fdf43805fdf4
GLOBL expLo<>(SB), RODATA|NOPTR, $32
DATA e6<>+0(SB)/8, $0x3ab688853ab68885
DATA e6<>+8(SB)/8, $0x3ab688853ab68885
DATA e6<>+16(SB)/8, $0x3ab688853ab68885
DATA e6<>+24(SB)/8, $0x3ab688853ab68885
GLOBL e6<>(SB), RODATA|NOPTR, $32
DATA e5<>+0(SB)/8, $0x3c0905b73c0905b7
DATA e5<>+8(SB)/8, $0x3c0905b73c0905b7
DATA e5<>+16(SB)/8, $0x3c0905b73c0905b7
DATA e5<>+24(SB)/8, $0x3c0905b73c0905b7
GLOBL e5<>(SB), RODATA|NOPTR, $32
DATA e4<>+0(SB)/8, $0x3d2aaa8d3d2aaa8d
DATA e4<>+8(SB)/8, $0x3d2aaa8d3d2aaa8d
DATA e4<>+16(SB)/8, $0x3d2aaa8d3d2aaa8d
DATA e4<>+24(SB)/8, $0x3d2aaa8d3d2aaa8d
GLOBL e4<>(SB), RODATA|NOPTR, $32
DATA e3<>+0(SB)/8, $0x3e2aaa6e3e2aaa6e
DATA e3<>+8(SB)/8, $0x3e2aaa6e3e2aaa6e
DATA e3<>+16(SB)/8, $0x3e2aaa6e3e2aaa6e
DATA e3<>+24(SB)/8, $0x3e2aaa6e3e2aaa6e
GLOBL e3<>(SB), RODATA|NOPTR, $32
DATA e2<>+0(SB)/8, $0x3f0000003f000000
DATA e2<>+8(SB)/8, $0x3f0000003f000000
DATA e2<>+16(SB)/8, $0x3f0000003f000000
DATA e2<>+24(SB)/8, $0x3f0000003f000000
GLOBL e2<>(SB), RODATA|NOPTR, $32
DATA sign<>+0(SB)/8, $0x8000000080000000
DATA sign<>+8(SB)/8, $0x8000000080000000
DATA sign<>+16(SB)/8, $0x8000000080000000
DATA sign<>+24(SB)/8, $0x8000000080000000
GLOBL sign<>(SB), RODATA|NOPTR, $32
DATA bias<>+0(SB)/8, $0x0000007f0000007f
DATA bias<>+8(SB)/8, $0x0000007f0000007f
DATA bias<>+16(SB)/8, $0x0000007f0000007f
DATA bias<>+24(SB)/8, $0x0000007f0000007f
GLOBL bias<>(SB), RODATA|NOPTR, $32
DATA bit<>+0(SB)/8, $0x0000000100000001
DATA bit<>+8(SB)/8, $0x0000000100000001
DATA bit<>+16(SB)/8, $0x0000000100000001
DATA bit<>+24(SB)/8, $0x0000000100000001
GLOBL bit<>(SB), RODATA|NOPTR, $32
DATA half<>+0(SB)/8, $0x00007fff00007fff
DATA half<>+8(SB)/8, $0x00007fff00007fff
DATA half<>+16(SB)/8, $0x00007fff00007fff
DATA half<>+24(SB)/8, $0x00007fff00007fff
GLOBL half<>(SB), RODATA|NOPTR, $32
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

// EXP2: P = 2^X, see exp2. Spoils X, N, M.
#define EXP2(X, N, P, M) \
	VCMPPS $5, least2<>(SB), X, M; \
	VADDPS magic<>(SB), X, N; \
	VSUBPS magic<>(SB), N, N; \
	VSUBPS N, X, X; \
	VMOVUPS c5<>(SB), P; \
	VFMADD213PS c4<>(SB), X, P; \
	VFMADD213PS c3<>(SB), X, P; \
	VFMADD213PS c2<>(SB), X, P; \
	VFMADD213PS c1<>(SB), X, P; \
	VFMADD213PS one<>(SB), X, P; \
	VCVTPS2DQ N, N; \
	VPADDD bias<>(SB), N, N; \
	VPSLLD $23, N, N; \
	VMULPS N, P, P; \
	VANDPS M, P, P

// EXP: P = exp(X), see exp32. Spoils X, N, M, T. VMINPS gives X when that is NaN.
#define EXP(X, N, P, M, T) \
	VCMPPS $5, least<>(SB), X, M; \
	VMOVUPS most<>(SB), T; \
	VMINPS X, T, X; \
	VMULPS log2e<>(SB), X, N; \
	VADDPS magic<>(SB), N, N; \
	VSUBPS magic<>(SB), N, N; \
	VMULPS expHi<>(SB), N, P; \
	VSUBPS P, X, X; \
	VMULPS expLo<>(SB), N, P; \
	VSUBPS P, X, X; \
	VMULPS e6<>(SB), X, P; \
	VADDPS e5<>(SB), P, P; \
	VMULPS X, P, P; \
	VADDPS e4<>(SB), P, P; \
	VMULPS X, P, P; \
	VADDPS e3<>(SB), P, P; \
	VMULPS X, P, P; \
	VADDPS e2<>(SB), P, P; \
	VMULPS X, P, P; \
	VMULPS X, P, P; \
	VADDPS X, P, P; \
	VADDPS one<>(SB), P, P; \
	VCVTPS2DQ N, N; \
	VPSRAD $1, N, T; \
	VPSUBD T, N, N; \
	VPADDD bias<>(SB), T, T; \
	VPSLLD $23, T, T; \
	VMULPS T, P, P; \
	VPADDD bias<>(SB), N, N; \
	VPSLLD $23, N, N; \
	VMULPS N, P, P; \
	VANDPS M, P, P

// ROUND: X = X rounded to bfloat16; a NaN stays one if none of its low bits is set.
#define ROUND(X, T) \
	VPSRLD $16, X, T; \
	VPAND bit<>(SB), T, T; \
	VPADDD half<>(SB), T, T; \
	VPADDD X, T, T; \
	VPAND high<>(SB), T, X

// func softmaxBlockAVX2(rows int, s, m, l, o *float32, hd, half int)
// CX rows, SI s, R9 m, R10 l, DI o, DX bytes of a row of o, R8 rounds p; Y12 the
// new maximum, Y13 a = 2^(m - M).
TEXT ·softmaxBlockAVX2(SB), NOSPLIT, $0-56
	MOVQ rows+0(FP), CX
	MOVQ s+8(FP), SI
	MOVQ m+16(FP), R9
	MOVQ l+24(FP), R10
	MOVQ o+32(FP), DI
	MOVQ hd+40(FP), DX
	MOVQ half+48(FP), R8
	SHLQ $2, DX

row:
	VMOVUPS (SI), Y0
	VMAXPS 32(SI), Y0, Y0
	VMAXPS 64(SI), Y0, Y0
	VMAXPS 96(SI), Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VMAXPS X1, X0, X0
	VPERMILPS $0x4e, X0, X1
	VMAXPS X1, X0, X0
	VPERMILPS $0xb1, X0, X1
	VMAXPS X1, X0, X0
	VBROADCASTSS X0, Y12
	VBROADCASTSS (R9), Y0
	VMAXPS Y0, Y12, Y12
	VMOVSS X12, (R9)
	VSUBPS Y12, Y0, Y0
	EXP2(Y0, Y5, Y13, Y7)
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VSUBPS Y12, Y0, Y0
	VSUBPS Y12, Y1, Y1
	VSUBPS Y12, Y2, Y2
	VSUBPS Y12, Y3, Y3
	EXP2(Y0, Y5, Y8, Y7)
	EXP2(Y1, Y5, Y9, Y7)
	EXP2(Y2, Y5, Y10, Y7)
	EXP2(Y3, Y5, Y11, Y7)
	TESTQ R8, R8
	JZ rounded
	ROUND(Y8, Y5)
	ROUND(Y9, Y5)
	ROUND(Y10, Y5)
	ROUND(Y11, Y5)

rounded:
	VMOVUPS Y8, (SI)
	VMOVUPS Y9, 32(SI)
	VMOVUPS Y10, 64(SI)
	VMOVUPS Y11, 96(SI)
	VHADDPS Y9, Y8, Y8
	VPERMPD $0xd8, Y8, Y8
	VMULPS (R10), Y13, Y5
	VADDPS Y8, Y5, Y5
	VMOVUPS Y5, (R10)
	VHADDPS Y11, Y10, Y10
	VPERMPD $0xd8, Y10, Y10
	VMULPS 32(R10), Y13, Y5
	VADDPS Y10, Y5, Y5
	VMOVUPS Y5, 32(R10)
	VCMPPS $4, one<>(SB), Y13, Y5 // not equal, true for NaN
	VMOVMSKPS Y5, AX
	TESTL AX, AX
	JZ scaled
	XORQ AX, AX

column:
	VMULPS (DI)(AX*1), Y13, Y5
	VMOVUPS Y5, (DI)(AX*1)
	ADDQ $32, AX
	CMPQ AX, DX
	JLT column

scaled:
	ADDQ $128, SI
	ADDQ $4, R9
	ADDQ $64, R10
	ADDQ DX, DI
	DECQ CX
	JNZ row
	VZEROUPPER
	RET

// func siluMulAVX2(dst, gate, u *float32, n int)
// n is a multiple of 8.
TEXT ·siluMulAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ gate+8(FP), SI
	MOVQ u+16(FP), DX
	MOVQ n+24(FP), CX

loop:
	VMOVUPS (SI), Y0
	VXORPS sign<>(SB), Y0, Y1
	EXP(Y1, Y2, Y3, Y4, Y5)
	VADDPS one<>(SB), Y3, Y3
	VDIVPS Y3, Y0, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// func roundBF16AVX2(dst *uint16, wide, x *float32, n int, scale float32)
// n is a multiple of 8.
TEXT ·roundBF16AVX2(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ wide+8(FP), DX
	MOVQ x+16(FP), SI
	MOVQ n+24(FP), CX
	VBROADCASTSS scale+32(FP), Y2
	MOVL $0x400000, AX
	VMOVD AX, X3
	VPBROADCASTD X3, Y3

loop:
	VMULPS (SI), Y2, Y0
	VCMPPS $3, Y0, Y0, Y4 // NaN: made quiet, not rounded
	VPOR Y3, Y0, Y5
	VPAND high<>(SB), Y5, Y5
	ROUND(Y0, Y1)
	VBLENDVPS Y4, Y5, Y0, Y0
	VMOVUPS Y0, (DX)
	VPSRLD $16, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKUSDW X1, X0, X0
	VMOVDQU X0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $16, DI
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

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

// func dotBF16x2AVX2(c *float32, ldc int, a *float32, lda int, b *byte, stride, nb, k int)
TEXT ·dotBF16x2AVX2(SB), NOSPLIT, $8-64
	START
block:
	BLOCK
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
	NEXTBLOCK
	JNZ block
	LDMXCSR old-4(SP)
	VZEROUPPER
	RET
