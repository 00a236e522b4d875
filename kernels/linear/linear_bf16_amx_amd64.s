//go:build !purego

#include "textflag.h"

// The assembler lacks AMX: instructions as bytes, the mnemonic beside.

// func dotBF16AMX(c *float32, ldc int, a *uint16, lda int, b *byte, stride, k, rows int, cfg *[64]byte)
// c [rows][32] = a [rows][k] * two blocks of b; rows up to 32, ldc, lda and
// stride in bytes. Tiles 0..3 are c (row tile, block), 4 and 5 are a, 6 and 7
// are b; cfg gives their sizes, rows > 16 that there is a second row tile.
//
//	R8, R10 the row tiles of a, R9 apart; SI, DI the blocks of b, BX apart
TEXT ·dotBF16AMX(SB), NOSPLIT, $0-72
	MOVQ cfg+64(FP), AX
	BYTE $0xC4; BYTE $0xE2; BYTE $0x78; BYTE $0x49; BYTE $0x00 // LDTILECFG (AX)
	MOVQ a+16(FP), R8
	MOVQ lda+24(FP), R9
	MOVQ R9, R10
	SHLQ $4, R10
	ADDQ R8, R10
	MOVQ b+32(FP), SI
	MOVQ SI, DI
	ADDQ stride+40(FP), DI
	MOVQ $64, BX
	MOVQ k+48(FP), CX
	MOVQ c+0(FP), DX
	MOVQ ldc+8(FP), R11
	BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x49; BYTE $0xC0 // TILEZERO tmm0
	BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x49; BYTE $0xC8 // TILEZERO tmm1
	CMPQ rows+56(FP), $16
	JA two

one:
	BYTE $0xC4; BYTE $0x82; BYTE $0x7B; BYTE $0x4B; BYTE $0x24; BYTE $0x08 // TILELOADD tmm4, (R8)(R9*1)
	BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $0x34; BYTE $0x1E // TILELOADD tmm6, (SI)(BX*1)
	BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $0x3C; BYTE $0x1F // TILELOADD tmm7, (DI)(BX*1)
	BYTE $0xC4; BYTE $0xE2; BYTE $0x4A; BYTE $0x5C; BYTE $0xC4 // TDPBF16PS tmm0, tmm4, tmm6
	BYTE $0xC4; BYTE $0xE2; BYTE $0x42; BYTE $0x5C; BYTE $0xCC // TDPBF16PS tmm1, tmm4, tmm7
	ADDQ $64, R8
	ADDQ $1024, SI
	ADDQ $1024, DI
	SUBQ $32, CX
	JNZ one
	JMP store

two:
	BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x49; BYTE $0xD0 // TILEZERO tmm2
	BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x49; BYTE $0xD8 // TILEZERO tmm3
loop:
	BYTE $0xC4; BYTE $0x82; BYTE $0x7B; BYTE $0x4B; BYTE $0x24; BYTE $0x08 // TILELOADD tmm4, (R8)(R9*1)
	BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $0x34; BYTE $0x1E // TILELOADD tmm6, (SI)(BX*1)
	BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $0x3C; BYTE $0x1F // TILELOADD tmm7, (DI)(BX*1)
	BYTE $0xC4; BYTE $0xE2; BYTE $0x4A; BYTE $0x5C; BYTE $0xC4 // TDPBF16PS tmm0, tmm4, tmm6
	BYTE $0xC4; BYTE $0x82; BYTE $0x7B; BYTE $0x4B; BYTE $0x2C; BYTE $0x0A // TILELOADD tmm5, (R10)(R9*1)
	BYTE $0xC4; BYTE $0xE2; BYTE $0x42; BYTE $0x5C; BYTE $0xCC // TDPBF16PS tmm1, tmm4, tmm7
	BYTE $0xC4; BYTE $0xE2; BYTE $0x4A; BYTE $0x5C; BYTE $0xD5 // TDPBF16PS tmm2, tmm5, tmm6
	BYTE $0xC4; BYTE $0xE2; BYTE $0x42; BYTE $0x5C; BYTE $0xDD // TDPBF16PS tmm3, tmm5, tmm7
	ADDQ $64, R8
	ADDQ $64, R10
	ADDQ $1024, SI
	ADDQ $1024, DI
	SUBQ $32, CX
	JNZ loop
	MOVQ R11, R9
	MOVQ R11, R8
	SHLQ $4, R8
	ADDQ DX, R8
	LEAQ 64(R8), R10
	BYTE $0xC4; BYTE $0x82; BYTE $0x7A; BYTE $0x4B; BYTE $0x14; BYTE $0x08 // TILESTORED tmm2, (R8)(R9*1)
	BYTE $0xC4; BYTE $0x82; BYTE $0x7A; BYTE $0x4B; BYTE $0x1C; BYTE $0x0A // TILESTORED tmm3, (R10)(R9*1)

store:
	MOVQ R11, R9
	MOVQ DX, R8
	LEAQ 64(R8), R10
	BYTE $0xC4; BYTE $0x82; BYTE $0x7A; BYTE $0x4B; BYTE $0x04; BYTE $0x08 // TILESTORED tmm0, (R8)(R9*1)
	BYTE $0xC4; BYTE $0x82; BYTE $0x7A; BYTE $0x4B; BYTE $0x0C; BYTE $0x0A // TILESTORED tmm1, (R10)(R9*1)
	BYTE $0xC4; BYTE $0xE2; BYTE $0x78; BYTE $0x49; BYTE $0xC0 // TILERELEASE
	RET
