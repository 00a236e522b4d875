//go:build !purego

package linear

import (
	"slices"

	"qpt/internal/cpu"
)

// isaKernels is the list on amd64 but for the twins, best first.
// The least M of AMX are where it overtook AVX-512 here (see doc.go).
var isaKernels = slices.Concat(
	[]Kernel{
		{I8, A8, cpu.AMX, "", 5, amx.linearPanels, amx.sinkPanels},
		{I8, A16, cpu.AMX, "", 3, amx.linearPanels, amx.sinkPanels},
		{I6, A8, cpu.AMX, "", 9, amx.linearPanels, amx.sinkPanels},
		{I6, A16, cpu.AMX, "", 5, amx.linearPanels, amx.sinkPanels},
		{I4, A8, cpu.AMX, "", 9, amx.linearPanels, amx.sinkPanels},
		{I4, A16, cpu.AMX, "", 5, amx.linearPanels, amx.sinkPanels},
		{BF16, ABF16, cpu.AMX, "", 5, amx.linearPanels, amx.sinkPanels},
	},
	integers(cpu.AVX512, "", 0, avx512.linear),
	pairKernels(),
	[]Kernel{
		{I4F, A8, cpu.AVX512, "", 0, avx512.linear, nil},
		{I4F, A16, cpu.AVX512, "", 0, avx512.linear, nil},
		{F32, AF32, cpu.AVX512, "", 0, linearF32, nil},
		{BF16, ABF16, cpu.AVX512, "", 0, linearBF16, nil},
	},
	integers(cpu.AVXVNNI, "", 0, avxvnni.linear),
	integers(cpu.AVX2, manyName, manyMin, avx2.linearMany),
	integers(cpu.AVX2, "", 0, avx2.linear),
	[]Kernel{
		{F32, AF32, cpu.AVX2, "", 0, linearF32, nil},
		{BF16, ABF16, cpu.AVX2, "", 0, linearBF16, nil},
	},
)

var avx512 = vector{
	i8: way{tiles: []tile{{4, []func(*dotArgs){dotI8x1AVX512, dotI8x2AVX512, dotI8x4AVX512, dotI8x6AVX512}, true}}},
	i6: way{
		tiles:  []tile{{4, []func(*dotArgs){dotI6x1AVX512, dotI6x2AVX512}, true}},
		expand: expandI6AVX512,
	},
	i4: way{
		tiles: []tile{
			{4, []func(*dotArgs){dotI4x1AVX512, dotI4x2AVX512, dotI4x4AVX512}, true},
			{2, []func(*dotArgs){3: dotI4x6AVX512, 4: dotI4x8AVX512}, false},
		},
		expand: expandI4AVX512,
	},
	i4f:           way{tiles: []tile{{2, []func(*dotArgs){dotI4Fx1AVX512, dotI4Fx2AVX512, dotI4Fx4AVX512, dotI4Fx6AVX512, dotI4Fx8AVX512}, false}}},
	epilogue:      epilogueAVX512,
	wild:          wildAVX512,
	groupEpilogue: groupEpilogueAVX512,
	whole:         wholeI8AVX512,
}

var avx2 = vector{
	i8: way{
		tiles: []tile{{1, []func(*dotArgs){nil, dotI8x2AVX2}, false}},
		words: tile{4, []func(*dotArgs){dotWordsx1x64AVX2}, true},
	},
	i6: way{tiles: []tile{
		{4, []func(*dotArgs){dotI6x1x64AVX2}, true},
		{1, []func(*dotArgs){1: dotI6x2x16AVX2}, true},
	}},
	i4: way{tiles: []tile{
		{4, []func(*dotArgs){dotI4x1x64AVX2}, true},
		{1, []func(*dotArgs){1: dotI4x2x16AVX2}, true},
	}, signed: true},
	epilogue: epilogueAVX2,
	wild:     wildAVX2,
}

//go:noescape
func dotWordsx1x64AVX2(a *dotArgs)

//go:noescape
func dotI4x1x64AVX2(a *dotArgs)

//go:noescape
func dotI4x2x16AVX2(a *dotArgs)

//go:noescape
func dotI6x1x64AVX2(a *dotArgs)

//go:noescape
func dotI6x2x16AVX2(a *dotArgs)

//go:noescape
func dotI8x2AVX2(a *dotArgs)

//go:noescape
func expandI4AVX2(a *dotArgs)

//go:noescape
func expandI6AVX2(a *dotArgs)

//go:noescape
func epilogueAVX2(a *epilogueArgs)

//go:noescape
func wildAVX2(a *wildArgs)

var avxvnni = vector{
	i8: way{tiles: []tile{
		{4, []func(*dotArgs){dotI8x1x64AVXVNNI}, true},
		{2, []func(*dotArgs){1: dotI8x2x32AVXVNNI}, true},
		{1, []func(*dotArgs){nil, dotI8x2AVXVNNI, dotI8x4AVXVNNI, dotI8x6AVXVNNI}, false},
	}},
	i6: way{
		tiles: []tile{
			{4, []func(*dotArgs){dotI6x1x64AVXVNNI}, true},
			{1, []func(*dotArgs){1: dotI6x2x16AVXVNNI}, true},
		},
		expand: expandI6AVX2,
	},
	i4: way{
		tiles: []tile{
			{4, []func(*dotArgs){dotI4x1x64AVXVNNI}, true},
			{2, []func(*dotArgs){1: dotI4x2x32AVXVNNI}, true},
		},
		expand: expandI4AVX2,
	},
	epilogue: epilogueAVX2,
	wild:     wildAVX2,
}

//go:noescape
func dotI8x1x64AVXVNNI(a *dotArgs)

//go:noescape
func dotI8x2x32AVXVNNI(a *dotArgs)

//go:noescape
func dotI4x1x64AVXVNNI(a *dotArgs)

//go:noescape
func dotI4x2x32AVXVNNI(a *dotArgs)

//go:noescape
func dotI6x1x64AVXVNNI(a *dotArgs)

//go:noescape
func dotI6x2x16AVXVNNI(a *dotArgs)

//go:noescape
func dotI8x2AVXVNNI(a *dotArgs)

//go:noescape
func dotI8x4AVXVNNI(a *dotArgs)

//go:noescape
func dotI8x6AVXVNNI(a *dotArgs)

var amx = vector{
	i8:       way{panels: dotI8AMX},
	i6:       way{panels: dotI6AMX, expand: expandI6AVX512},
	i4:       way{panels: dotI4AMX, expand: expandI4AVX512},
	bf16:     way{panels: dotBF16AMX},
	epilogue: epilogueAVX512,
	wild:     wildAVX512,
}

//go:noescape
func dotI8AMX(a *amxArgs)

//go:noescape
func dotI6AMX(a *amxArgs)

//go:noescape
func dotI4AMX(a *amxArgs)

//go:noescape
func dotBF16AMX(a *amxArgs)

//go:noescape
func dotI8x1AVX512(a *dotArgs)

//go:noescape
func dotI8x2AVX512(a *dotArgs)

//go:noescape
func dotI8x4AVX512(a *dotArgs)

//go:noescape
func dotI8x6AVX512(a *dotArgs)

//go:noescape
func dotI4x1AVX512(a *dotArgs)

//go:noescape
func dotI4x2AVX512(a *dotArgs)

//go:noescape
func dotI4x4AVX512(a *dotArgs)

//go:noescape
func dotI4x6AVX512(a *dotArgs)

//go:noescape
func dotI4x8AVX512(a *dotArgs)

//go:noescape
func dotI6x1AVX512(a *dotArgs)

//go:noescape
func dotI6x2AVX512(a *dotArgs)

//go:noescape
func expandI4AVX512(a *dotArgs)

//go:noescape
func expandI6AVX512(a *dotArgs)

//go:noescape
func wholeI8AVX512(a *wholeArgs)

//go:noescape
func epilogueAVX512(a *epilogueArgs)

//go:noescape
func wildAVX512(a *wildArgs)

//go:noescape
func groupEpilogueAVX512(a *epilogueArgs)

//go:noescape
func dotI4Fx1AVX512(a *dotArgs)

//go:noescape
func dotI4Fx2AVX512(a *dotArgs)

//go:noescape
func dotI4Fx4AVX512(a *dotArgs)

//go:noescape
func dotI4Fx6AVX512(a *dotArgs)

//go:noescape
func dotI4Fx8AVX512(a *dotArgs)
