//go:build !purego

#include "textflag.h"

// Codes of an int8 cache times their scales, as bfloat16, a row of 32 codes a round; kv.go says what they compute.
// Y12 = 1, Y13 = 0x7fff; Y7 temporary.

#define CONSTANTS \
	MOVL $1, AX; \
	VMOVD AX, X12; \
	VPBROADCASTD X12, Y12; \
	MOVL $0x7fff, AX; \
	VMOVD AX, X13; \
	VPBROADCASTD X13, Y13

// EXPAND: Y = the upper halves of 8 codes at off(SI) times S, rounded to bfloat16 (a NaN has none of its low bits set).
#define EXPAND(off, S, Y) \
	VPMOVSXBD off(SI), Y; \
	VCVTDQ2PS Y, Y; \
	VMULPS S, Y, Y; \
	VPSRLD $16, Y, Y7; \
	VPAND Y12, Y7, Y7; \
	VPADDD Y13, Y7, Y7; \
	VPADDD Y7, Y, Y; \
	VPSRLD $16, Y, Y

#define STORE(A, B, off) \
	VPACKUSDW B, A, A; \
	VPERMQ $0xd8, A, A; \
	VMOVDQU A, off(DI)

// TWICE: Y = 4 floats at off(DX), each twice.
#define TWICE(off, Y) \
	VPMOVZXDQ off(DX), Y; \
	VPSLLQ $32, Y, Y7; \
	VPOR Y7, Y, Y

// func expandKeysAVX2(dst, codes *byte, rows int, scale *float32)
// Y8..Y11 the 16 scales, each twice.
TEXT ·expandKeysAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ codes+8(FP), SI
	MOVQ rows+16(FP), CX
	MOVQ scale+24(FP), DX
	CONSTANTS
	TWICE(0, Y8)
	TWICE(16, Y9)
	TWICE(32, Y10)
	TWICE(48, Y11)

loop:
	EXPAND(0, Y8, Y0)
	EXPAND(8, Y9, Y1)
	EXPAND(16, Y10, Y2)
	EXPAND(24, Y11, Y3)
	STORE(Y0, Y1, 0)
	STORE(Y2, Y3, 32)
	ADDQ $32, SI
	ADDQ $64, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func expandValuesAVX2(dst, codes *byte, rows int, scale *float32)
// Y8 the two scales of a row.
TEXT ·expandValuesAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ codes+8(FP), SI
	MOVQ rows+16(FP), CX
	MOVQ scale+24(FP), DX
	CONSTANTS

loop:
	VBROADCASTSD (DX), Y8
	EXPAND(0, Y8, Y0)
	EXPAND(8, Y8, Y1)
	EXPAND(16, Y8, Y2)
	EXPAND(24, Y8, Y3)
	STORE(Y0, Y1, 0)
	STORE(Y2, Y3, 32)
	ADDQ $32, SI
	ADDQ $64, DI
	ADDQ $8, DX
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET
