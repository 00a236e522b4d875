// Package cpu tells which instruction sets the machine has and which of them the process may use.
package cpu

// ISA is one level of the kernel ladder. A level includes what the kernels of
// the lower levels need; AVXVNNI is the one exception (see Has).
type ISA uint8

// The ladder, lowest first.
const (
	Generic ISA = iota // plain Go
	AVX2               // AVX2 + FMA + F16C
	AVXVNNI            // AVX2 + VEX-encoded VPDPBUSD (client parts without AVX-512)
	AVX512             // AVX-512 F/BW/VL/DQ + VNNI
	AMX                // AVX512 + AMX-TILE/INT8/BF16, permitted by the kernel
)
