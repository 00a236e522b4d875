//go:build !purego

package linear

import (
	"unsafe"

	"qpt/internal/cpu"
)

//go:noescape
func shortsAVX512(a *shortArgs)

// shortsAVX2 is the first 3 rows of a times its first panel.
//
//go:noescape
func shortsAVX2(a *shortArgs)

// roundShortsAVX2 rounds 16*lines values.
//
//go:noescape
func roundShortsAVX2(dst *int16, x *float32, lines int, inv float32)

//go:noescape
func roundShortsAVX512(dst *int16, x *float32, lines int, inv float32)

func shorts(a *shortArgs) {
	switch isa := cpu.Active(); {
	case isa >= cpu.AVX512:
		shortsAVX512(a)
	case isa >= cpu.AVX2:
		for p := range 2 {
			for i := 0; i < shortRows; i += 3 {
				part := *a
				part.w = (*int16)(unsafe.Add(unsafe.Pointer(a.w), p*a.panel))
				part.wscale = (*float32)(unsafe.Add(unsafe.Pointer(a.wscale), 64*p))
				part.x = (*int16)(unsafe.Add(unsafe.Pointer(a.x), i*a.kp))
				part.y, part.at = (**float32)(unsafe.Add(unsafe.Pointer(a.y), 8*i)), a.at+64*p
				part.scale = (*float32)(unsafe.Add(unsafe.Pointer(a.scale), 4*i))
				shortsAVX2(&part)
			}
		}
	default:
		shortsGeneric(a)
	}
}

func roundShorts(dst []int16, x []float32, inv float32) {
	n := 0
	if isa := cpu.Active(); isa >= cpu.AVX2 && len(x) >= 16 {
		n = len(x) &^ 15
		if isa >= cpu.AVX512 {
			roundShortsAVX512(&dst[:n][0], &x[0], n/16, inv)
		} else {
			roundShortsAVX2(&dst[:n][0], &x[0], n/16, inv)
		}
	}
	roundShortsGeneric(dst[n:], x[n:], inv)
}
