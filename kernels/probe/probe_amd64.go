//go:build !purego

package probe

import (
	"qpt/internal/cpu"
	"qpt/kernels/linear"
)

// See _gen/probe.go.

func probeTDPBUSD(a int)

func probeTDPBF16PS(a int)

//go:noescape
func probeFedTDPBUSD(a *byte, n int)

func probeVPDPBUSD512(a int)

func probeVPDPBUSD256(a int)

func probeVPMADDWD(a int)

func probeVPMADDUBSW(a int)

func probeFMA512(a int)

func probeFMA256(a int)

func probeMulAdd256(a int)

//go:noescape
func probeReadAVX512(a *byte, n int)

//go:noescape
func probeReadAVX2(a *byte, n int)

var peakProbes = []peakProbe{
	{Product{linear.A8, 0}, cpu.AMX, 16 * 16 * 16 * 64 * 2, probeTDPBUSD},
	{Product{linear.A8, 0}, cpu.AVX512, 14 * 64 * 2, probeVPDPBUSD512},
	{Product{linear.A8, 0}, cpu.AVXVNNI, 14 * 32 * 2, probeVPDPBUSD256},
	{Product{linear.A8, linear.I4}, cpu.AVX2, 7 * 32 * 2, probeVPMADDUBSW}, // more bits saturate
	{Product{linear.A8, 0}, cpu.AVX2, 7 * 16 * 2, probeVPMADDWD},
	{Product{linear.ABF16, 0}, cpu.AMX, 16 * 16 * 16 * 32 * 2, probeTDPBF16PS},
	{Product{linear.AF32, 0}, cpu.AVX512, 14 * 16 * 2, probeFMA512},
	{Product{linear.AF32, 0}, cpu.AVX2, 14 * 8 * 2, probeFMA256},
}

// fedTiles multiplies eight-bit tiles 2x2, all loaded from the first-level cache.
var fedTiles = &peakProbe{Product{linear.A8, 0}, cpu.AMX, 4 * 16 * 16 * 64 * 2, func(rounds int) {
	var tiles [4 << 10]byte
	probeFedTDPBUSD(&tiles[0], rounds)
}}

func read(b []byte) {
	switch n := len(b) &^ 255; {
	case n == 0 || !cpu.Has(cpu.AVX2):
		readGeneric(b)
	case cpu.Has(cpu.AVX512):
		probeReadAVX512(&b[0], n)
	default:
		probeReadAVX2(&b[0], n)
	}
}

// MulAdd256 multiplies and adds 14*8 numbers a round on AVX2 registers, each step rounded: the
// limit of linear.MatMul there.
func MulAdd256(rounds int) { probeMulAdd256(rounds) }
