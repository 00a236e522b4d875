package main

import (
	"fmt"
	"slices"
	"strings"
)

// reg numbers the 64-bit registers as instruction encodings do.
func reg(name string) int {
	n := slices.Index([]string{"AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"}, name)
	if n < 0 {
		panic("register " + name)
	}
	return n
}

// Opcode prefixes of VEX.
const (
	ppNone = iota
	pp66
	ppF3
	ppF2
)

// vex0F38 encodes VEX.L.pp.0F38.W0 op with register fields r and v and the
// operand rm (a register) or memory at base+index. The third VEX byte is
// inverted v, L and pp; the second holds R, X, B inverted, and the map 2.
func vex0F38(l, pp, op, r, v, rm int) []byte {
	return []byte{0xc4, byte((r>>3^1)<<7 | 1<<6 | (rm>>3^1)<<5 | 2), byte((v^15)<<3 | l<<2 | pp), byte(op), byte(0xc0 | r&7<<3 | rm&7)}
}

func vex0F38Mem(pp, op, r int, base, index string) []byte {
	b, x := reg(base), reg(index)
	if x == 4 {
		panic("SP cannot be an index")
	}
	mod := 0
	if b&7 == 5 { // BP and R13 exist with a displacement only
		mod = 1
	}
	code := []byte{0xc4, byte((r>>3^1)<<7 | (x>>3^1)<<6 | (b>>3^1)<<5 | 2), byte(15<<3 | pp), byte(op), byte(mod<<6 | r&7<<3 | 4), byte(x&7<<3 | b&7)}
	if mod == 1 {
		code = append(code, 0)
	}
	return code
}

// Tile instructions; t is a tile number, memory is base plus rows of index bytes.
func ldtilecfg(base string) []byte {
	return []byte{0xc4, byte(1<<7 | 1<<6 | (reg(base)>>3^1)<<5 | 2), 0x78, 0x49, byte(reg(base) & 7)}
}
func tilerelease() []byte          { return []byte{0xc4, 0xe2, 0x78, 0x49, 0xc0} }
func tilezero(t int) []byte        { return vex0F38(0, ppF2, 0x49, t, 0, 0) }
func tdpbusd(c, a, b int) []byte   { return vex0F38(0, pp66, 0x5e, c, b, a) }
func tdpbf16ps(c, a, b int) []byte { return vex0F38(0, ppF3, 0x5c, c, b, a) }
func tileloadd(t int, base, index string) []byte {
	return vex0F38Mem(ppF2, 0x4b, t, base, index)
}

// tileloaddt1 hints that the rows are not to stay in the first-level cache.
func tileloaddt1(t int, base, index string) []byte {
	return vex0F38Mem(pp66, 0x4b, t, base, index)
}
func tilestored(t int, base, index string) []byte {
	return vex0F38Mem(ppF3, 0x4b, t, base, index)
}

// vpdpbusd256 is the VEX form of AVX-VNNI: acc += u8 * s8, all ymm.
func vpdpbusd256(acc, u, s int) []byte { return vex0F38(1, pp66, 0x50, acc, u, s) }

// bytes prints an instruction that the assembler lacks.
func (o *out) bytes(code []byte, mnemonic string, args ...any) {
	var parts []string
	for _, b := range code {
		parts = append(parts, fmt.Sprintf("BYTE $0x%02x", b))
	}
	o.p("%s // %s", strings.Join(parts, "; "), fmt.Sprintf(mnemonic, args...))
}
