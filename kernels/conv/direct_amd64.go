//go:build !purego

package conv

var directIntsAVX512 = directKernels{
	{directI8x1x1AVX512, directI8x1x2AVX512, directI8x1x3AVX512, directI8x1x4AVX512},
	{directI8x2x1AVX512, directI8x2x2AVX512, directI8x2x3AVX512, directI8x2x4AVX512},
	{directI8x4x1AVX512, directI8x4x2AVX512, directI8x4x3AVX512, directI8x4x4AVX512},
	{directI8x6x1AVX512, directI8x6x2AVX512, directI8x6x3AVX512, directI8x6x4AVX512},
}

var directFloatsAVX512 = directKernels{
	{directF32x1x1AVX512, directF32x1x2AVX512, directF32x1x3AVX512, directF32x1x4AVX512},
	{directF32x2x1AVX512, directF32x2x2AVX512, directF32x2x3AVX512, directF32x2x4AVX512},
	{directF32x4x1AVX512, directF32x4x2AVX512, directF32x4x3AVX512, directF32x4x4AVX512},
	{directF32x6x1AVX512, directF32x6x2AVX512, directF32x6x3AVX512, directF32x6x4AVX512},
}

//go:noescape
func directI8x1x1AVX512(a *directArgs)

//go:noescape
func directI8x1x2AVX512(a *directArgs)

//go:noescape
func directI8x1x3AVX512(a *directArgs)

//go:noescape
func directI8x1x4AVX512(a *directArgs)

//go:noescape
func directI8x2x1AVX512(a *directArgs)

//go:noescape
func directI8x2x2AVX512(a *directArgs)

//go:noescape
func directI8x2x3AVX512(a *directArgs)

//go:noescape
func directI8x2x4AVX512(a *directArgs)

//go:noescape
func directI8x4x1AVX512(a *directArgs)

//go:noescape
func directI8x4x2AVX512(a *directArgs)

//go:noescape
func directI8x4x3AVX512(a *directArgs)

//go:noescape
func directI8x4x4AVX512(a *directArgs)

//go:noescape
func directI8x6x1AVX512(a *directArgs)

//go:noescape
func directI8x6x2AVX512(a *directArgs)

//go:noescape
func directI8x6x3AVX512(a *directArgs)

//go:noescape
func directI8x6x4AVX512(a *directArgs)

//go:noescape
func directF32x1x1AVX512(a *directArgs)

//go:noescape
func directF32x1x2AVX512(a *directArgs)

//go:noescape
func directF32x1x3AVX512(a *directArgs)

//go:noescape
func directF32x1x4AVX512(a *directArgs)

//go:noescape
func directF32x2x1AVX512(a *directArgs)

//go:noescape
func directF32x2x2AVX512(a *directArgs)

//go:noescape
func directF32x2x3AVX512(a *directArgs)

//go:noescape
func directF32x2x4AVX512(a *directArgs)

//go:noescape
func directF32x4x1AVX512(a *directArgs)

//go:noescape
func directF32x4x2AVX512(a *directArgs)

//go:noescape
func directF32x4x3AVX512(a *directArgs)

//go:noescape
func directF32x4x4AVX512(a *directArgs)

//go:noescape
func directF32x6x1AVX512(a *directArgs)

//go:noescape
func directF32x6x2AVX512(a *directArgs)

//go:noescape
func directF32x6x3AVX512(a *directArgs)

//go:noescape
func directF32x6x4AVX512(a *directArgs)
