//go:build !purego

package conv

import (
	"unsafe"

	"qpt/internal/cpu"
)

// active is the level in use.
func active() *level { return &levels[cpu.Active()] }

// levels by cpu.ISA.
var levels = func() (l [cpu.AMX + 1]level) {
	l[cpu.Generic] = generic
	// The AVX2 kernels do whole vectors, the twins the rest.
	l[cpu.AVX2] = level{
		depthInts: rest(depthIntsAVX2, depthIntsGeneric, 8, 1, 4), depthPairs: depthPairsAVX2, depthPairCodes: depthPairCodesAVX2, depthFloats: depthFloatsAVX2,
		maxBytes: rest(maxBytesAVX2, maxBytesGeneric, 32, 1, 1), maxFloats: rest(maxFloatsAVX2, maxFloatsGeneric, 8, 4, 4),
		sumFloats: rest(sumFloatsAVX2, sumFloatsGeneric, 4, 4, 8), sumBytes: rest(sumBytesAVX2, sumBytesGeneric, 8, 1, 4),
		directInts: &directIntsAVX2, directFloats: &directFloatsAVX2,
	}
	l[cpu.AVXVNNI] = l[cpu.AVX2]
	l[cpu.AVXVNNI].directInts = nil // its products of bytes are faster, on patches
	l[cpu.AVX512] = level{
		quads: true, depthInts: depthIntsAVX512, depthCodes: depthCodesAVX512, depthFloats: depthFloatsAVX512,
		columnInts: [2]windowFunc{depthInts3AVX512, depthInts5AVX512}, columnCodes: [2]windowFunc{depthCodes3AVX512, depthCodes5AVX512},
		maxBytes: maxBytesAVX512, maxFloats: maxFloatsAVX512, sumFloats: sumFloatsAVX512, sumBytes: sumBytesAVX512,
		directInts: &directIntsAVX512, directFloats: &directFloatsAVX512,
	}
	l[cpu.AMX] = l[cpu.AVX512]
	l[cpu.AMX].directInts = nil // its tiles multiply patches faster
	return l
}()

// rest lets the twin do the features beyond the last whole vector of vec.
func rest(f, twin windowFunc, vec, size, out int) windowFunc {
	return func(a *windowArgs) {
		f(a)
		if n := a.features % vec; n > 0 {
			twin(a.from(a.features-n, size, out, make([]unsafe.Pointer, a.taps)))
		}
	}
}

//go:noescape
func depthIntsAVX2(a *windowArgs)

//go:noescape
func depthFloatsAVX2(a *depthArgs)

//go:noescape
func maxBytesAVX2(a *windowArgs)

//go:noescape
func maxFloatsAVX2(a *windowArgs)

//go:noescape
func sumFloatsAVX2(a *windowArgs)

//go:noescape
func sumBytesAVX2(a *windowArgs)

//go:noescape
func depthPairsAVX2(a *windowArgs)

//go:noescape
func depthPairCodesAVX2(a *windowArgs)

//go:noescape
func depthInts3AVX512(a *windowArgs)

//go:noescape
func depthInts5AVX512(a *windowArgs)

//go:noescape
func depthCodes5AVX512(a *windowArgs)

//go:noescape
func depthCodes3AVX512(a *windowArgs)

//go:noescape
func depthCodesAVX512(a *windowArgs)

//go:noescape
func depthIntsAVX512(a *windowArgs)

//go:noescape
func depthFloatsAVX512(a *depthArgs)

//go:noescape
func maxBytesAVX512(a *windowArgs)

//go:noescape
func maxFloatsAVX512(a *windowArgs)

//go:noescape
func sumFloatsAVX512(a *windowArgs)

//go:noescape
func sumBytesAVX512(a *windowArgs)
