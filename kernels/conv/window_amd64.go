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
		false, nil, nil, nil, rest(depthIntsAVX2, depthIntsGeneric, 8, 1, 4), rest(depthFloatsAVX2, depthFloatsGeneric, 8, 4, 4),
		rest(maxBytesAVX2, maxBytesGeneric, 32, 1, 1), rest(maxFloatsAVX2, maxFloatsGeneric, 8, 4, 4), rest(sumFloatsAVX2, sumFloatsGeneric, 4, 4, 8), rest(sumBytesAVX2, sumBytesGeneric, 8, 1, 4), &directIntsAVX2, &directFloatsAVX2, depthPairsAVX2, depthPairCodesAVX2,
	}
	l[cpu.AVXVNNI] = l[cpu.AVX2]
	l[cpu.AVXVNNI].directInts = nil // its products of bytes are faster, on patches
	l[cpu.AVX512] = level{true, depthCodesAVX512, depthInts3AVX512, depthCodes3AVX512, depthIntsAVX512, depthFloatsAVX512, maxBytesAVX512, maxFloatsAVX512, sumFloatsAVX512, sumBytesAVX512, &directIntsAVX512, &directFloatsAVX512, nil, nil}
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
func depthFloatsAVX2(a *windowArgs)

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
func depthCodes3AVX512(a *windowArgs)

//go:noescape
func depthCodesAVX512(a *windowArgs)

//go:noescape
func depthIntsAVX512(a *windowArgs)

//go:noescape
func depthFloatsAVX512(a *windowArgs)

//go:noescape
func maxBytesAVX512(a *windowArgs)

//go:noescape
func maxFloatsAVX512(a *windowArgs)

//go:noescape
func sumFloatsAVX512(a *windowArgs)

//go:noescape
func sumBytesAVX512(a *windowArgs)
