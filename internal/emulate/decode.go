//go:build linux && amd64

package main

// opcode is one of the instructions that are emulated.
type opcode string

const (
	ldtilecfg   opcode = "LDTILECFG"
	sttilecfg   opcode = "STTILECFG"
	tilerelease opcode = "TILERELEASE"
	tilezero    opcode = "TILEZERO"
	tileloadd   opcode = "TILELOADD"
	tilestored  opcode = "TILESTORED"
	tdpbssd     opcode = "TDPBSSD"
	tdpbsud     opcode = "TDPBSUD"
	tdpbusd     opcode = "TDPBUSD"
	tdpbuud     opcode = "TDPBUUD"
	tdpbf16ps   opcode = "TDPBF16PS"
)

// instruction is a decoded one. Registers count from 0; base and index are -1 where there is none.
type instruction struct {
	op           opcode
	length       int
	reg, rm, vex int // ModRM.reg, ModRM.rm of a register, VEX.vvvv
	memory       bool
	base, index  int
	scale, disp  int
	relative     bool // base is the next instruction
}

// decode reads the instruction at the front of code; op is empty for all that are not emulated.
func decode(code []byte) (in instruction) {
	if len(code) < 6 || code[0] != 0xc4 || code[1]&31 != 2 || code[2]&0x84 != 0 {
		return in // VEX of three bytes, map 0F38, W0, 128 bits
	}
	extend := func(bit int) int { return int(^code[1]>>bit&1) << 3 }
	in.vex = int(^code[2] >> 3 & 15)
	modrm := code[4]
	mod, low := modrm>>6, int(modrm&7)
	in.memory = mod != 3
	in.reg = int(modrm>>3&7) | extend(7)
	op := operation(code[3], code[2]&3, in.memory, modrm)
	in.length, in.base, in.index, in.scale = 5, -1, -1, 1
	if !in.memory {
		in.rm = low | extend(5)
		in.op = op
		return in
	}
	in.base = low | extend(5)
	if low == 4 {
		sib := code[5]
		in.length++
		in.scale = 1 << (sib >> 6)
		if in.index = int(sib>>3&7) | extend(6); in.index == 4 {
			in.index = -1
		}
		in.base = int(sib&7) | extend(5)
		low = int(sib & 7)
	}
	size := map[byte]int{1: 1, 2: 4}[mod]
	if mod == 0 && low == 5 {
		in.relative, in.base, size = modrm&7 == 5, -1, 4
	}
	if len(code) < in.length+size {
		return in
	}
	switch d := code[in.length:]; size {
	case 1:
		in.disp = int(int8(d[0]))
	case 4:
		in.disp = int(int32(uint32(d[0]) | uint32(d[1])<<8 | uint32(d[2])<<16 | uint32(d[3])<<24))
	}
	in.length += size
	in.op = op
	return in
}

// operation names what the opcode byte, the prefix (0 none, 1 66, 2 F3, 3 F2) and the form of the operand mean.
func operation(code, prefix byte, memory bool, modrm byte) opcode {
	switch {
	case code == 0x49 && memory && modrm>>3&7 == 0 && prefix < 2:
		return [...]opcode{ldtilecfg, sttilecfg}[prefix]
	case code == 0x49 && prefix == 0 && modrm == 0xc0:
		return tilerelease
	case code == 0x49 && prefix == 3 && modrm&0xc7 == 0xc0:
		return tilezero
	case code == 0x4b && memory && modrm&7 == 4 && prefix > 0:
		return [...]opcode{"", tileloadd, tilestored, tileloadd}[prefix]
	case code == 0x5e && !memory:
		return [...]opcode{tdpbuud, tdpbusd, tdpbsud, tdpbssd}[prefix]
	case code == 0x5c && !memory && prefix == 2:
		return tdpbf16ps
	}
	return ""
}
