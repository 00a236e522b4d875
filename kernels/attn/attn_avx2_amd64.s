//go:build !purego

#include "textflag.h"

// softmaxBlock on 8 lanes, for machines without AVX-512. With 16 registers constants stay in
// memory, repeated 8 times.

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
