//go:build !purego

package kernels

import "qpt/internal/cpu"

// See _gen/probe.go.

func probeTDPBUSD(a int)

func probeTDPBF16PS(a int)

func probeVPDPBUSD512(a int)

func probeVPDPBUSD256(a int)

func probeVPMADDWD(a int)

func probeFMA512(a int)

func probeFMA256(a int)

func probeMulAdd256(a int)

//go:noescape
func probeRead(a *byte, n int)

var peakProbes = []peakProbe{
	{A8, cpu.AMX, 16 * 16 * 16 * 64 * 2, probeTDPBUSD},
	{A8, cpu.AVX512, 14 * 64 * 2, probeVPDPBUSD512},
	{A8, cpu.AVXVNNI, 14 * 32 * 2, probeVPDPBUSD256},
	{A8, cpu.AVX2, 7 * 16 * 2, probeVPMADDWD},
	{ABF16, cpu.AMX, 16 * 16 * 16 * 32 * 2, probeTDPBF16PS},
	{AF32, cpu.AVX512, 14 * 16 * 2, probeFMA512},
	{AF32, cpu.AVX2, 14 * 8 * 2, probeFMA256},
}

func read(b []byte) {
	if cpu.Has(cpu.AVX512) && len(b) >= 256 {
		probeRead(&b[0], len(b)&^255)
		return
	}
	readGeneric(b)
}
