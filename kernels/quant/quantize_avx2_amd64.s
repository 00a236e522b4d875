//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The loops of quantizing that count, on 8 lanes at a time: quantize_generic.go
// says what they do, operation by operation.

// magic: adding it rounds to an integer, ties to even, which is then the low bits.
DATA magic<>+0(SB)/8, $0x4b4000004b400000
DATA magic<>+8(SB)/8, $0x4b4000004b400000
DATA magic<>+16(SB)/8, $0x4b4000004b400000
DATA magic<>+24(SB)/8, $0x4b4000004b400000
GLOBL magic<>(SB), RODATA|NOPTR, $32

DATA byte0<>+0(SB)/8, $0x000000ff000000ff
DATA byte0<>+8(SB)/8, $0x000000ff000000ff
DATA byte0<>+16(SB)/8, $0x000000ff000000ff
DATA byte0<>+24(SB)/8, $0x000000ff000000ff
GLOBL byte0<>(SB), RODATA|NOPTR, $32

// Constants, 32 bytes each: 1, 1/2, 2^-120, infinity, 128, 127, 15, 63.
DATA quant<>+0(SB)/8, $0x3f8000003f800000
DATA quant<>+8(SB)/8, $0x3f8000003f800000
DATA quant<>+16(SB)/8, $0x3f8000003f800000
DATA quant<>+24(SB)/8, $0x3f8000003f800000
DATA quant<>+32(SB)/8, $0x3f0000003f000000
DATA quant<>+40(SB)/8, $0x3f0000003f000000
DATA quant<>+48(SB)/8, $0x3f0000003f000000
DATA quant<>+56(SB)/8, $0x3f0000003f000000
DATA quant<>+64(SB)/8, $0x0380000003800000
DATA quant<>+72(SB)/8, $0x0380000003800000
DATA quant<>+80(SB)/8, $0x0380000003800000
DATA quant<>+88(SB)/8, $0x0380000003800000
DATA quant<>+96(SB)/8, $0x7f8000007f800000
DATA quant<>+104(SB)/8, $0x7f8000007f800000
DATA quant<>+112(SB)/8, $0x7f8000007f800000
DATA quant<>+120(SB)/8, $0x7f8000007f800000
DATA quant<>+128(SB)/8, $0x4300000043000000
DATA quant<>+136(SB)/8, $0x4300000043000000
DATA quant<>+144(SB)/8, $0x4300000043000000
DATA quant<>+152(SB)/8, $0x4300000043000000
DATA quant<>+160(SB)/8, $0x42fe000042fe0000
DATA quant<>+168(SB)/8, $0x42fe000042fe0000
DATA quant<>+176(SB)/8, $0x42fe000042fe0000
DATA quant<>+184(SB)/8, $0x42fe000042fe0000
DATA quant<>+192(SB)/8, $0x4170000041700000
DATA quant<>+200(SB)/8, $0x4170000041700000
DATA quant<>+208(SB)/8, $0x4170000041700000
DATA quant<>+216(SB)/8, $0x4170000041700000
DATA quant<>+224(SB)/8, $0x427c0000427c0000
DATA quant<>+232(SB)/8, $0x427c0000427c0000
DATA quant<>+240(SB)/8, $0x427c0000427c0000
DATA quant<>+248(SB)/8, $0x427c0000427c0000
GLOBL quant<>(SB), RODATA|NOPTR, $256

// TRY adds the error of the 8 values at SI+OFF: INV, LO, HI (with the rounding
// constant), STEP, ERR; Y12 importance, Y15 the constant.
#define TRY(OFF, INV, LO, HI, STEP, ERR, V, Q) \
	VMOVUPS OFF(SI), V; \
	VMULPS INV, V, Q; \
	VADDPS Y15, Q, Q; \
	VMAXPS LO, Q, Q; \
	VMINPS HI, Q, Q; \
	VSUBPS Y15, Q, Q; \
	VFNMADD213PS V, STEP, Q; \
	VMULPS Y12, Q, V; \
	VFMADD231PS V, Q, ERR

// func tryAVX2(t, imp *float32, k int, p *trial)
TEXT ·tryAVX2(SB), NOSPLIT, $0-32
	MOVQ t+0(FP), SI
	MOVQ imp+8(FP), DI
	MOVQ k+16(FP), CX
	MOVQ p+24(FP), AX
	VMOVUPS magic<>(SB), Y15
	VMOVUPS trial_inv(AX), Y0
	VMOVUPS (trial_inv+32)(AX), Y1
	VADDPS trial_lo(AX), Y15, Y2
	VADDPS (trial_lo+32)(AX), Y15, Y3
	VADDPS trial_hi(AX), Y15, Y4
	VADDPS (trial_hi+32)(AX), Y15, Y5
	VMOVUPS trial_step(AX), Y6
	VMOVUPS (trial_step+32)(AX), Y7
	VMOVUPS trial_err(AX), Y8
	VMOVUPS (trial_err+32)(AX), Y9

loop:
	VBROADCASTSS (DI), Y12
	TRY(0, Y0, Y2, Y4, Y6, Y8, Y10, Y13)
	TRY(32, Y1, Y3, Y5, Y7, Y9, Y11, Y14)
	ADDQ $64, SI
	ADDQ $4, DI
	DECQ CX
	JNZ loop
	VMOVUPS Y8, trial_err(AX)
	VMOVUPS Y9, (trial_err+32)(AX)
	VZEROUPPER
	RET

// ENCODE4 packs 8 lanes of vector i of a line and adds to the sums: registers as below, Y9, Y11, Y12 temporary.
#define ENCODE4(i, shift) \
	VMOVUPS (i*64)(SI), Y9; \
	VMULPS Y10, Y9, Y11; \
	VADDPS Y15, Y11, Y11; \
	VMAXPS lo-64(SP), Y11, Y11; \
	VMINPS hi-32(SP), Y11, Y11; \
	VPADDD Y14, Y11, Y12; \
	VPSLLD $shift, Y12, Y12; \
	VPOR Y12, Y8, Y8; \
	VSUBPS Y15, Y11, Y11; \
	VADDPS Y11, Y6, Y6; \
	VFMADD231PS Y9, Y9, Y0; \
	VFNMADD231PS Y13, Y11, Y9; \
	VFMADD231PS Y9, Y9, Y1; \
	VFMADD231PS Y11, Y9, Y2; \
	VFMADD231PS Y11, Y11, Y3; \
	VBROADCASTSS (i*4)(DI), Y12; \
	VMULPS Y12, Y11, Y12; \
	VFMADD231PS Y12, Y9, Y4; \
	VFMADD231PS Y12, Y11, Y5

// Groups are encoded 8 lanes at a time, AX being DX, or 32 bytes on: Y0 v*v, Y1 d*d, Y2 d*q, Y3 q*q, Y4 d*h*q, Y5 q*h*q,
// Y6 q, Y8 the line, Y10 inv, Y13 step, Y14 what makes a code of a number with the constant. SI and R9 are at the
// lanes of the group's vectors and lines, DI at its importance, R8 at its parameters; R10 lines left, R11 lines a group, R12 in this one.
#define ENCODEGROUPS(perline) \
	MOVQ encoding_t(DX), SI; \
	MOVQ encoding_imp(DX), DI; \
	MOVQ encoding_params(DX), R8; \
	MOVQ encoding_data(DX), R9; \
	MOVQ (encoding_data+8)(DX), R10; \
	SHRQ $6, R10; \
	MOVQ encoding_group(DX), R11; \
	SHRQ $perline, R11; \
	VMOVUPS magic<>(SB), Y15

#define GROUP \
	MOVQ R11, R12; \
	CMPQ R10, R12; \
	CMOVQLT R10, R12; \
	SUBQ R12, R10; \
	MOVQ DX, AX

// BOUNDS: with gscale GS and zero Z as numbers, LO and HI are the least and greatest code less zero (numerics N4.2); T levels.
#define BOUNDS(GS, Z, LO, HI, T) \
	VMOVUPS quant<>+128(SB), LO; \
	VDIVPS GS, LO, LO; \
	VROUNDPS $1, LO, LO; \
	VMINPS Z, LO, LO; \
	VMOVUPS quant<>+160(SB), HI; \
	VDIVPS GS, HI, HI; \
	VROUNDPS $1, HI, HI; \
	VSUBPS Z, T, T; \
	VMINPS T, HI, HI; \
	VSUBPS LO, Y15, LO; \
	VADDPS Y15, HI, HI

// SAFEINV: I = 1/S, 0 where S < 2^-120; T temporary.
#define SAFEINV(S, I, T) \
	VCMPPS $13, quant<>+64(SB), S, T; \
	VMOVUPS quant<>+0(SB), I; \
	VDIVPS S, I, I; \
	VANDPS T, I, I

#define BEGINHALF(bits, levels) \
	VPMOVZXBD (R8), Y0; \
	VPSRLD $bits, Y0, Y1; \
	VCVTDQ2PS Y1, Y1; \
	VADDPS quant<>+0(SB), Y1, Y1; \
	VMOVUPS Y1, gscale-96(SP); \
	VPSLLD $(32-bits), Y0, Y0; \
	VPSRLD $(32-bits), Y0, Y0; \
	VPSUBD Y15, Y0, Y14; \
	VCVTDQ2PS Y0, Y0; \
	VMULPS encoding_scale(AX), Y1, Y13; \
	SAFEINV(Y13, Y10, Y2); \
	VMOVUPS quant<>+levels(SB), Y4; \
	BOUNDS(Y1, Y0, Y2, Y3, Y4); \
	VMOVUPS Y2, lo-64(SP); \
	VMOVUPS Y3, hi-32(SP); \
	VMOVUPS encoding_signal(AX), Y0; \
	VMOVUPS encoding_noise(AX), Y1; \
	VXORPS Y2, Y2, Y2; \
	VXORPS Y3, Y3, Y3; \
	VXORPS Y4, Y4, Y4; \
	VXORPS Y5, Y5, Y5; \
	VXORPS Y6, Y6, Y6; \
	MOVQ R12, CX

#define ADDTO(FIELD, X) \
	VMOVUPS FIELD(AX), Y8; \
	VFMADD231PS Y7, X, Y8; \
	VMOVUPS Y8, FIELD(AX)

#define ENDHALF \
	VMOVUPS Y0, encoding_signal(AX); \
	VMOVUPS Y1, encoding_noise(AX); \
	VMOVUPS gscale-96(SP), Y7; \
	VCVTPS2DQ Y6, Y6; \
	VCVTPS2DQ Y7, Y8; \
	VPMULLD Y8, Y6, Y6; \
	VPADDD encoding_sum(AX), Y6, Y6; \
	VMOVDQU Y6, encoding_sum(AX); \
	ADDTO(encoding_cross, Y2); \
	ADDTO(encoding_weightedCross, Y4); \
	VMULPS Y7, Y7, Y7; \
	ADDTO(encoding_squares, Y3); \
	ADDTO(encoding_weightedSquares, Y5); \
	ADDQ $8, R8

// NEXTHALF goes back to the group's begin after the first half: log2 of the vectors in a line.
#define NEXTHALF(perline) \
	MOVQ R12, CX; \
	SHLQ $6, CX; \
	SUBQ CX, R9; \
	SHLQ $perline, CX; \
	SUBQ CX, SI; \
	SHRQ $4, CX; \
	SUBQ CX, DI; \
	ADDQ $32, SI; \
	ADDQ $32, R9; \
	ADDQ $32, AX

// func encodeI4AVX2(e *encoding)
TEXT ·encodeI4AVX2(SB), NOSPLIT, $96-8
	MOVQ e+0(FP), DX
	ENCODEGROUPS(3)

group:
	GROUP

half:
	BEGINHALF(4, 192)

line:
	VPXOR Y8, Y8, Y8
	ENCODE4(0, 0)
	ENCODE4(1, 8)
	ENCODE4(2, 16)
	ENCODE4(3, 24)
	ENCODE4(4, 4)
	ENCODE4(5, 12)
	ENCODE4(6, 20)
	ENCODE4(7, 28)
	VMOVDQU Y8, (R9)
	ADDQ $512, SI
	ADDQ $32, DI
	ADDQ $64, R9
	DECQ CX
	JNZ line
	ENDHALF
	CMPQ AX, DX
	JNE next
	NEXTHALF(3)
	JMP half

next:
	SUBQ $32, SI
	SUBQ $32, R9
	TESTQ R10, R10
	JNZ group
	VZEROUPPER
	RET

// func encodeI6AVX2(e *encoding)
TEXT ·encodeI6AVX2(SB), NOSPLIT, $96-8
	MOVQ e+0(FP), DX
	ENCODEGROUPS(2)

group:
	GROUP

half:
	BEGINHALF(6, 224)

line:
	VPXOR Y8, Y8, Y8
	ENCODE4(0, 0)
	ENCODE4(1, 8)
	ENCODE4(2, 16)
	ENCODE4(3, 24)
	VMOVDQU Y8, (R9)
	ADDQ $256, SI
	ADDQ $16, DI
	ADDQ $64, R9
	DECQ CX
	JNZ line
	ENDHALF
	CMPQ AX, DX
	JNE next
	NEXTHALF(2)
	JMP half

next:
	SUBQ $32, SI
	SUBQ $32, R9
	TESTQ R10, R10
	JNZ group
	VZEROUPPER
	RET

// ENCODE8 packs 8 lanes of vector i of a line of 4: Y0 v*v, Y1 d*d, Y8 the line,
// Y10..Y13 inv, lo, hi, step, Y14 the sum of codes with the constant, Y9, Y6, Y7 temporary.
#define ENCODE8(i, shift) \
	VMOVUPS (i*64)(SI), Y9; \
	VMULPS Y10, Y9, Y6; \
	VADDPS Y15, Y6, Y6; \
	VMAXPS Y11, Y6, Y6; \
	VMINPS Y12, Y6, Y6; \
	VPADDD Y6, Y14, Y14; \
	VPAND byte0<>(SB), Y6, Y7; \
	VPSLLD $shift, Y7, Y7; \
	VPOR Y7, Y8, Y8; \
	VFMADD231PS Y9, Y9, Y0; \
	VSUBPS Y15, Y6, Y6; \
	VFNMADD213PS Y9, Y13, Y6; \
	VFMADD231PS Y6, Y6, Y1

// func encodeI8AVX2(e *encoding)
TEXT ·encodeI8AVX2(SB), NOSPLIT, $0-8
	MOVQ e+0(FP), AX
	VMOVUPS magic<>(SB), Y15
	VPSLLD $2, Y15, Y5 // what the 4 rounding constants of a line add to Y14
	XORQ BX, BX

half:
	MOVQ e+0(FP), DX
	MOVQ encoding_t(DX), SI
	MOVQ encoding_data(DX), R9
	MOVQ (encoding_data+8)(DX), CX
	SHRQ $6, CX // lines
	ADDQ BX, SI
	ADDQ BX, R9
	VMOVUPS encoding_inv(AX), Y10
	VADDPS encoding_lo(AX), Y15, Y11
	VADDPS encoding_hi(AX), Y15, Y12
	VMOVUPS encoding_step(AX), Y13
	VMOVDQU encoding_sum(AX), Y14
	VMOVUPS encoding_signal(AX), Y0
	VMOVUPS encoding_noise(AX), Y1

line:
	VPXOR Y8, Y8, Y8
	ENCODE8(0, 0)
	ENCODE8(1, 8)
	ENCODE8(2, 16)
	ENCODE8(3, 24)
	VPSUBD Y5, Y14, Y14
	VMOVDQU Y8, (R9)
	ADDQ $256, SI
	ADDQ $64, R9
	DECQ CX
	JNZ line
	VMOVDQU Y14, encoding_sum(AX)
	VMOVUPS Y0, encoding_signal(AX)
	VMOVUPS Y1, encoding_noise(AX)
	ADDQ $32, AX
	ADDQ $32, BX
	CMPQ BX, $64
	JNE half
	VZEROUPPER
	RET

// func spansAVX2(t *float32, group, groups int, lo, hi *lanes)
TEXT ·spansAVX2(SB), NOSPLIT, $0-40
	MOVQ t+0(FP), SI
	MOVQ group+8(FP), BX
	MOVQ groups+16(FP), CX
	MOVQ lo+24(FP), R8
	MOVQ hi+32(FP), R9

next:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	MOVQ BX, DX

vector:
	VMINPS (SI), Y0, Y0
	VMAXPS (SI), Y2, Y2
	VMINPS 32(SI), Y1, Y1
	VMAXPS 32(SI), Y3, Y3
	ADDQ $64, SI
	DECQ DX
	JNZ vector
	VMOVUPS Y0, (R8)
	VMOVUPS Y1, 32(R8)
	VMOVUPS Y2, (R9)
	VMOVUPS Y3, 32(R9)
	ADDQ $64, R8
	ADDQ $64, R9
	DECQ CX
	JNZ next
	VZEROUPPER
	RET

// TRIAL takes the 8 values in Y10 with one trial: INV, LO and HI (with the rounding constant), STEP; Q becomes the residual.
#define TRIAL(INV, LO, HI, STEP, Q) \
	VMULPS INV, Y10, Q; \
	VADDPS Y15, Q, Q; \
	VMAXPS LO, Q, Q; \
	VMINPS HI, Q, Q; \
	VSUBPS Y15, Q, Q; \
	VFNMADD213PS Y10, STEP, Q

// SETUP computes a trial and its parameters P from the candidate at BX+OFF. R14 is where the lanes of a begin, less their offset.
#define SETUP(OFF, INV, LO, HI, STEP, P) \
	VBROADCASTSS (OFF+candidate_down)(BX), Y10; \
	VMOVUPS span-64(SP), Y11; \
	VSUBPS Y10, Y11, Y11; \
	VMAXPS quant<>+0(SB), Y11, Y11; \
	VMINPS gscales-96(SP), Y11, Y11; \
	VMULPS groupSearch_scale(R14), Y11, STEP; \
	SAFEINV(STEP, INV, Y12); \
	VMULPS middle-32(SP), INV, Y12; \
	VBROADCASTSS (OFF+candidate_up)(BX), Y10; \
	VADDPS halfway-128(SP), Y10, Y10; \
	VSUBPS Y12, Y10, Y10; \
	VXORPS Y12, Y12, Y12; \
	VMAXPS Y12, Y10, Y10; \
	VMOVUPS levels-160(SP), Y12; \
	VMINPS Y12, Y10, Y10; \
	VROUNDPS $0, Y10, Y10; \
	VADDPS quant<>+0(SB), Y12, P; \
	BOUNDS(Y11, Y10, LO, HI, Y12); \
	VSUBPS quant<>+0(SB), Y11, Y11; \
	VFMADD213PS Y10, Y11, P; \
	VCVTPS2DQ P, P

// KEEP takes over error and parameters where the error is less.
#define KEEP(ERR, P) \
	VMOVUPS best-192(SP), Y10; \
	VCMPPS $1, Y10, ERR, Y11; \
	VBLENDVPS Y11, ERR, Y10, Y10; \
	VMOVUPS Y10, best-192(SP); \
	VMOVDQU params-224(SP), Y10; \
	VBLENDVPS Y11, P, Y10, Y10; \
	VMOVDQU Y10, params-224(SP)

// func searchAVX2(a *groupSearch)
// Twice 8 lanes a group, two candidates side by side: Y0..Y4 inv, lo, hi, step and error of one, Y5..Y9 of the other;
// Y10 values, Y11 and Y12 residuals, Y13 importance, Y15 the rounding constant.
TEXT ·searchAVX2(SB), NOSPLIT, $288-8
	MOVQ a+0(FP), AX
	MOVQ groupSearch_t(AX), SI
	MOVQ groupSearch_imp(AX), DI
	MOVQ groupSearch_lo(AX), R8
	MOVQ groupSearch_hi(AX), R9
	MOVQ groupSearch_params(AX), R10
	MOVQ (groupSearch_lo+8)(AX), R11 // groups left
	MOVQ groupSearch_group(AX), DX
	SHLQ $6, DX // bytes of a group
	VMOVUPS magic<>(SB), Y15
	VBROADCASTSS groupSearch_levels(AX), Y0
	VMOVUPS Y0, levels-160(SP)
	VMULPS quant<>+32(SB), Y0, Y0
	VMOVUPS Y0, halfway-128(SP)
	VBROADCASTSS groupSearch_gscales(AX), Y0
	VMOVUPS Y0, gscales-96(SP)

group:
	XORQ R13, R13 // bytes to the lanes

half:
	LEAQ (AX)(R13*1), R14
	VMOVUPS (R8)(R13*1), Y0
	VMOVUPS (R9)(R13*1), Y1
	VMOVUPS groupSearch_scale(R14), Y3
	SAFEINV(Y3, Y4, Y5)
	VBROADCASTSS groupSearch_fit(AX), Y5
	VSUBPS Y0, Y1, Y2
	VMULPS Y5, Y2, Y2
	VMULPS Y4, Y2, Y2
	VROUNDPS $3, Y2, Y2
	VADDPS quant<>+0(SB), Y2, Y2
	VMOVUPS Y2, span-64(SP)
	VADDPS Y0, Y1, Y0
	VMULPS quant<>+32(SB), Y0, Y0
	VMOVUPS Y0, middle-32(SP)
	VMOVUPS quant<>+96(SB), Y0
	VMOVUPS Y0, best-192(SP)
	VXORPS Y0, Y0, Y0
	VMOVUPS Y0, params-224(SP)
	MOVQ groupSearch_cand(AX), BX
	MOVQ (groupSearch_cand+8)(AX), R12 // candidates left

candidates:
	SETUP(0, Y0, Y1, Y2, Y3, Y14)
	VMOVDQU Y14, first-256(SP)
	SETUP(candidate__size, Y5, Y6, Y7, Y8, Y14)
	VMOVDQU Y14, second-288(SP)
	VXORPS Y4, Y4, Y4
	VXORPS Y9, Y9, Y9
	MOVQ groupSearch_group(AX), CX
	ADDQ R13, SI
	TESTQ DI, DI
	JNZ weighted

plain:
	VMOVUPS (SI), Y10
	TRIAL(Y0, Y1, Y2, Y3, Y11)
	TRIAL(Y5, Y6, Y7, Y8, Y12)
	VFMADD231PS Y11, Y11, Y4
	VFMADD231PS Y12, Y12, Y9
	ADDQ $64, SI
	DECQ CX
	JNZ plain
	JMP compare

weighted:
	VMOVUPS (SI), Y10
	VBROADCASTSS (DI), Y13
	TRIAL(Y0, Y1, Y2, Y3, Y11)
	TRIAL(Y5, Y6, Y7, Y8, Y12)
	VMULPS Y13, Y11, Y10
	VMULPS Y13, Y12, Y13
	VFMADD231PS Y10, Y11, Y4
	VFMADD231PS Y13, Y12, Y9
	ADDQ $64, SI
	ADDQ $4, DI
	DECQ CX
	JNZ weighted
	MOVQ DX, CX
	SHRQ $4, CX
	SUBQ CX, DI

compare:
	SUBQ DX, SI
	SUBQ R13, SI
	VMOVDQU first-256(SP), Y14
	KEEP(Y4, Y14)
	VMOVDQU second-288(SP), Y14
	KEEP(Y9, Y14)
	ADDQ $(2*candidate__size), BX
	SUBQ $2, R12
	JG candidates

	VMOVUPS best-192(SP), Y0
	VADDPS groupSearch_err(R14), Y0, Y0
	VMOVUPS Y0, groupSearch_err(R14)
	VMOVDQU params-224(SP), Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKUSDW X1, X0, X0
	VPACKUSWB X0, X0, X0
	VMOVQ X0, (R10)
	ADDQ $8, R10
	ADDQ $32, R13
	CMPQ R13, $64
	JNE half

	ADDQ DX, SI
	TESTQ DI, DI
	JZ next
	MOVQ DX, CX
	SHRQ $4, CX
	ADDQ CX, DI

next:
	ADDQ $64, R8
	ADDQ $64, R9
	DECQ R11
	JNZ group
	VZEROUPPER
	RET
