//go:build !purego

package conv

var directIntsAVX512 = directKernels{silu: true, winograd: &winogradAVX512, tiles: [4][]directFunc{
	{directI8x1x1AVX512, directI8x1x2AVX512, directI8x1x3AVX512, directI8x1x4AVX512},
	{directI8x2x1AVX512, directI8x2x2AVX512, directI8x2x3AVX512, directI8x2x4AVX512},
	{directI8x4x1AVX512, directI8x4x2AVX512, directI8x4x3AVX512, directI8x4x4AVX512},
	{directI8x6x1AVX512, directI8x6x2AVX512, directI8x6x3AVX512, directI8x6x4AVX512},
}}

var winogradAVX512 = winogradKernels{blocks: 2, tiles: 4, cost: winogradCost{product: 1.24, direct: 1. / 58, input: 6, end: 15, weight: 3.5, read: 1, item: 3000},
	inputs: winogradInputsAVX512, weights: winogradWeightsAVX512, products: winogradProductsAVX512, end: winogradEndAVX512}

var winogradAVX2 = winogradKernels{blocks: 1, tiles: 2, cost: winogradCost{product: 1.45, direct: 1. / 24, input: 7, end: 30, weight: 5, read: 1, item: 3000},
	inputs: winogradInputsAVX2, weights: winogradWeightsAVX2, products: winogradProductsAVX2, end: winogradEndAVX2}

var directIntsAVX2 = directKernels{winograd: &winogradAVX2, tiles: [4][]directFunc{{directI8x1AVX2}, {directI8x2AVX2}, {directI8x4AVX2}, {directI8x6AVX2}}, halves: []directFunc{directI8Halvesx1AVX2, directI8Halvesx2AVX2, directI8Halvesx4AVX2, directI8Halvesx6AVX2},
	widenCodes: widenCodesAVX2, widenWeights: widenWeightsAVX2}

var directFloatsAVX512 = directKernels{silu: true, tiles: [4][]directFunc{
	{directF32x1x1AVX512, directF32x1x2AVX512, directF32x1x3AVX512, directF32x1x4AVX512},
	{directF32x2x1AVX512, directF32x2x2AVX512, directF32x2x3AVX512, directF32x2x4AVX512},
	{directF32x4x1AVX512, directF32x4x2AVX512, directF32x4x3AVX512, directF32x4x4AVX512},
	{directF32x6x1AVX512, directF32x6x2AVX512, directF32x6x3AVX512, directF32x6x4AVX512},
}}

var directFloatsAVX2 = directKernels{tiles: [4][]directFunc{{directF32x1AVX2}, {directF32x2AVX2}, {directF32x4AVX2}, {directF32x6AVX2}}}

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

//go:noescape
func directI8x1AVX2(a *directArgs)

//go:noescape
func directI8x2AVX2(a *directArgs)

//go:noescape
func directI8x4AVX2(a *directArgs)

//go:noescape
func directI8x6AVX2(a *directArgs)

//go:noescape
func directI8Halvesx1AVX2(a *directArgs)

//go:noescape
func directI8Halvesx2AVX2(a *directArgs)

//go:noescape
func directI8Halvesx4AVX2(a *directArgs)

//go:noescape
func directI8Halvesx6AVX2(a *directArgs)

//go:noescape
func directF32x1AVX2(a *directArgs)

//go:noescape
func directF32x2AVX2(a *directArgs)

//go:noescape
func directF32x4AVX2(a *directArgs)

//go:noescape
func directF32x6AVX2(a *directArgs)

//go:noescape
func widenCodesAVX2(a *uint16, src *byte, n int)

//go:noescape
func widenWeightsAVX2(a *int16, src *byte, n int)

//go:noescape
func winogradInputsAVX512(a *winogradArgs)

//go:noescape
func winogradWeightsAVX512(a *winogradArgs)

//go:noescape
func winogradProductsAVX512(a *winogradArgs)

//go:noescape
func winogradEndAVX512(a *directArgs)

//go:noescape
func winogradInputsAVX2(a *winogradArgs)

//go:noescape
func winogradWeightsAVX2(a *winogradArgs)

//go:noescape
func winogradProductsAVX2(a *winogradArgs)

//go:noescape
func winogradEndAVX2(a *directArgs)
