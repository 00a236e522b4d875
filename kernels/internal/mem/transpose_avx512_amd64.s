//go:build !purego

#include "textflag.h"

// Transposing 16 rows BX bytes apart, 16 columns at a time: unpack pairs of
// rows, pairs of pairs, then exchange quarters of registers twice.
#define ROWF32(Z) \
	VMOVUPS (DX), Z; \
	ADDQ BX, DX

#define ROWBF16(Z) \
	VPMOVZXWD (DX), Z; \
	VPSLLD $16, Z, Z; \
	ADDQ BX, DX

// FOUR: four rows A..D become P..S; quarter i of P+j holds column 4i+j.
#define FOUR(A, B, C, D, P, Q, R, S) \
	VUNPCKLPS B, A, P; \
	VUNPCKHPS B, A, Q; \
	VUNPCKLPS D, C, R; \
	VUNPCKHPS D, C, S; \
	VUNPCKLPD R, P, A; \
	VUNPCKHPD R, P, B; \
	VUNPCKLPD S, Q, C; \
	VUNPCKHPD S, Q, D

// QUARTERS: columns j, 4+j, 8+j, 12+j from quarters of four registers.
#define QUARTERS(A, B, C, D, j) \
	VSHUFF32X4 $0x88, B, A, Z16; \
	VSHUFF32X4 $0xdd, B, A, Z17; \
	VSHUFF32X4 $0x88, D, C, Z18; \
	VSHUFF32X4 $0xdd, D, C, Z19; \
	VSHUFF32X4 $0x88, Z18, Z16, A; \
	VSHUFF32X4 $0x88, Z19, Z17, B; \
	VSHUFF32X4 $0xdd, Z18, Z16, C; \
	VSHUFF32X4 $0xdd, Z19, Z17, D; \
	VMOVUPS A, (j*64)(DI); \
	VMOVUPS B, (j*64+256)(DI); \
	VMOVUPS C, (j*64+512)(DI); \
	VMOVUPS D, (j*64+768)(DI)

// COLUMNS: 16 columns from SI on to DI.
#define COLUMNS(ROW) \
	MOVQ SI, DX; \
	ROW(Z0); \
	ROW(Z1); \
	ROW(Z2); \
	ROW(Z3); \
	FOUR(Z0, Z1, Z2, Z3, Z16, Z17, Z18, Z19); \
	ROW(Z4); \
	ROW(Z5); \
	ROW(Z6); \
	ROW(Z7); \
	FOUR(Z4, Z5, Z6, Z7, Z20, Z21, Z22, Z23); \
	ROW(Z8); \
	ROW(Z9); \
	ROW(Z10); \
	ROW(Z11); \
	FOUR(Z8, Z9, Z10, Z11, Z16, Z17, Z18, Z19); \
	ROW(Z12); \
	ROW(Z13); \
	ROW(Z14); \
	ROW(Z15); \
	FOUR(Z12, Z13, Z14, Z15, Z20, Z21, Z22, Z23); \
	QUARTERS(Z0, Z4, Z8, Z12, 0); \
	QUARTERS(Z1, Z5, Z9, Z13, 1); \
	QUARTERS(Z2, Z6, Z10, Z14, 2); \
	QUARTERS(Z3, Z7, Z11, Z15, 3); \
	ADDQ $1024, DI

// func transposeAVX512(t, rows *float32, k, blocks int)
TEXT ·transposeAVX512(SB), NOSPLIT, $0-32
	MOVQ t+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ k+16(FP), BX
	MOVQ blocks+24(FP), CX
	SHLQ $2, BX

block:
	COLUMNS(ROWF32)
	ADDQ $64, SI
	DECQ CX
	JNZ block
	VZEROUPPER
	RET

// func transposeBF16AVX512(t *float32, rows *byte, k, blocks int)
TEXT ·transposeBF16AVX512(SB), NOSPLIT, $0-32
	MOVQ t+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ k+16(FP), BX
	MOVQ blocks+24(FP), CX
	ADDQ BX, BX

block:
	COLUMNS(ROWBF16)
	ADDQ $32, SI
	DECQ CX
	JNZ block
	VZEROUPPER
	RET
