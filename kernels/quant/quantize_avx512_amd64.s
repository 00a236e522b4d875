//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Quantizing blocks of 16 rows, a lane a row; quantize_generic.go says what
// each function does, operation by operation.

// Constants, one to all lanes: 3<<22 (adding it rounds to an integer, ties to
// even, which is then the low bits), 1, 15, 1/2, 2^-120, integer 1, +Inf.
DATA quantconst<>+0(SB)/4, $0x4b400000
DATA quantconst<>+4(SB)/4, $0x3f800000
DATA quantconst<>+8(SB)/4, $0x41700000
DATA quantconst<>+12(SB)/4, $0x3f000000
DATA quantconst<>+16(SB)/4, $0x03800000
DATA quantconst<>+20(SB)/4, $1
DATA quantconst<>+24(SB)/4, $0x7f800000
GLOBL quantconst<>(SB), RODATA|NOPTR, $28

// -floor(128/g), then floor(127/g), for g = 1..16
DATA gscalemax<>+0(SB)/4, $0xc3000000 // -128
DATA gscalemax<>+4(SB)/4, $0xc2800000 // -64
DATA gscalemax<>+8(SB)/4, $0xc2280000 // -42
DATA gscalemax<>+12(SB)/4, $0xc2000000 // -32
DATA gscalemax<>+16(SB)/4, $0xc1c80000 // -25
DATA gscalemax<>+20(SB)/4, $0xc1a80000 // -21
DATA gscalemax<>+24(SB)/4, $0xc1900000 // -18
DATA gscalemax<>+28(SB)/4, $0xc1800000 // -16
DATA gscalemax<>+32(SB)/4, $0xc1600000 // -14
DATA gscalemax<>+36(SB)/4, $0xc1400000 // -12
DATA gscalemax<>+40(SB)/4, $0xc1300000 // -11
DATA gscalemax<>+44(SB)/4, $0xc1200000 // -10
DATA gscalemax<>+48(SB)/4, $0xc1100000 // -9
DATA gscalemax<>+52(SB)/4, $0xc1100000 // -9
DATA gscalemax<>+56(SB)/4, $0xc1000000 // -8
DATA gscalemax<>+60(SB)/4, $0xc1000000 // -8
DATA gscalemax<>+64(SB)/4, $0x42fe0000 // 127
DATA gscalemax<>+68(SB)/4, $0x427c0000 // 63
DATA gscalemax<>+72(SB)/4, $0x42280000 // 42
DATA gscalemax<>+76(SB)/4, $0x41f80000 // 31
DATA gscalemax<>+80(SB)/4, $0x41c80000 // 25
DATA gscalemax<>+84(SB)/4, $0x41a80000 // 21
DATA gscalemax<>+88(SB)/4, $0x41900000 // 18
DATA gscalemax<>+92(SB)/4, $0x41700000 // 15
DATA gscalemax<>+96(SB)/4, $0x41600000 // 14
DATA gscalemax<>+100(SB)/4, $0x41400000 // 12
DATA gscalemax<>+104(SB)/4, $0x41300000 // 11
DATA gscalemax<>+108(SB)/4, $0x41200000 // 10
DATA gscalemax<>+112(SB)/4, $0x41100000 // 9
DATA gscalemax<>+116(SB)/4, $0x41100000 // 9
DATA gscalemax<>+120(SB)/4, $0x41000000 // 8
DATA gscalemax<>+124(SB)/4, $0x40e00000 // 7
GLOBL gscalemax<>(SB), RODATA|NOPTR, $128

// SAFEINV: I = 1/S, 0 where S < 2^-120. Needs Z28 = 1, Z27 = 2^-120; uses K1.
#define SAFEINV(S, I) \
	VCMPPS $13, Z27, S, K1; \
	VDIVPS.Z S, Z28, K1, I

// BOUNDS: LO, HI = least and greatest code-zero for zero Z and G = gscale-1
// (integers), the rounding constant added. Needs Z31 = 3<<22, Z29 = the greatest code,
// Z26 = 0, tables Z24, Z25.
#define BOUNDS(Z, G, LO, HI) \
	VPERMPS Z24, G, LO; \
	VPERMPS Z25, G, HI; \
	VSUBPS Z, Z26, Z23; \
	VMAXPS Z23, LO, LO; \
	VSUBPS Z, Z29, Z23; \
	VMINPS Z23, HI, HI; \
	VADDPS Z31, LO, LO; \
	VADDPS Z31, HI, HI

// CODE: Q = clamp(round(V*INV)), still with the rounding constant.
#define CODE(V, INV, LO, HI, Q) \
	VMULPS INV, V, Q; \
	VADDPS Z31, Q, Q; \
	VMAXPS LO, Q, Q; \
	VMINPS HI, Q, Q

// RESIDUAL: Q becomes V - (Q without the constant)*STEP.
#define RESIDUAL(V, STEP, Q) \
	VSUBPS Z31, Q, Q; \
	VFNMADD213PS V, STEP, Q

// func spansAVX512(t *float32, pairs, groups int, lo, hi *lanes)
// A group is pairs*2 vectors. Z0, Z1 lo, Z2, Z3 hi.
TEXT ·spansAVX512(SB), NOSPLIT, $0-40
	MOVQ t+0(FP), SI
	MOVQ pairs+8(FP), BX
	MOVQ groups+16(FP), CX
	MOVQ lo+24(FP), R8
	MOVQ hi+32(FP), R9

group:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	MOVQ BX, DX

pair:
	VMINPS (SI), Z0, Z0
	VMAXPS (SI), Z2, Z2
	VMINPS 64(SI), Z1, Z1
	VMAXPS 64(SI), Z3, Z3
	ADDQ $128, SI
	DECQ DX
	JNZ pair
	VMINPS Z1, Z0, Z0
	VMAXPS Z3, Z2, Z2
	VMOVUPS Z0, (R8)
	VMOVUPS Z2, (R9)
	ADDQ $64, R8
	ADDQ $64, R9
	DECQ CX
	JNZ group
	VZEROUPPER
	RET

// Two trials side by side hide the latency of the sums. ERRORS adds one
// vector at SI: trial 0 in Z10 inv, Z11 lo, Z12 hi, Z13 step, Z14 err, trial 1
// in Z15..Z19; Z20..Z22 temporary.
#define BEGIN \
	VMOVUPS (SI), Z20; \
	CODE(Z20, Z10, Z11, Z12, Z21); \
	CODE(Z20, Z15, Z16, Z17, Z22); \
	RESIDUAL(Z20, Z13, Z21); \
	RESIDUAL(Z20, Z18, Z22)

#define ERRORS \
	BEGIN; \
	VFMADD231PS Z21, Z21, Z14; \
	VFMADD231PS Z22, Z22, Z19

// WEIGHTED: the same with the importance at DI.
#define WEIGHTED \
	BEGIN; \
	VMULPS.BCST (DI), Z21, Z20; \
	VFMADD231PS Z20, Z21, Z14; \
	VMULPS.BCST (DI), Z22, Z20; \
	VFMADD231PS Z20, Z22, Z19

// func trialsAVX512(t, imp *float32, k int, pair *[2]trial)
TEXT ·trialsAVX512(SB), NOSPLIT, $0-32
	MOVQ t+0(FP), SI
	MOVQ imp+8(FP), DI
	MOVQ k+16(FP), CX
	MOVQ pair+24(FP), AX
	VBROADCASTSS quantconst<>+0(SB), Z31
	VMOVUPS trial_inv(AX), Z10
	VADDPS trial_lo(AX), Z31, Z11
	VADDPS trial_hi(AX), Z31, Z12
	VMOVUPS trial_step(AX), Z13
	VMOVUPS trial_err(AX), Z14
	VMOVUPS (trial__size+trial_inv)(AX), Z15
	VADDPS (trial__size+trial_lo)(AX), Z31, Z16
	VADDPS (trial__size+trial_hi)(AX), Z31, Z17
	VMOVUPS (trial__size+trial_step)(AX), Z18
	VMOVUPS (trial__size+trial_err)(AX), Z19

loop:
	WEIGHTED
	ADDQ $64, SI
	ADDQ $4, DI
	DECQ CX
	JNZ loop
	VMOVUPS Z14, trial_err(AX)
	VMOVUPS Z19, (trial__size+trial_err)(AX)
	VZEROUPPER
	RET

// SETUP computes a trial and its parameter byte P from the candidate at BX+OFF.
// Z0 scale, Z1 floor of the span in steps, plus 1, Z2 (lo+hi)/2.
#define SETUP(OFF, INV, LO, HI, STEP, P) \
	VSUBPS.BCST (OFF+candidate_down)(BX), Z1, P; \
	VMAXPS Z28, P, P; \
	VMINPS Z30, P, P; \
	VMULPS Z0, P, STEP; \
	VCVTPS2DQ P, P; \
	VPSUBD Z9, P, P; \
	SAFEINV(STEP, INV); \
	VMULPS INV, Z2, Z20; \
	VADDPS.BCST (OFF+candidate_up)(BX), Z8, Z21; \
	VSUBPS Z20, Z21, Z20; \
	VMAXPS Z26, Z20, Z20; \
	VMINPS Z29, Z20, Z20; \
	VRNDSCALEPS $0, Z20, Z20; \
	BOUNDS(Z20, P, LO, HI); \
	VCVTPS2DQ Z20, Z20; \
	VPSLLVD.BCST groupSearch_bits(AX), P, P; \
	VPORD Z20, P, P

// func searchAVX512(a *groupSearch)
// Z0..Z2 as SETUP says, Z3 best error, Z4 its parameters, Z5 sum of the best
// errors, Z6, Z7 parameters on trial, Z8 levels/2, Z9 integer 1, Z10..Z22 as ERRORS says,
// Z29 levels, Z30 gscales, Z23..Z31 else constants.
TEXT ·searchAVX512(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), AX
	MOVQ groupSearch_t(AX), SI
	MOVQ groupSearch_imp(AX), DI
	MOVQ groupSearch_lo(AX), R8
	MOVQ groupSearch_hi(AX), R9
	MOVQ groupSearch_params(AX), R10
	MOVQ (groupSearch_lo+8)(AX), R11 // groups left
	VBROADCASTSS quantconst<>+0(SB), Z31
	VBROADCASTSS quantconst<>+4(SB), Z28
	VBROADCASTSS groupSearch_gscales(AX), Z30
	VBROADCASTSS groupSearch_levels(AX), Z29
	VBROADCASTSS quantconst<>+16(SB), Z27
	VPBROADCASTD quantconst<>+20(SB), Z9
	VPXORD Z26, Z26, Z26
	VMOVUPS gscalemax<>+0(SB), Z24
	VMOVUPS gscalemax<>+64(SB), Z25
	VMULPS.BCST quantconst<>+12(SB), Z29, Z8
	VMOVUPS groupSearch_scale(AX), Z0
	VMOVUPS groupSearch_err(AX), Z5

group:
	VMOVUPS (R8), Z10
	VMOVUPS (R9), Z11
	VSUBPS Z10, Z11, Z1
	VADDPS Z10, Z11, Z2
	VMULPS.BCST groupSearch_fit(AX), Z1, Z1
	SAFEINV(Z0, Z12)
	VMULPS Z12, Z1, Z1
	VRNDSCALEPS $1, Z1, Z1
	VADDPS Z28, Z1, Z1
	VMULPS.BCST quantconst<>+12(SB), Z2, Z2
	VBROADCASTSS quantconst<>+24(SB), Z3
	VPXORD Z4, Z4, Z4
	MOVQ groupSearch_cand(AX), BX
	MOVQ (groupSearch_cand+8)(AX), R12 // candidates left

candidates:
	SETUP(0, Z10, Z11, Z12, Z13, Z6)
	SETUP(candidate__size, Z15, Z16, Z17, Z18, Z7)
	VPXORD Z14, Z14, Z14
	VPXORD Z19, Z19, Z19
	MOVQ groupSearch_group(AX), CX
	MOVQ CX, DX
	SHLQ $6, DX // bytes of the group
	TESTQ DI, DI
	JNZ weighted

plain:
	ERRORS
	ADDQ $64, SI
	DECQ CX
	JNZ plain
	JMP compare

weighted:
	WEIGHTED
	ADDQ $64, SI
	ADDQ $4, DI
	DECQ CX
	JNZ weighted
	MOVQ DX, CX
	SHRQ $4, CX
	SUBQ CX, DI

compare:
	SUBQ DX, SI
	VCMPPS $1, Z3, Z14, K1
	VMOVAPS Z14, K1, Z3
	VMOVDQA32 Z6, K1, Z4
	VCMPPS $1, Z3, Z19, K1
	VMOVAPS Z19, K1, Z3
	VMOVDQA32 Z7, K1, Z4
	ADDQ $(2*candidate__size), BX
	SUBQ $2, R12
	JG candidates

	VADDPS Z3, Z5, Z5
	VPMOVDB Z4, (R10)
	ADDQ DX, SI
	TESTQ DI, DI
	JZ next
	SHRQ $4, DX
	ADDQ DX, DI

next:
	ADDQ $64, R8
	ADDQ $64, R9
	ADDQ $16, R10
	DECQ R11
	JNZ group
	VMOVUPS Z5, groupSearch_err(AX)
	VZEROUPPER
	RET

// ENCODE4 packs vector i of a line of 8 and adds to the sums: Z10 inv, Z11
// lo, Z12 hi, Z13 step, Z14 what makes a code of a number with the rounding
// constant, Z15 the line, Z0 v*v, Z1 d*d, Z2 d*q, Z3 q*q, Z4 d*h*q, Z5 q*h*q, Z6 q.
#define ENCODE4(i, shift) \
	VMOVUPS (i*64)(SI), Z20; \
	CODE(Z20, Z10, Z11, Z12, Z21); \
	VPADDD Z14, Z21, Z22; \
	VPSLLD $shift, Z22, Z22; \
	VPORD Z22, Z15, Z15; \
	VSUBPS Z31, Z21, Z21; \
	VADDPS Z21, Z6, Z6; \
	VFMADD231PS Z20, Z20, Z0; \
	VFNMADD231PS Z13, Z21, Z20; \
	VFMADD231PS Z20, Z20, Z1; \
	VFMADD231PS Z21, Z20, Z2; \
	VFMADD231PS Z21, Z21, Z3; \
	VMULPS.BCST (i*4)(DI), Z21, Z22; \
	VFMADD231PS Z22, Z20, Z4; \
	VFMADD231PS Z22, Z21, Z5

// func encodeI4AVX512(e *encoding)
TEXT ·encodeI4AVX512(SB), NOSPLIT, $0-8
	MOVQ e+0(FP), AX
	MOVQ encoding_t(AX), SI
	MOVQ encoding_imp(AX), DI
	MOVQ encoding_params(AX), R8
	MOVQ encoding_data(AX), R9
	MOVQ (encoding_data+8)(AX), R10
	SHRQ $6, R10 // lines left
	MOVQ encoding_group(AX), R11
	SHRQ $3, R11 // lines a group
	VBROADCASTSS quantconst<>+0(SB), Z31
	VBROADCASTSS quantconst<>+4(SB), Z28
	VBROADCASTSS quantconst<>+8(SB), Z29
	VBROADCASTSS quantconst<>+16(SB), Z27
	VPXORD Z26, Z26, Z26
	VMOVUPS gscalemax<>+0(SB), Z24
	VMOVUPS gscalemax<>+64(SB), Z25
	VMOVUPS encoding_signal(AX), Z0
	VMOVUPS encoding_noise(AX), Z1

group:
	VPMOVZXBD (R8), Z16
	VPSRLD $4, Z16, Z17 // gscale-1
	VPSLLD $4, Z17, Z18
	VPSUBD Z18, Z16, Z16 // zero
	VCVTDQ2PS Z17, Z19
	VADDPS Z28, Z19, Z19 // gscale
	VMULPS encoding_scale(AX), Z19, Z13
	SAFEINV(Z13, Z10)
	VCVTDQ2PS Z16, Z18
	BOUNDS(Z18, Z17, Z11, Z12)
	VPSUBD Z31, Z16, Z14
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	MOVQ R11, CX
	CMPQ CX, R10
	CMOVQGT R10, CX
	SUBQ CX, R10

line:
	VPXORD Z15, Z15, Z15
	ENCODE4(0, 0)
	ENCODE4(1, 8)
	ENCODE4(2, 16)
	ENCODE4(3, 24)
	ENCODE4(4, 4)
	ENCODE4(5, 12)
	ENCODE4(6, 20)
	ENCODE4(7, 28)
	VMOVDQU32 Z15, (R9)
	ADDQ $512, SI
	ADDQ $32, DI
	ADDQ $64, R9
	DECQ CX
	JNZ line

	// Units of gscale become units of w8.
	VMULPS Z19, Z6, Z6
	VCVTPS2DQ Z6, Z6
	VPADDD encoding_sum(AX), Z6, Z6
	VMOVDQU32 Z6, encoding_sum(AX)
	VMULPS Z19, Z19, Z20
	VFMADD213PS encoding_cross(AX), Z19, Z2
	VFMADD213PS encoding_squares(AX), Z20, Z3
	VFMADD213PS encoding_weightedCross(AX), Z19, Z4
	VFMADD213PS encoding_weightedSquares(AX), Z20, Z5
	VMOVUPS Z2, encoding_cross(AX)
	VMOVUPS Z3, encoding_squares(AX)
	VMOVUPS Z4, encoding_weightedCross(AX)
	VMOVUPS Z5, encoding_weightedSquares(AX)
	ADDQ $16, R8
	TESTQ R10, R10
	JNZ group
	VMOVUPS Z0, encoding_signal(AX)
	VMOVUPS Z1, encoding_noise(AX)
	VZEROUPPER
	RET

// ENCODE8 packs vector i of a line of 4: Z10..Z13, Z15, Z0, Z1 as in ENCODE4,
// Z14 the sum of codes with the rounding constant, Z9 the mask of a byte.
#define ENCODE8(i, shift) \
	VMOVUPS (i*64)(SI), Z20; \
	CODE(Z20, Z10, Z11, Z12, Z21); \
	VPADDD Z21, Z14, Z14; \
	VPANDD Z9, Z21, Z22; \
	VPSLLD $shift, Z22, Z22; \
	VPORD Z22, Z15, Z15; \
	VFMADD231PS Z20, Z20, Z0; \
	RESIDUAL(Z20, Z13, Z21); \
	VFMADD231PS Z21, Z21, Z1

// func encodeI8AVX512(e *encoding)
TEXT ·encodeI8AVX512(SB), NOSPLIT, $0-8
	MOVQ e+0(FP), AX
	MOVQ encoding_t(AX), SI
	MOVQ encoding_data(AX), R9
	MOVQ (encoding_data+8)(AX), CX
	SHRQ $6, CX // lines left
	MOVL $255, DX
	VPBROADCASTD DX, Z9
	VBROADCASTSS quantconst<>+0(SB), Z31
	VMOVUPS encoding_inv(AX), Z10
	VADDPS encoding_lo(AX), Z31, Z11
	VADDPS encoding_hi(AX), Z31, Z12
	VMOVUPS encoding_step(AX), Z13
	VMOVDQU32 encoding_sum(AX), Z14
	VMOVUPS encoding_signal(AX), Z0
	VMOVUPS encoding_noise(AX), Z1

	VPSLLD $2, Z31, Z8 // what the 4 rounding constants of a line add to Z14

line:
	VPXORD Z15, Z15, Z15
	ENCODE8(0, 0)
	ENCODE8(1, 8)
	ENCODE8(2, 16)
	ENCODE8(3, 24)
	VPSUBD Z8, Z14, Z14
	VMOVDQU32 Z15, (R9)
	ADDQ $256, SI
	ADDQ $64, R9
	DECQ CX
	JNZ line
	VMOVDQU32 Z14, encoding_sum(AX)
	VMOVUPS Z0, encoding_signal(AX)
	VMOVUPS Z1, encoding_noise(AX)
	VZEROUPPER
	RET
