//go:build !purego

#include "textflag.h"

// Rows on their way into a cache of bfloat16 and results on their way out, for machines without AVX-512; kv.go and blocks.go say
// what they compute. n and dim are positive multiples of 8.

// CONSTANTS: Y12 = 1, Y13 = 0x7fff, Y14 the bit that makes a NaN quiet.
#define CONSTANTS \
	MOVL $1, AX; \
	VMOVD AX, X12; \
	VPBROADCASTD X12, Y12; \
	MOVL $0x7fff, AX; \
	VMOVD AX, X13; \
	VPBROADCASTD X13, Y13; \
	MOVL $0x400000, AX; \
	VMOVD AX, X14; \
	VPBROADCASTD X14, Y14

// TOBF16: Y0 = 8 values at SI as bfloat16, in 32 bits each; a NaN is made quiet, not rounded. Y1 to Y3 temporary.
#define TOBF16 \
	VMOVUPS (SI), Y0; \
	VCMPPS $3, Y0, Y0, Y2; \
	VORPS Y14, Y0, Y3; \
	VPSRLD $16, Y0, Y1; \
	VPAND Y12, Y1, Y1; \
	VPADDD Y13, Y1, Y1; \
	VPADDD Y1, Y0, Y0; \
	VBLENDVPS Y2, Y3, Y0, Y0; \
	VPSRLD $16, Y0, Y0

// func putKeyAVX2(b *byte, x *float32, n int)
// Pairs of values are 4 bytes, 64 bytes apart.
TEXT ·putKeyAVX2(SB), NOSPLIT, $0-24
	MOVQ b+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	CONSTANTS
loop:
	TOBF16
	VPSRLQ $16, Y0, Y1
	VPOR Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VMOVD X0, (DI)
	VPEXTRD $2, X0, 64(DI)
	VMOVD X1, 128(DI)
	VPEXTRD $2, X1, 192(DI)
	ADDQ $32, SI
	ADDQ $256, DI
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// func putValueAVX2(b *byte, x *float32, n int)
// 16 values are every second word of 64 bytes, 1024 bytes apart; the words between belong to another position.
// R8 is what follows these 8 values, R9 what follows the next.
TEXT ·putValueAVX2(SB), NOSPLIT, $0-24
	MOVQ b+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	CONSTANTS
	MOVQ $32, R8
	MOVQ $992, R9
loop:
	TOBF16
	VEXTRACTI128 $1, Y0, X1
	VPEXTRW $0, X0, (DI)
	VPEXTRW $2, X0, 4(DI)
	VPEXTRW $4, X0, 8(DI)
	VPEXTRW $6, X0, 12(DI)
	VPEXTRW $0, X1, 16(DI)
	VPEXTRW $2, X1, 20(DI)
	VPEXTRW $4, X1, 24(DI)
	VPEXTRW $6, X1, 28(DI)
	ADDQ $32, SI
	ADDQ R8, DI
	XCHGQ R8, R9
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// func divideRowsAVX2(out, o, l *float32, rows, dim, hd int)
// DI a row of out, SI of o, DX of l; Y2 one over the sum of l.
TEXT ·divideRowsAVX2(SB), NOSPLIT, $0-48
	MOVQ out+0(FP), DI
	MOVQ o+8(FP), SI
	MOVQ l+16(FP), DX
	MOVQ rows+24(FP), R8
	MOVQ dim+32(FP), R9
	MOVQ hd+40(FP), R10
	SUBQ R9, R10
	MOVL $0x3f800000, AX // 1
	VMOVD AX, X3
row:
	VMOVUPS (DX), Y2
	VADDPS 32(DX), Y2, Y2
	VEXTRACTF128 $1, Y2, X1
	VADDPS X1, X2, X2
	VMOVHLPS X2, X2, X1
	VADDPS X1, X2, X2
	VMOVSHDUP X2, X1
	VADDSS X1, X2, X2
	VDIVSS X2, X3, X2
	VBROADCASTSS X2, Y2
	MOVQ R9, CX
column:
	VMULPS (SI), Y2, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ column
	LEAQ (SI)(R10*4), SI
	ADDQ $64, DX
	DECQ R8
	JNZ row
	VZEROUPPER
	RET
