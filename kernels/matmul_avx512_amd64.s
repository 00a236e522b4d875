//go:build !purego

#include "textflag.h"

// STEP: one k for four rows of x: acc of row i += x[i][k] * 16 weights at OFF(SI).
#define STEP(OFF, K, A0, A1, A2, A3) \
	VMOVUPS OFF(SI), Z16; \
	VMULPS.BCST (K*4)(R8)(AX*4), Z16, Z17; \
	VMULPS.BCST (K*4)(R9)(AX*4), Z16, Z18; \
	VMULPS.BCST (K*4)(R10)(AX*4), Z16, Z19; \
	VMULPS.BCST (K*4)(R11)(AX*4), Z16, Z20; \
	VADDPS Z17, A0, A0; \
	VADDPS Z18, A1, A1; \
	VADDPS Z19, A2, A2; \
	VADDPS Z20, A3, A3

// JOIN: (s0+s2)+(s1+s3) to the row of y at (R).
#define JOIN(A0, A1, A2, A3, R) \
	VADDPS A2, A0, A0; \
	VADDPS A3, A1, A1; \
	VADDPS A1, A0, A0; \
	VMOVUPS A0, (R)

// func matmulAVX512(t *float32, k int, x, y *[4]*float32)
// y[i][0:16] = x[i] times t [k][16]. Row i has the partial sums of k mod 4 in
// Zi, Z(4+i), Z(8+i), Z(12+i); the last k mod 8 products go to Zi.
TEXT ·matmulAVX512(SB), NOSPLIT, $0-32
	MOVQ t+0(FP), SI
	MOVQ k+8(FP), DX
	MOVQ x+16(FP), BX
	MOVQ 0(BX), R8
	MOVQ 8(BX), R9
	MOVQ 16(BX), R10
	MOVQ 24(BX), R11
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	VPXORD Z8, Z8, Z8
	VPXORD Z9, Z9, Z9
	VPXORD Z10, Z10, Z10
	VPXORD Z11, Z11, Z11
	VPXORD Z12, Z12, Z12
	VPXORD Z13, Z13, Z13
	VPXORD Z14, Z14, Z14
	VPXORD Z15, Z15, Z15
	XORQ AX, AX
	MOVQ DX, CX
	ANDQ $-8, CX
	JZ rest

four:
	STEP(0, 0, Z0, Z1, Z2, Z3)
	STEP(64, 1, Z4, Z5, Z6, Z7)
	STEP(128, 2, Z8, Z9, Z10, Z11)
	STEP(192, 3, Z12, Z13, Z14, Z15)
	ADDQ $256, SI
	ADDQ $4, AX
	CMPQ AX, CX
	JB four

rest:
	CMPQ AX, DX
	JAE done
	STEP(0, 0, Z0, Z1, Z2, Z3)
	ADDQ $64, SI
	INCQ AX
	JMP rest

done:
	MOVQ y+24(FP), BX
	MOVQ 0(BX), R8
	MOVQ 8(BX), R9
	MOVQ 16(BX), R10
	MOVQ 24(BX), R11
	JOIN(Z0, Z4, Z8, Z12, R8)
	JOIN(Z1, Z5, Z9, Z13, R9)
	JOIN(Z2, Z6, Z10, Z14, R10)
	JOIN(Z3, Z7, Z11, Z15, R11)
	VZEROUPPER
	RET
