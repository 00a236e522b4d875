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

// func tryAVX2(t, imp *float32, step, k int, p *trial)
TEXT ·tryAVX2(SB), NOSPLIT, $0-40
	MOVQ t+0(FP), SI
	MOVQ imp+8(FP), DI
	MOVQ step+16(FP), BX
	MOVQ k+24(FP), CX
	MOVQ p+32(FP), AX
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
	ADDQ BX, DI
	DECQ CX
	JNZ loop
	VMOVUPS Y8, trial_err(AX)
	VMOVUPS Y9, (trial_err+32)(AX)
	VZEROUPPER
	RET

// ENCODE4 packs 8 lanes of vector i of a line of 8 and adds to the sums; the
// registers of ENCODE4 for AVX-512, but for lo and hi in memory and Y11, Y12 temporary.
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

// Both kinds of group take twice 8 lanes, BX bytes into each vector (AX into those of e): Y0 v*v, Y1 d*d, Y2 d*q, Y3 q*q, Y4 d*h*q, Y5 q*h*q,
// Y6 q, Y8 the line, Y10 inv, Y13 step, Y14 what makes a code of a number with the constant.
#define HALF \
	ADDQ BX, SI; \
	ADDQ BX, R9; \
	VADDPS groupCodes_lo(AX), Y15, Y0; \
	VMOVUPS Y0, lo-64(SP); \
	VADDPS groupCodes_hi(AX), Y15, Y0; \
	VMOVUPS Y0, hi-32(SP); \
	VMOVUPS groupCodes_inv(AX), Y10; \
	VMOVUPS groupCodes_step(AX), Y13; \
	VMOVDQU groupCodes_zero(AX), Y14; \
	VPSUBD Y15, Y14, Y14; \
	VMOVUPS groupCodes_signal(AX), Y0; \
	VMOVUPS groupCodes_noise(AX), Y1; \
	VXORPS Y2, Y2, Y2; \
	VXORPS Y3, Y3, Y3; \
	VXORPS Y4, Y4, Y4; \
	VXORPS Y5, Y5, Y5; \
	VXORPS Y6, Y6, Y6

#define ENDHALF \
	VMOVUPS Y0, groupCodes_signal(AX); \
	VMOVUPS Y1, groupCodes_noise(AX); \
	VMOVUPS Y2, groupCodes_cross(AX); \
	VMOVUPS Y3, groupCodes_squares(AX); \
	VMOVUPS Y4, groupCodes_weightedCross(AX); \
	VMOVUPS Y5, groupCodes_weightedSquares(AX); \
	VMOVUPS Y6, groupCodes_sum(AX); \
	ADDQ $32, AX; \
	ADDQ $32, BX

// func bytesGroupAVX2(t, imp *float32, data *byte, lines int, e *groupCodes)
TEXT ·bytesGroupAVX2(SB), NOSPLIT, $64-40
	MOVQ e+32(FP), AX
	VMOVUPS magic<>(SB), Y15
	XORQ BX, BX

half:
	MOVQ t+0(FP), SI
	MOVQ imp+8(FP), DI
	MOVQ data+16(FP), R9
	MOVQ lines+24(FP), CX
	HALF

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
	CMPQ BX, $64
	JNE half
	VZEROUPPER
	RET

// func packGroupAVX2(t, imp *float32, data *byte, lines int, e *groupCodes)
TEXT ·packGroupAVX2(SB), NOSPLIT, $64-40
	MOVQ e+32(FP), AX
	VMOVUPS magic<>(SB), Y15
	XORQ BX, BX

half:
	MOVQ t+0(FP), SI
	MOVQ imp+8(FP), DI
	MOVQ data+16(FP), R9
	MOVQ lines+24(FP), CX
	HALF

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
	CMPQ BX, $64
	JNE half
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

// Constants of setupAVX2: 1, 1/2, 2^-120, 128, 127.
DATA setup<>+0(SB)/4, $0x3f800000
DATA setup<>+4(SB)/4, $0x3f000000
DATA setup<>+8(SB)/4, $0x03800000
DATA setup<>+12(SB)/4, $0x43000000
DATA setup<>+16(SB)/4, $0x42fe0000
GLOBL setup<>(SB), RODATA|NOPTR, $20

// SAFEINV: I = 1/S, 0 where S < 2^-120. Needs Y15 = 1, Y11 = 2^-120; T temporary.
#define SAFEINV(S, I, T) \
	VCMPPS $13, Y11, S, T; \
	VDIVPS S, Y15, I; \
	VANDPS T, I, I

// func setupAVX2(a *groupTrial)
// Y0 gscale, Y1 zero, Y2..Y6 temporary, Y7 what up and levels/2 are, Y8 down, Y9 fit, Y13 levels, Y14 gscales, Y10..Y12, Y15 constants.
TEXT ·setupAVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), AX
	VBROADCASTSS groupTrial_up(AX), Y7
	VBROADCASTSS groupTrial_down(AX), Y8
	VBROADCASTSS groupTrial_fit(AX), Y9
	VBROADCASTSS groupTrial_levels(AX), Y13
	VBROADCASTSS groupTrial_gscales(AX), Y14
	VBROADCASTSS setup<>+0(SB), Y15
	VBROADCASTSS setup<>+4(SB), Y12
	VBROADCASTSS setup<>+8(SB), Y11
	VMULPS Y12, Y13, Y10
	VADDPS Y10, Y7, Y7
	VXORPS Y10, Y10, Y10
	MOVQ $2, CX

half:
	VMOVUPS groupTrial_least(AX), Y2
	VMOVUPS groupTrial_most(AX), Y3
	VMOVUPS groupTrial_scale(AX), Y4
	VSUBPS Y2, Y3, Y0
	VADDPS Y2, Y3, Y1
	VMULPS Y9, Y0, Y0
	SAFEINV(Y4, Y5, Y6)
	VMULPS Y5, Y0, Y0
	VROUNDPS $3, Y0, Y0
	VADDPS Y15, Y0, Y0
	VSUBPS Y8, Y0, Y0
	VMAXPS Y15, Y0, Y0
	VMINPS Y14, Y0, Y0
	VMULPS Y0, Y4, Y4
	VMOVUPS Y4, (groupTrial_trial+trial_step)(AX)
	SAFEINV(Y4, Y5, Y6)
	VMOVUPS Y5, (groupTrial_trial+trial_inv)(AX)
	VMULPS Y12, Y1, Y1
	VMULPS Y5, Y1, Y1
	VSUBPS Y1, Y7, Y1
	VMAXPS Y10, Y1, Y1
	VMINPS Y13, Y1, Y1
	VROUNDPS $0, Y1, Y1
	VBROADCASTSS setup<>+12(SB), Y2
	VDIVPS Y0, Y2, Y2
	VROUNDPS $1, Y2, Y2
	VMINPS Y1, Y2, Y2
	VSUBPS Y2, Y10, Y2
	VMOVUPS Y2, (groupTrial_trial+trial_lo)(AX)
	VBROADCASTSS setup<>+16(SB), Y2
	VDIVPS Y0, Y2, Y2
	VROUNDPS $1, Y2, Y2
	VSUBPS Y1, Y13, Y3
	VMINPS Y3, Y2, Y2
	VMOVUPS Y2, (groupTrial_trial+trial_hi)(AX)
	VMOVUPS Y10, (groupTrial_trial+trial_err)(AX)
	VSUBPS Y15, Y0, Y0
	VADDPS Y15, Y13, Y2
	VFMADD231PS Y2, Y0, Y1 // zero + (gscale-1) (levels+1)
	VCVTPS2DQ Y1, Y1
	VMOVDQU Y1, groupTrial_codes(AX)
	ADDQ $32, AX
	DECQ CX
	JNZ half
	VZEROUPPER
	RET

// func keepAVX2(a *groupTrial)
TEXT ·keepAVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), AX
	MOVQ $2, CX

half:
	VMOVUPS (groupTrial_trial+trial_err)(AX), Y0
	VMOVUPS groupTrial_best(AX), Y1
	VCMPPS $1, Y1, Y0, Y2
	VBLENDVPS Y2, Y0, Y1, Y1
	VMOVUPS Y1, groupTrial_best(AX)
	VMOVUPS (groupTrial_codes+64)(AX), Y1
	VBLENDVPS Y2, groupTrial_codes(AX), Y1, Y1
	VMOVUPS Y1, (groupTrial_codes+64)(AX)
	ADDQ $32, AX
	DECQ CX
	JNZ half
	VZEROUPPER
	RET

// PAIR: 4 bfloat16 of rows i and i+4, widened, a half of Y each.
#define PAIR(i, Y, X) \
	MOVQ (i*8)(BX), AX; \
	VPMOVZXWD (AX)(R8*1), X; \
	MOVQ (i*8+32)(BX), AX; \
	VPMOVZXWD (AX)(R8*1), X4; \
	VINSERTF128 $1, X4, Y, Y; \
	VPSLLD $16, Y, Y

// func transpose8BF16AVX2(t *float32, rows *[8]*byte, n int)
// Line k of the transpose of 8 rows of 4n goes to t + 64k.
TEXT ·transpose8BF16AVX2(SB), NOSPLIT, $0-24
	MOVQ t+0(FP), DI
	MOVQ rows+8(FP), BX
	MOVQ n+16(FP), CX
	XORQ R8, R8

loop:
	PAIR(0, Y0, X0)
	PAIR(1, Y1, X1)
	PAIR(2, Y2, X2)
	PAIR(3, Y3, X3)
	VUNPCKLPS Y1, Y0, Y4
	VUNPCKHPS Y1, Y0, Y5
	VUNPCKLPS Y3, Y2, Y6
	VUNPCKHPS Y3, Y2, Y7
	VUNPCKLPD Y6, Y4, Y0
	VUNPCKHPD Y6, Y4, Y1
	VUNPCKLPD Y7, Y5, Y2
	VUNPCKHPD Y7, Y5, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 64(DI)
	VMOVUPS Y2, 128(DI)
	VMOVUPS Y3, 192(DI)
	ADDQ $256, DI
	ADDQ $8, R8
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET
