//go:build amd64 && !purego

package cpu

import "github.com/klauspost/cpuid/v2"

// detect reads the feature bits. cpuid checks XCR0 for the AVX and AVX-512
// registers itself, but not for the AMX tiles.
func detect() (levels [len(names)]bool) {
	c := cpuid.CPU
	levels[AVX2] = c.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C)
	levels[AVX512] = levels[AVX2] && c.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ, cpuid.AVX512VNNI)
	levels[AVXVNNI] = levels[AVX2] && (emulates(AVXVNNI) && levels[AVX512] || c.Supports(cpuid.AVXVNNI))
	levels[AMX] = levels[AVX512] && c.Supports(cpuid.AVX512BF16) &&
		(emulates(AMX) || c.Supports(cpuid.AMXTILE, cpuid.AMXINT8, cpuid.AMXBF16, cpuid.OSXSAVE) && permitAMX())
	return levels
}

// detectBF16 tells of VDPBF16PS.
func detectBF16() bool { return cpuid.CPU.Supports(cpuid.AVX512BF16) }

// detectVBMI tells of VPERMI2B.
func detectVBMI() bool { return cpuid.CPU.Supports(cpuid.AVX512VBMI) }
