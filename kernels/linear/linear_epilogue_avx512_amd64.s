//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// JOIN rounds 256*h + the integers at lo to float32, once: exact in float64. h and t, with their
// lower halves, Z8 and Z9 are changed; Z4 256.0.
#define JOIN(h, h0, t, t0, lo) \
	VEXTRACTI64X4 $1, h, t0; \
	VCVTDQ2PD h0, h; \
	VCVTDQ2PD t0, t; \
	VCVTDQ2PD (lo), Z8; \
	VCVTDQ2PD 32(lo), Z9; \
	VFMADD213PD Z8, Z4, h; \
	VFMADD213PD Z9, Z4, t; \
	VCVTPD2PS h, h0; \
	VCVTPD2PS t, t0; \
	VINSERTF64X4 $1, t0, h, h

// func epilogueAVX512(a *epilogueArgs)
// The formula of linear_generic.go, a row at a time, 16 columns at a time.
// R8 y and R10 c of row DX, R12 lo, R13 sum, BX wscale, SI bytes along the
// row, R9 columns left, K1 those of this block. Z0 scale, Z1 zero.
TEXT ·epilogueAVX512(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), AX
	MOVQ epilogueArgs_y(AX), R8
	MOVQ epilogueArgs_c(AX), R10
	MOVQ epilogueArgs_lo(AX), R12
	MOVQ epilogueArgs_sum(AX), R13
	MOVQ epilogueArgs_wscale(AX), BX
	MOVQ epilogueArgs_bias(AX), R11
	MOVQ $0x4070000000000000, CX
	VPBROADCASTQ CX, Z4
	XORQ DX, DX

row:
	MOVQ epilogueArgs_scale(AX), DI
	VBROADCASTSS (DI)(DX*4), Z0
	LEAQ (R10)(R12*1), DI
	XORQ SI, SI
	MOVQ epilogueArgs_cols(AX), R9
	TESTQ R12, R12
	JNZ  column
	MOVQ epilogueArgs_zero(AX), DI
	VPBROADCASTD (DI)(DX*4), Z1
	MOVQ epilogueArgs_mul(AX), CX
	ORQ  epilogueArgs_add(AX), CX
	JNZ  column
	TESTQ R11, R11
	JZ   column
	SUBQ $16, R9
	JLT  rest

// Bytes with a bias and nothing else.
plain:
	VPMULLD (R13)(SI*1), Z1, Z6
	VMOVDQU32 (R10)(SI*1), Z5
	VPSUBD Z6, Z5, Z5
	VCVTDQ2PS Z5, Z5
	VMULPS Z0, Z5, Z5
	VMULPS (BX)(SI*1), Z5, Z5
	VADDPS (R11)(SI*1), Z5, Z5
	VMOVUPS Z5, (R8)(SI*1)
	ADDQ $64, SI
	SUBQ $16, R9
	JGE  plain

rest:
	ADDQ $16, R9
	JLE  next

column:
	MOVL $0xffff, CX
	CMPQ R9, $16
	JGE  whole
	BZHIL R9, CX, CX

whole:
	KMOVW CX, K1
	VMOVDQU32 (R10)(SI*1), Z5
	TESTQ R12, R12
	JNZ  a16
	VPMULLD (R13)(SI*1), Z1, Z6
	VPSUBD Z6, Z5, Z5
	VCVTDQ2PS Z5, Z5
	JMP  scale

a16:
	VPSLLD $7, (R13)(SI*1), Z6
	VPSUBD Z6, Z5, Z5
	LEAQ (DI)(SI*1), CX
	JOIN(Z5, Y5, Z6, Y6, CX)

scale:
	VMULPS Z0, Z5, Z5
	VMULPS (BX)(SI*1), Z5, Z5
	TESTQ R11, R11
	JZ   nobias
	VADDPS (R11)(SI*1), Z5, Z5

nobias:
	MOVQ epilogueArgs_mul(AX), CX
	TESTQ CX, CX
	JZ   nomul
	VMULPS (CX)(SI*1), Z5, Z5

nomul:
	CMPQ epilogueArgs_add(AX), $0
	JEQ  store
	VMOVUPS.Z (R8)(SI*1), K1, Z6
	VADDPS Z5, Z6, Z5

store:
	VMOVUPS Z5, K1, (R8)(SI*1)
	ADDQ $64, SI
	SUBQ $16, R9
	JG   column

next:
	ADDQ epilogueArgs_ldb(AX), R11
	MOVQ epilogueArgs_ldm(AX), CX
	ADDQ CX, epilogueArgs_mul(AX)
	ADDQ epilogueArgs_ldy(AX), R8
	ADDQ epilogueArgs_ldc(AX), R10
	INCQ DX
	CMPQ DX, epilogueArgs_rows(AX)
	JLT  row
	VZEROUPPER
	RET

// func groupEpilogueAVX512(a *epilogueArgs)
// linearI4FGeneric's formula: as above, but Z5 sums over groups, CX of them
// left; CX groups, DI c, BX sum, R13 gscale of the group.
TEXT ·groupEpilogueAVX512(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), AX
	MOVQ epilogueArgs_y(AX), R8
	MOVQ epilogueArgs_c(AX), R10
	MOVQ epilogueArgs_lo(AX), R12
	MOVQ epilogueArgs_gstep(AX), R11
	MOVQ $0x4070000000000000, CX
	VPBROADCASTQ CX, Z4
	XORQ DX, DX

row:
	MOVQ epilogueArgs_scale(AX), DI
	VBROADCASTSS (DI)(DX*4), Z0
	XORQ SI, SI
	MOVQ epilogueArgs_cols(AX), R9
	MOVQ epilogueArgs_gscale(AX), R13
	TESTQ R12, R12
	JNZ  column
	MOVQ epilogueArgs_zero(AX), DI
	VPBROADCASTD (DI)(DX*4), Z1

column:
	MOVL $0xffff, CX
	CMPQ R9, $16
	JGE  whole
	BZHIL R9, CX, CX

whole:
	KMOVW CX, K1
	VPXORD Z5, Z5, Z5
	LEAQ (R10)(SI*1), DI
	MOVQ epilogueArgs_sum(AX), BX
	ADDQ SI, BX
	MOVQ epilogueArgs_groups(AX), CX

group:
	VMOVDQU32 (DI), Z6
	TESTQ R12, R12
	JNZ  a16
	VPMULLD (BX), Z1, Z7
	VPSUBD Z7, Z6, Z6
	VCVTDQ2PS Z6, Z6
	JMP  scale

a16:
	VPSLLD $7, (BX), Z7
	VPSUBD Z7, Z6, Z6
	ADDQ R12, DI
	JOIN(Z6, Y6, Z7, Y7, DI)
	SUBQ R12, DI

scale:
	VMULPS Z0, Z6, Z6
	VMULPS (R13), Z6, Z6
	VADDPS Z6, Z5, Z5
	ADDQ R11, DI
	ADDQ R11, BX
	ADDQ $64, R13
	DECQ CX
	JNZ  group

	MOVQ epilogueArgs_bias(AX), CX
	TESTQ CX, CX
	JZ   nobias
	VADDPS (CX)(SI*1), Z5, Z5

nobias:
	CMPQ epilogueArgs_add(AX), $0
	JEQ  store
	VMOVUPS.Z (R8)(SI*1), K1, Z6
	VADDPS Z5, Z6, Z5

store:
	VMOVUPS Z5, K1, (R8)(SI*1)
	ADDQ $64, SI
	SUBQ $16, R9
	JG   column

	ADDQ epilogueArgs_ldy(AX), R8
	ADDQ epilogueArgs_ldc(AX), R10
	INCQ DX
	CMPQ DX, epilogueArgs_rows(AX)
	JLT  row
	VZEROUPPER
	RET

// func wildAVX512(a *wildArgs)
// Blocks of 16 columns, and of each six rows at a time: Z7 bias, Z6 weights of a column, Z0 to Z5 sums. R8 t and SI w of block DX from the last;
// R12 t and R13 x of the rows, AX x three rows on, CX rows left.
TEXT ·wildAVX512(SB), NOSPLIT, $16-8
	MOVQ a+0(FP), AX
	MOVQ wildArgs_bias(AX), R12
	MOVQ R12, bias-8(SP)
	MOVQ wildArgs_rows(AX), R12
	MOVQ R12, rows-16(SP)
	MOVQ wildArgs_t(AX), R8
	MOVQ wildArgs_ldt(AX), R9
	MOVQ wildArgs_x(AX), R10
	MOVQ wildArgs_count(AX), R11
	MOVQ wildArgs_w(AX), SI
	MOVQ wildArgs_n(AX), DX
	LEAQ (R11*4), BX
	LEAQ (BX)(BX*2), DI

block:
	VPXORD Z7, Z7, Z7
	MOVQ bias-8(SP), R12
	TESTQ R12, R12
	JZ   nobias
	VMOVUPS (R12), Z7
	ADDQ $64, bias-8(SP)

nobias:
	MOVQ R8, R12
	MOVQ R10, R13
	MOVQ rows-16(SP), CX

rows6:
	CMPQ CX, $6
	JLT  rows1
	VMOVAPS Z7, Z0
	VMOVAPS Z7, Z1
	VMOVAPS Z7, Z2
	VMOVAPS Z7, Z3
	VMOVAPS Z7, Z4
	VMOVAPS Z7, Z5
	MOVQ SI, R14
	MOVQ R11, R15
	LEAQ (R13)(DI*1), AX

columns6:
	VMOVUPS (R14), Z6
	VFMADD231PS.BCST (R13), Z6, Z0
	VFMADD231PS.BCST (R13)(BX*1), Z6, Z1
	VFMADD231PS.BCST (R13)(BX*2), Z6, Z2
	VFMADD231PS.BCST (AX), Z6, Z3
	VFMADD231PS.BCST (AX)(BX*1), Z6, Z4
	VFMADD231PS.BCST (AX)(BX*2), Z6, Z5
	ADDQ $4, R13
	ADDQ $4, AX
	ADDQ $64, R14
	DECQ R15
	JNZ  columns6
	LEAQ (AX)(BX*2), R13
	LEAQ (R9)(R9*2), AX
	VMOVUPS Z0, (R12)
	VMOVUPS Z1, (R12)(R9*1)
	VMOVUPS Z2, (R12)(R9*2)
	ADDQ AX, R12
	VMOVUPS Z3, (R12)
	VMOVUPS Z4, (R12)(R9*1)
	VMOVUPS Z5, (R12)(R9*2)
	ADDQ AX, R12
	SUBQ $6, CX
	JMP  rows6

rows1:
	TESTQ CX, CX
	JZ   next
	VMOVAPS Z7, Z0
	MOVQ SI, R14
	MOVQ R11, R15

columns1:
	VMOVUPS (R14), Z6
	VFMADD231PS.BCST (R13), Z6, Z0
	ADDQ $4, R13
	ADDQ $64, R14
	DECQ R15
	JNZ  columns1
	VMOVUPS Z0, (R12)
	ADDQ R9, R12
	DECQ CX
	JMP  rows1

next:
	MOVQ R14, SI
	ADDQ $64, R8
	DECQ DX
	JNZ  block
	VZEROUPPER
	RET
