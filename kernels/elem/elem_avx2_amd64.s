//go:build !purego

#include "textflag.h"

// Activations on 8 lanes, and the twins of codes.go; n is a positive multiple of 8. With 16 registers
// constants stay in memory, repeated 8 times.

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

// func absMaxAVX2(x *float32, n int) uint32
TEXT ·absMaxAVX2(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VPCMPEQD Y2, Y2, Y2
	VPSRLD $1, Y2, Y2
	VPXOR Y0, Y0, Y0
loop:
	VPAND (SI), Y2, Y1
	VPMAXUD Y1, Y0, Y0
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ loop
	VEXTRACTI128 $1, Y0, X1
	VPMAXUD X1, X0, X0
	VPSHUFD $0x4e, X0, X1
	VPMAXUD X1, X0, X0
	VPSHUFD $0xb1, X0, X1
	VPMAXUD X1, X0, X0
	VMOVD X0, AX
	MOVL AX, ret+16(FP)
	VZEROUPPER
	RET

// func extremesAVX2(x *float32, bits *uint32, n int) (signed int32, unsigned uint32)
TEXT ·extremesAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), SI
	MOVQ bits+8(FP), DX
	MOVQ n+16(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
loop:
	VMOVDQU (SI), Y2
	VPAND (DX), Y2, Y2
	VPMAXSD Y2, Y0, Y0
	VPMAXUD Y2, Y1, Y1
	ADDQ $32, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ loop
	VEXTRACTI128 $1, Y0, X2
	VPMAXSD X2, X0, X0
	VPSHUFD $0x4e, X0, X2
	VPMAXSD X2, X0, X0
	VPSHUFD $0xb1, X0, X2
	VPMAXSD X2, X0, X0
	VEXTRACTI128 $1, Y1, X2
	VPMAXUD X2, X1, X1
	VPSHUFD $0x4e, X1, X2
	VPMAXUD X2, X1, X1
	VPSHUFD $0xb1, X1, X2
	VPMAXUD X2, X1, X1
	VMOVD X0, AX
	MOVL AX, signed+24(FP)
	VMOVD X1, AX
	MOVL AX, unsigned+28(FP)
	VZEROUPPER
	RET

// func codes8AVX2(dst *byte, x *float32, n int, inv, lo, hi float32, zero int32, rows, skip int)
// rows of n, skip bytes between their codes.
TEXT ·codes8AVX2(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ rows+40(FP), DX
	MOVQ skip+48(FP), R8
	VBROADCASTSS inv+24(FP), Y4
	VBROADCASTSS lo+28(FP), Y5
	VBROADCASTSS hi+32(FP), Y6
	MOVL zero+36(FP), AX
	VMOVD AX, X7
	VPBROADCASTD X7, Y7
	VPMOVZXBD codes8Turns<>(SB), Y8
row:
	MOVQ n+16(FP), CX
	SUBQ $32, CX
	JLT few
many:
	VMULPS (SI), Y4, Y0
	VMULPS 32(SI), Y4, Y1
	VMULPS 64(SI), Y4, Y2
	VMULPS 96(SI), Y4, Y3
	VMAXPS Y5, Y0, Y0 // NaN gives lo
	VMAXPS Y5, Y1, Y1
	VMAXPS Y5, Y2, Y2
	VMAXPS Y5, Y3, Y3
	VMINPS Y6, Y0, Y0
	VMINPS Y6, Y1, Y1
	VMINPS Y6, Y2, Y2
	VMINPS Y6, Y3, Y3
	VCVTPS2DQ Y0, Y0
	VCVTPS2DQ Y1, Y1
	VCVTPS2DQ Y2, Y2
	VCVTPS2DQ Y3, Y3
	VPADDD Y7, Y0, Y0
	VPADDD Y7, Y1, Y1
	VPADDD Y7, Y2, Y2
	VPADDD Y7, Y3, Y3
	VPACKUSDW Y1, Y0, Y0
	VPACKUSDW Y3, Y2, Y2
	VPACKUSWB Y2, Y0, Y0
	VPERMD Y0, Y8, Y0 // fours of halves side by side
	VMOVDQU Y0, (DI)
	ADDQ $128, SI
	ADDQ $32, DI
	SUBQ $32, CX
	JGE many
few:
	ADDQ $32, CX
	JZ done
loop:
	VMULPS (SI), Y4, Y0
	VMAXPS Y5, Y0, Y0
	VMINPS Y6, Y0, Y0
	VCVTPS2DQ Y0, Y0
	VPADDD Y7, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKUSDW X1, X0, X0
	VPACKUSWB X0, X0, X0
	VMOVQ X0, (DI)
	ADDQ $32, SI
	ADDQ $8, DI
	SUBQ $8, CX
	JNZ loop
done:
	ADDQ R8, DI
	DECQ DX
	JNZ row
	VZEROUPPER
	RET

DATA codes8Turns<>+0(SB)/8, $0x0703060205010400
GLOBL codes8Turns<>(SB), RODATA|NOPTR, $8

// func gate8AVX2(dst, x *byte, gate *float32, n int, r *Recoding)
TEXT ·gate8AVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ gate+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ r+32(FP), R8
	VBROADCASTSS 0(R8), Y1 // scale, inv, lo, hi, zero, toZero
	VBROADCASTSS 4(R8), Y2
	VBROADCASTSS 8(R8), Y3
	VBROADCASTSS 12(R8), Y4
	VPBROADCASTD 16(R8), Y5
	VPBROADCASTD 20(R8), Y6
loop:
	VPMOVZXBD (SI), Y0
	VPSUBD Y5, Y0, Y0
	VCVTDQ2PS Y0, Y0
	VMULPS Y1, Y0, Y0
	VMULPS (DX), Y0, Y0
	VMULPS Y2, Y0, Y0
	VMAXPS Y3, Y0, Y0 // NaN gives lo
	VMINPS Y4, Y0, Y0
	VCVTPS2DQ Y0, Y0
	VPADDD Y6, Y0, Y0
	VEXTRACTI128 $1, Y0, X7
	VPACKUSDW X7, X0, X0
	VPACKUSWB X0, X0, X0
	VMOVQ X0, (DI)
	ADDQ $8, SI
	ADDQ $8, DI
	ADDQ $32, DX
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// func codes16AVX2(hi, lo *byte, x *float32, n int, inv float32)
TEXT ·codes16AVX2(SB), NOSPLIT, $0-36
	MOVQ hi+0(FP), DI
	MOVQ lo+8(FP), DX
	MOVQ x+16(FP), SI
	MOVQ n+24(FP), CX
	VBROADCASTSS inv+32(FP), Y1
	MOVL $32768, AX
	VMOVD AX, X2
	VPBROADCASTD X2, Y2
	MOVL $0xff, AX
	VMOVD AX, X3
	VPBROADCASTD X3, Y3
loop:
	VMULPS (SI), Y1, Y0
	VCVTPS2DQ Y0, Y0
	VPADDD Y2, Y0, Y0
	VPAND Y3, Y0, Y4
	VPSRLD $8, Y0, Y0
	VEXTRACTI128 $1, Y0, X5
	VPACKUSDW X5, X0, X0
	VPACKUSWB X0, X0, X0
	VMOVQ X0, (DI)
	VEXTRACTI128 $1, Y4, X5
	VPACKUSDW X5, X4, X4
	VPACKUSWB X4, X4, X4
	VMOVQ X4, (DX)
	ADDQ $32, SI
	ADDQ $8, DI
	ADDQ $8, DX
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// func addAVX2(dst, a, b *float32, n int)
TEXT ·addAVX2(SB), NOSPLIT, $0-32
	EACH(VADDPS)

// func subAVX2(dst, a, b *float32, n int)
TEXT ·subAVX2(SB), NOSPLIT, $0-32
	EACH(VSUBPS)

DATA magic<>+0(SB)/8, $0x4b4000004b400000
DATA magic<>+8(SB)/8, $0x4b4000004b400000
DATA magic<>+16(SB)/8, $0x4b4000004b400000
DATA magic<>+24(SB)/8, $0x4b4000004b400000
GLOBL magic<>(SB), RODATA|NOPTR, $32

DATA one<>+0(SB)/8, $0x3f8000003f800000
DATA one<>+8(SB)/8, $0x3f8000003f800000
DATA one<>+16(SB)/8, $0x3f8000003f800000
DATA one<>+24(SB)/8, $0x3f8000003f800000
GLOBL one<>(SB), RODATA|NOPTR, $32

DATA least<>+0(SB)/8, $0xc2ae0000c2ae0000
DATA least<>+8(SB)/8, $0xc2ae0000c2ae0000
DATA least<>+16(SB)/8, $0xc2ae0000c2ae0000
DATA least<>+24(SB)/8, $0xc2ae0000c2ae0000
GLOBL least<>(SB), RODATA|NOPTR, $32

DATA most<>+0(SB)/8, $0x42b2000042b20000
DATA most<>+8(SB)/8, $0x42b2000042b20000
DATA most<>+16(SB)/8, $0x42b2000042b20000
DATA most<>+24(SB)/8, $0x42b2000042b20000
GLOBL most<>(SB), RODATA|NOPTR, $32

DATA log2e<>+0(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA log2e<>+8(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA log2e<>+16(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA log2e<>+24(SB)/8, $0x3fb8aa3b3fb8aa3b
GLOBL log2e<>(SB), RODATA|NOPTR, $32

DATA expHi<>+0(SB)/8, $0x3f3170003f317000
DATA expHi<>+8(SB)/8, $0x3f3170003f317000
DATA expHi<>+16(SB)/8, $0x3f3170003f317000
DATA expHi<>+24(SB)/8, $0x3f3170003f317000
GLOBL expHi<>(SB), RODATA|NOPTR, $32

DATA expLo<>+0(SB)/8, $0x3805fdf43805fdf4
DATA expLo<>+8(SB)/8, $0x3805fdf43805fdf4
DATA expLo<>+16(SB)/8, $0x3805fdf43805fdf4
DATA expLo<>+24(SB)/8, $0x3805fdf43805fdf4
GLOBL expLo<>(SB), RODATA|NOPTR, $32

DATA e6<>+0(SB)/8, $0x3ab688853ab68885
DATA e6<>+8(SB)/8, $0x3ab688853ab68885
DATA e6<>+16(SB)/8, $0x3ab688853ab68885
DATA e6<>+24(SB)/8, $0x3ab688853ab68885
GLOBL e6<>(SB), RODATA|NOPTR, $32

DATA e5<>+0(SB)/8, $0x3c0905b73c0905b7
DATA e5<>+8(SB)/8, $0x3c0905b73c0905b7
DATA e5<>+16(SB)/8, $0x3c0905b73c0905b7
DATA e5<>+24(SB)/8, $0x3c0905b73c0905b7
GLOBL e5<>(SB), RODATA|NOPTR, $32

DATA e4<>+0(SB)/8, $0x3d2aaa8d3d2aaa8d
DATA e4<>+8(SB)/8, $0x3d2aaa8d3d2aaa8d
DATA e4<>+16(SB)/8, $0x3d2aaa8d3d2aaa8d
DATA e4<>+24(SB)/8, $0x3d2aaa8d3d2aaa8d
GLOBL e4<>(SB), RODATA|NOPTR, $32

DATA e3<>+0(SB)/8, $0x3e2aaa6e3e2aaa6e
DATA e3<>+8(SB)/8, $0x3e2aaa6e3e2aaa6e
DATA e3<>+16(SB)/8, $0x3e2aaa6e3e2aaa6e
DATA e3<>+24(SB)/8, $0x3e2aaa6e3e2aaa6e
GLOBL e3<>(SB), RODATA|NOPTR, $32

DATA e2<>+0(SB)/8, $0x3f0000003f000000
DATA e2<>+8(SB)/8, $0x3f0000003f000000
DATA e2<>+16(SB)/8, $0x3f0000003f000000
DATA e2<>+24(SB)/8, $0x3f0000003f000000
GLOBL e2<>(SB), RODATA|NOPTR, $32

DATA sign<>+0(SB)/8, $0x8000000080000000
DATA sign<>+8(SB)/8, $0x8000000080000000
DATA sign<>+16(SB)/8, $0x8000000080000000
DATA sign<>+24(SB)/8, $0x8000000080000000
GLOBL sign<>(SB), RODATA|NOPTR, $32

DATA bias<>+0(SB)/8, $0x0000007f0000007f
DATA bias<>+8(SB)/8, $0x0000007f0000007f
DATA bias<>+16(SB)/8, $0x0000007f0000007f
DATA bias<>+24(SB)/8, $0x0000007f0000007f
GLOBL bias<>(SB), RODATA|NOPTR, $32

DATA bit<>+0(SB)/8, $0x0000000100000001
DATA bit<>+8(SB)/8, $0x0000000100000001
DATA bit<>+16(SB)/8, $0x0000000100000001
DATA bit<>+24(SB)/8, $0x0000000100000001
GLOBL bit<>(SB), RODATA|NOPTR, $32

DATA half<>+0(SB)/8, $0x00007fff00007fff
DATA half<>+8(SB)/8, $0x00007fff00007fff
DATA half<>+16(SB)/8, $0x00007fff00007fff
DATA half<>+24(SB)/8, $0x00007fff00007fff
GLOBL half<>(SB), RODATA|NOPTR, $32

DATA high<>+0(SB)/8, $0xffff0000ffff0000
DATA high<>+8(SB)/8, $0xffff0000ffff0000
DATA high<>+16(SB)/8, $0xffff0000ffff0000
DATA high<>+24(SB)/8, $0xffff0000ffff0000
GLOBL high<>(SB), RODATA|NOPTR, $32

// EXP: P = exp(X), see exp32. Spoils X, N, M, T. VMINPS gives X when that is NaN.
#define EXP(X, N, P, M, T) \
	VCMPPS $5, least<>(SB), X, M; \
	VMOVUPS most<>(SB), T; \
	VMINPS X, T, X; \
	VMULPS log2e<>(SB), X, N; \
	VADDPS magic<>(SB), N, N; \
	VSUBPS magic<>(SB), N, N; \
	VMULPS expHi<>(SB), N, P; \
	VSUBPS P, X, X; \
	VMULPS expLo<>(SB), N, P; \
	VSUBPS P, X, X; \
	VMULPS e6<>(SB), X, P; \
	VADDPS e5<>(SB), P, P; \
	VMULPS X, P, P; \
	VADDPS e4<>(SB), P, P; \
	VMULPS X, P, P; \
	VADDPS e3<>(SB), P, P; \
	VMULPS X, P, P; \
	VADDPS e2<>(SB), P, P; \
	VMULPS X, P, P; \
	VMULPS X, P, P; \
	VADDPS X, P, P; \
	VADDPS one<>(SB), P, P; \
	VCVTPS2DQ N, N; \
	VPSRAD $1, N, T; \
	VPSUBD T, N, N; \
	VPADDD bias<>(SB), T, T; \
	VPSLLD $23, T, T; \
	VMULPS T, P, P; \
	VPADDD bias<>(SB), N, N; \
	VPSLLD $23, N, N; \
	VMULPS N, P, P; \
	VANDPS M, P, P

// ROUND: X = X rounded to bfloat16; a NaN stays one if none of its low bits is set.
#define ROUND(X, T) \
	VPSRLD $16, X, T; \
	VPAND bit<>(SB), T, T; \
	VPADDD half<>(SB), T, T; \
	VPADDD X, T, T; \
	VPAND high<>(SB), T, X

// func siluMulAVX2(dst, gate, u *float32, n int)
// n is a multiple of 8.
TEXT ·siluMulAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ gate+8(FP), SI
	MOVQ u+16(FP), DX
	MOVQ n+24(FP), CX

loop:
	VMOVUPS (SI), Y0
	VXORPS sign<>(SB), Y0, Y1
	EXP(Y1, Y2, Y3, Y4, Y5)
	VADDPS one<>(SB), Y3, Y3
	VDIVPS Y3, Y0, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// func toBF16AVX2(dst *uint16, x *float32, n int)
// n is a multiple of 8.
TEXT ·toBF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	MOVL $0x400000, AX
	VMOVD AX, X3
	VPBROADCASTD X3, Y3

loop:
	VMOVUPS (SI), Y0
	VCMPPS $3, Y0, Y0, Y4 // NaN: made quiet, not rounded
	VPOR Y3, Y0, Y5
	VPAND high<>(SB), Y5, Y5
	ROUND(Y0, Y1)
	VBLENDVPS Y4, Y5, Y0, Y0
	VPSRLD $16, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKUSDW X1, X0, X0
	VMOVDQU X0, (DI)
	ADDQ $32, SI
	ADDQ $16, DI
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// func fromBF16AVX2(dst *float32, x *uint16, n int)
// n is a multiple of 8.
TEXT ·fromBF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VPMOVZXWD (SI), Y0
	VPSLLD $16, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// func roundBF16AVX2(dst *uint16, wide, x *float32, n int, scale float32)
// n is a multiple of 8.
TEXT ·roundBF16AVX2(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ wide+8(FP), DX
	MOVQ x+16(FP), SI
	MOVQ n+24(FP), CX
	VBROADCASTSS scale+32(FP), Y2
	MOVL $0x400000, AX
	VMOVD AX, X3
	VPBROADCASTD X3, Y3

loop:
	VMULPS (SI), Y2, Y0
	VCMPPS $3, Y0, Y0, Y4 // NaN: made quiet, not rounded
	VPOR Y3, Y0, Y5
	VPAND high<>(SB), Y5, Y5
	ROUND(Y0, Y1)
	VBLENDVPS Y4, Y5, Y0, Y0
	VMOVUPS Y0, (DX)
	VPSRLD $16, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKUSDW X1, X0, X0
	VMOVDQU X0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $16, DI
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// Of three vectors of 16 bytes, where each byte of three others comes from: masks [3][3 vectors] for VPSHUFB.
DATA threes<>+0(SB)/8, $0x8002808001808000
DATA threes<>+8(SB)/8, $0x0580800480800380
DATA threes<>+16(SB)/8, $0x0280800180800080
DATA threes<>+24(SB)/8, $0x8080048080038080
DATA threes<>+32(SB)/8, $0x8080018080008080
DATA threes<>+40(SB)/8, $0x8004808003808002
DATA threes<>+48(SB)/8, $0x8080078080068080
DATA threes<>+56(SB)/8, $0x800a808009808008
DATA threes<>+64(SB)/8, $0x8007808006808005
DATA threes<>+72(SB)/8, $0x0a80800980800880
DATA threes<>+80(SB)/8, $0x0780800680800580
DATA threes<>+88(SB)/8, $0x8080098080088080
DATA threes<>+96(SB)/8, $0x0d80800c80800b80
DATA threes<>+104(SB)/8, $0x80800f80800e8080
DATA threes<>+112(SB)/8, $0x80800c80800b8080
DATA threes<>+120(SB)/8, $0x800f80800e80800d
DATA threes<>+128(SB)/8, $0x800c80800b80800a
DATA threes<>+136(SB)/8, $0x0f80800e80800d80
GLOBL threes<>(SB), RODATA|NOPTR, $144

// func interleave3AVX2(dst, a, b, c *byte, n int)
// n is a positive multiple of 16.
TEXT ·interleave3AVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), BX
	MOVQ c+24(FP), DX
	MOVQ n+32(FP), CX
	VMOVDQU threes<>+0(SB), X7
	VMOVDQU threes<>+16(SB), X8
	VMOVDQU threes<>+32(SB), X9
	VMOVDQU threes<>+48(SB), X10
	VMOVDQU threes<>+64(SB), X11
	VMOVDQU threes<>+80(SB), X12
	VMOVDQU threes<>+96(SB), X13
	VMOVDQU threes<>+112(SB), X14
	VMOVDQU threes<>+128(SB), X15
loop:
	VMOVDQU (SI), X0
	VMOVDQU (BX), X1
	VMOVDQU (DX), X2
	VPSHUFB X7, X0, X3
	VPSHUFB X8, X1, X4
	VPSHUFB X9, X2, X5
	VPOR X3, X4, X4
	VPOR X4, X5, X5
	VMOVDQU X5, 0(DI)
	VPSHUFB X10, X0, X3
	VPSHUFB X11, X1, X4
	VPSHUFB X12, X2, X5
	VPOR X3, X4, X4
	VPOR X4, X5, X5
	VMOVDQU X5, 16(DI)
	VPSHUFB X13, X0, X3
	VPSHUFB X14, X1, X4
	VPSHUFB X15, X2, X5
	VPOR X3, X4, X4
	VPOR X4, X5, X5
	VMOVDQU X5, 32(DI)
	ADDQ $16, SI
	ADDQ $16, BX
	ADDQ $16, DX
	ADDQ $48, DI
	SUBQ $16, CX
	JNZ loop
	VZEROUPPER
	RET
