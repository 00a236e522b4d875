//go:build !purego

#include "textflag.h"

// EACH: dst = a OP b, 8 at a time. n is a multiple of 8 and not 0.
#define EACH(OP) \
	MOVQ dst+0(FP), DI; \
	MOVQ a+8(FP), SI; \
	MOVQ b+16(FP), DX; \
	MOVQ n+24(FP), CX; \
	XORQ AX, AX; \
loop: \
	VMOVUPS (SI)(AX*4), Y0; \
	OP (DX)(AX*4), Y0, Y0; \
	VMOVUPS Y0, (DI)(AX*4); \
	ADDQ $8, AX; \
	CMPQ AX, CX; \
	JB loop; \
	VZEROUPPER; \
	RET

// func addAVX2(dst, a, b *float32, n int)
TEXT ·addAVX2(SB), NOSPLIT, $0-32
	EACH(VADDPS)

// func subAVX2(dst, a, b *float32, n int)
TEXT ·subAVX2(SB), NOSPLIT, $0-32
	EACH(VSUBPS)
