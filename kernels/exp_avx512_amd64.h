// What elem_avx512_amd64.s and dot_avx512_amd64.s share.

DATA expConst<>+0x00(SB)/4, $1.44269504           // log2(e)
DATA expConst<>+0x04(SB)/4, $0.693115234375       // expHi
DATA expConst<>+0x08(SB)/4, $3.194618494529e-05   // expLo
DATA expConst<>+0x0c(SB)/4, $0.0013926183587568192 // e6
DATA expConst<>+0x10(SB)/4, $0.00836317905270155  // e5
DATA expConst<>+0x14(SB)/4, $0.04166655461720603  // e4
DATA expConst<>+0x18(SB)/4, $0.16666576989699006  // e3
DATA expConst<>+0x1c(SB)/4, $0.5                  // e2
DATA expConst<>+0x20(SB)/4, $1.0
DATA expConst<>+0x24(SB)/4, $89.0
DATA expConst<>+0x28(SB)/4, $-87.0
DATA expConst<>+0x2c(SB)/4, $1.5957691216057308   // geluC1
DATA expConst<>+0x30(SB)/4, $0.07135481282740234  // geluC2
GLOBL expConst<>(SB), RODATA|NOPTR, $0x34

// Z16..Z26 hold the constants of EXP.
#define EXPCONST \
	VBROADCASTSS expConst<>+0x00(SB), Z16; \
	VBROADCASTSS expConst<>+0x04(SB), Z17; \
	VBROADCASTSS expConst<>+0x08(SB), Z18; \
	VBROADCASTSS expConst<>+0x0c(SB), Z19; \
	VBROADCASTSS expConst<>+0x10(SB), Z20; \
	VBROADCASTSS expConst<>+0x14(SB), Z21; \
	VBROADCASTSS expConst<>+0x18(SB), Z22; \
	VBROADCASTSS expConst<>+0x1c(SB), Z23; \
	VBROADCASTSS expConst<>+0x20(SB), Z24; \
	VBROADCASTSS expConst<>+0x24(SB), Z25; \
	VBROADCASTSS expConst<>+0x28(SB), Z26

// EXP: P = exp(X), see exp32. Spoils X, N, K. Predicate 5: not less than, true
// for NaN; VMINPS gives its second source, X, when that is NaN.
#define EXP(X, N, P, K) \
	VCMPPS $5, Z26, X, K; \
	VMINPS X, Z25, X; \
	VMULPS Z16, X, N; \
	VRNDSCALEPS $8, N, N; \
	VMULPS Z17, N, P; \
	VSUBPS P, X, X; \
	VMULPS Z18, N, P; \
	VSUBPS P, X, X; \
	VMULPS Z19, X, P; \
	VADDPS Z20, P, P; \
	VMULPS X, P, P; \
	VADDPS Z21, P, P; \
	VMULPS X, P, P; \
	VADDPS Z22, P, P; \
	VMULPS X, P, P; \
	VADDPS Z23, P, P; \
	VMULPS X, P, P; \
	VMULPS X, P, P; \
	VADDPS X, P, P; \
	VADDPS Z24, P, P; \
	VSCALEFPS.Z N, P, K, P

#define FOLD(OP, Z, Y, X, T, TX) \
	VEXTRACTF64X4 $1, Z, T; \
	OP T, Y, Y; \
	VEXTRACTF128 $1, Y, TX; \
	OP TX, X, X; \
	VPERMILPS $0x4e, X, TX; \
	OP TX, X, X; \
	VPERMILPS $0xb1, X, TX; \
	OP TX, X, X

// Z28 = 0x7fff, Z29 = 1, Z30 = 0xffff0000, Z31 = 0x400000.
#define BF16CONST \
	MOVL $0x7fff, AX; \
	VPBROADCASTD AX, Z28; \
	MOVL $1, AX; \
	VPBROADCASTD AX, Z29; \
	MOVL $0xffff0000, AX; \
	VPBROADCASTD AX, Z30; \
	MOVL $0x400000, AX; \
	VPBROADCASTD AX, Z31

// TOBF16: X = X rounded to bfloat16, NaN made quiet; see num.BF16.
#define TOBF16(X, T, K) \
	VCMPPS $3, X, X, K; \
	VPSRLD $16, X, T; \
	VPANDD Z29, T, T; \
	VPADDD Z28, T, T; \
	VPADDD X, T, T; \
	VPORD Z31, X, K, T; \
	VPANDD Z30, T, X

// ROUNDP: TOBF16 for numbers, and NaNs without low bits that could carry.
#define ROUNDP(X, T) \
	VPSRLD $16, X, T; \
	VPANDD Z29, T, T; \
	VPADDD Z28, T, T; \
	VPADDD X, T, T; \
	VPANDD Z30, T, X
