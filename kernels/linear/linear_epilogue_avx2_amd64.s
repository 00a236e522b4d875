//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Lanes in use, read from 32-4*n for n of 8 columns.
DATA lanes8<>+0(SB)/8, $-1
DATA lanes8<>+8(SB)/8, $-1
DATA lanes8<>+16(SB)/8, $-1
DATA lanes8<>+24(SB)/8, $-1
DATA lanes8<>+32(SB)/8, $0
DATA lanes8<>+40(SB)/8, $0
DATA lanes8<>+48(SB)/8, $0
DATA lanes8<>+56(SB)/8, $0
GLOBL lanes8<>(SB), RODATA|NOPTR, $64

// func epilogueAVX2(a *epilogueArgs)
// epilogueAVX512, 8 columns at a time: Y3 lanes in use, Y6 to Y8 temporary, the rest as there.
TEXT ·epilogueAVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), AX
	MOVQ epilogueArgs_y(AX), R8
	MOVQ epilogueArgs_c(AX), R10
	MOVQ epilogueArgs_lo(AX), R12
	MOVQ epilogueArgs_sum(AX), R13
	MOVQ epilogueArgs_wscale(AX), BX
	MOVQ epilogueArgs_bias(AX), R11
	MOVQ $0x4070000000000000, CX
	MOVQ CX, X4
	VPBROADCASTQ X4, Y4
	XORQ DX, DX

row:
	MOVQ epilogueArgs_scale(AX), DI
	VBROADCASTSS (DI)(DX*4), Y0
	LEAQ (R10)(R12*1), DI
	XORQ SI, SI
	MOVQ epilogueArgs_cols(AX), R9
	TESTQ R12, R12
	JNZ  column
	MOVQ epilogueArgs_zero(AX), DI
	VPBROADCASTD (DI)(DX*4), Y1

column:
	VMOVDQU (R10)(SI*1), Y5
	VMOVDQU (R13)(SI*1), Y6
	TESTQ R12, R12
	JNZ  a16
	VPMULLD Y6, Y1, Y6
	VPSUBD Y6, Y5, Y5
	VCVTDQ2PS Y5, Y5
	JMP  scale

a16:
	VPSLLD $7, Y6, Y6
	VPSUBD Y6, Y5, Y5
	VEXTRACTI128 $1, Y5, X6
	VCVTDQ2PD X5, Y5
	VCVTDQ2PD X6, Y6
	VCVTDQ2PD (DI)(SI*1), Y7
	VCVTDQ2PD 16(DI)(SI*1), Y8
	VFMADD213PD Y7, Y4, Y5
	VFMADD213PD Y8, Y4, Y6
	VCVTPD2PSY Y5, X5
	VCVTPD2PSY Y6, X6
	VINSERTF128 $1, X6, Y5, Y5

scale:
	VMULPS Y0, Y5, Y5
	VMULPS (BX)(SI*1), Y5, Y5
	TESTQ R11, R11
	JZ   nobias
	VADDPS (R11)(SI*1), Y5, Y5

nobias:
	MOVQ epilogueArgs_mul(AX), CX
	TESTQ CX, CX
	JZ   nomul
	VMULPS (CX)(SI*1), Y5, Y5

nomul:
	CMPQ R9, $8
	JLT  some // masks cost dozens of operations on AMD's processors
	CMPQ epilogueArgs_add(AX), $0
	JEQ  store
	VADDPS (R8)(SI*1), Y5, Y5

store:
	VMOVUPS Y5, (R8)(SI*1)
	ADDQ $32, SI
	SUBQ $8, R9
	JG   column
	JMP  next

some:
	NEGQ R9
	LEAQ lanes8<>+32(SB), CX
	VMOVDQU (CX)(R9*4), Y3
	CMPQ epilogueArgs_add(AX), $0
	JEQ  storesome
	VMASKMOVPS (R8)(SI*1), Y3, Y6
	VADDPS Y5, Y6, Y5

storesome:
	VMASKMOVPS Y5, Y3, (R8)(SI*1)

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

// func wildAVX2(a *wildArgs)
// wildAVX512, 8 columns at a time: DX halves of blocks left.
TEXT ·wildAVX2(SB), NOSPLIT, $8-8
	MOVQ a+0(FP), AX
	MOVQ wildArgs_bias(AX), R12
	MOVQ R12, bias-8(SP)
	MOVQ wildArgs_t(AX), R8
	MOVQ wildArgs_ldt(AX), R9
	MOVQ wildArgs_x(AX), R10
	MOVQ wildArgs_count(AX), R11
	MOVQ wildArgs_w(AX), SI
	MOVQ wildArgs_n(AX), DX
	ADDQ DX, DX
	LEAQ (R11*4), BX
	LEAQ (BX)(BX*2), DI

half:
	VXORPS Y4, Y4, Y4
	MOVQ bias-8(SP), R12
	TESTQ R12, R12
	JZ   nobias
	VMOVUPS (R12), Y4
	ADDQ $32, bias-8(SP)

nobias:
	MOVQ R8, R12
	MOVQ R10, R13
	MOVQ wildArgs_rows(AX), CX

rows4:
	CMPQ CX, $4
	JLT  rows1
	VMOVAPS Y4, Y0
	VMOVAPS Y4, Y1
	VMOVAPS Y4, Y2
	VMOVAPS Y4, Y3
	MOVQ SI, R14
	MOVQ R11, R15

columns4:
	VMOVUPS (R14), Y5
	VBROADCASTSS (R13), Y6
	VFMADD231PS Y5, Y6, Y0
	VBROADCASTSS (R13)(BX*1), Y7
	VFMADD231PS Y5, Y7, Y1
	VBROADCASTSS (R13)(BX*2), Y8
	VFMADD231PS Y5, Y8, Y2
	VBROADCASTSS (R13)(DI*1), Y9
	VFMADD231PS Y5, Y9, Y3
	ADDQ $4, R13
	ADDQ $64, R14
	DECQ R15
	JNZ  columns4
	ADDQ DI, R13
	VMOVUPS Y0, (R12)
	VMOVUPS Y1, (R12)(R9*1)
	LEAQ (R12)(R9*2), R12
	VMOVUPS Y2, (R12)
	VMOVUPS Y3, (R12)(R9*1)
	LEAQ (R12)(R9*2), R12
	SUBQ $4, CX
	JMP  rows4

rows1:
	TESTQ CX, CX
	JZ   next
	VMOVAPS Y4, Y0
	MOVQ SI, R14
	MOVQ R11, R15

columns1:
	VMOVUPS (R14), Y5
	VBROADCASTSS (R13), Y6
	VFMADD231PS Y5, Y6, Y0
	ADDQ $4, R13
	ADDQ $64, R14
	DECQ R15
	JNZ  columns1
	VMOVUPS Y0, (R12)
	ADDQ R9, R12
	DECQ CX
	JMP  rows1

next:
	ADDQ $32, R8
	ADDQ $32, SI
	TESTQ $1, DX
	JZ   first
	LEAQ -32(R14), SI

first:
	DECQ DX
	JNZ  half
	VZEROUPPER
	RET
