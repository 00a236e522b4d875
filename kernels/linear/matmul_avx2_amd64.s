//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// ROW: 16 sums of row i of x += its value at line L * the weights in Y12, Y13.
#define ROW(i, L, A0, A1) \
	VBROADCASTSS (L*32+i*4)(DX), Y14; \
	VMULPS Y12, Y14, Y15; \
	VMULPS Y13, Y14, Y14; \
	VADDPS Y15, A0, A0; \
	VADDPS Y14, A1, A1

#define STEP(L) \
	VMOVUPS (L*64)(SI), Y12; \
	VMOVUPS (L*64+32)(SI), Y13; \
	ROW(0, L, Y0, Y1); \
	ROW(1, L, Y2, Y3); \
	ROW(2, L, Y4, Y5); \
	ROW(3, L, Y6, Y7); \
	ROW(4, L, Y8, Y9); \
	ROW(5, L, Y10, Y11)

// func matmulAVX2(a *matmulArgs)
// Y(2i), Y(2i+1): a partial sum of row i.
TEXT ·matmulAVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), AX
	MOVQ matmulArgs_x(AX), BX
	MOVQ matmulArgs_sums(AX), DI
	MOVQ matmulArgs_tiles(AX), R8
	MOVQ matmulArgs_xTile(AX), R9

tile:
	MOVQ matmulArgs_w(AX), SI
	MOVQ matmulArgs_steps(AX), CX
	MOVQ BX, DX
	CMPB matmulArgs_more(AX), $0
	JNE more
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
	JMP start

more:
	VMOVUPS 0(DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
	VMOVUPS 128(DI), Y4
	VMOVUPS 160(DI), Y5
	VMOVUPS 192(DI), Y6
	VMOVUPS 224(DI), Y7
	VMOVUPS 256(DI), Y8
	VMOVUPS 288(DI), Y9
	VMOVUPS 320(DI), Y10
	VMOVUPS 352(DI), Y11

start:
	SUBQ $4, CX
	JLT rest

four:
	STEP(0)
	STEP(1)
	STEP(2)
	STEP(3)
	ADDQ $256, SI
	ADDQ $128, DX
	SUBQ $4, CX
	JGE four

rest:
	ADDQ $4, CX
	JZ stop

one:
	STEP(0)
	ADDQ $64, SI
	ADDQ $32, DX
	DECQ CX
	JNZ one

stop:
	VMOVUPS Y0, 0(DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	VMOVUPS Y4, 128(DI)
	VMOVUPS Y5, 160(DI)
	VMOVUPS Y6, 192(DI)
	VMOVUPS Y7, 224(DI)
	VMOVUPS Y8, 256(DI)
	VMOVUPS Y9, 288(DI)
	VMOVUPS Y10, 320(DI)
	VMOVUPS Y11, 352(DI)
	ADDQ $1536, DI
	ADDQ R9, BX
	DECQ R8
	JNZ tile
	VZEROUPPER
	RET

// func matmulJoinAVX2(sums *[4][6][16]float32, y *[6]*float32)
// y[i][0:16] = (s0+s2) + (s1+s3).
TEXT ·matmulJoinAVX2(SB), NOSPLIT, $0-16
	MOVQ sums+0(FP), SI
	MOVQ y+8(FP), BX
	MOVQ $6, CX

row:
	MOVQ (BX), DI
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 384(SI), Y2
	VMOVUPS 416(SI), Y3
	VADDPS 768(SI), Y0, Y0
	VADDPS 800(SI), Y1, Y1
	VADDPS 1152(SI), Y2, Y2
	VADDPS 1184(SI), Y3, Y3
	VADDPS Y2, Y0, Y0
	VADDPS Y3, Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ $64, SI
	ADDQ $8, BX
	DECQ CX
	JNZ row
	VZEROUPPER
	RET
