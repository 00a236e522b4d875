//go:build !purego

package linear

import (
	"slices"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/dot"
	"qpt/kernels/internal/mem"
)

// isaKernels is the list on amd64 but for the twins, best first.
// The least M of AMX are where it overtook AVX-512 here (see doc.go).
var isaKernels = slices.Concat(
	[]Kernel{
		{I8, A8, cpu.AMX, "", 5, amx.linear},
		{I8, A16, cpu.AMX, "", 3, amx.linear},
		{I6, A8, cpu.AMX, "", 9, amx.linear},
		{I6, A16, cpu.AMX, "", 5, amx.linear},
		{I4, A8, cpu.AMX, "", 9, amx.linear},
		{I4, A16, cpu.AMX, "", 5, amx.linear},
		{BF16, ABF16, cpu.AMX, "", 5, linearBF16AMX},
	},
	integers(cpu.AMX, "128x32", ByTuning, amxTall.linear),
	integers(cpu.AMX, "k512", ByTuning, amxK512.linear),
	integers(cpu.AVX512, "", 0, avx512.linear),
	[]Kernel{
		{I4F, A8, cpu.AVX512, "", 0, avx512.linear},
		{I4F, A16, cpu.AVX512, "", 0, avx512.linear},
		{F32, AF32, cpu.AVX512, "", 0, linearF32},
		{BF16, ABF16, cpu.AVX512, "", 0, linearBF16},
	},
	integers(cpu.AVXVNNI, "", 0, avxvnni.linear),
	integers(cpu.AVX2, manyName, manyMin, avx2.linearMany),
	integers(cpu.AVX2, "", 0, avx2.linear),
	[]Kernel{
		{F32, AF32, cpu.AVX2, "", 0, linearF32},
		{BF16, ABF16, cpu.AVX2, "", 0, linearBF16},
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
	groupEpilogue: groupEpilogueAVX512,
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
	i8:       way{tiles: []tile{{2, append([]func(*dotArgs){nil}, slices.Repeat([]func(*dotArgs){dotI8AMX}, 16)...), false}}},
	i6:       way{expand: expandI6AVX512},
	i4:       way{expand: expandI4AVX512},
	epilogue: epilogueAVX512,
}

// amxTall takes four tiles of rows a call.
var amxTall = amx.with(4, 0)

// amxK512 keeps 512 k of a panel, 16 KB, in the first-level cache while all rows pass, and their sums in the second.
var amxK512 = amx.with(1<<10, 512)

// with is v with calls that take so many tiles of rows, and so much of K.
func (v vector) with(tall, chunk int) vector {
	v.tall, v.chunk = tall, chunk
	return v
}

//go:noescape
func dotI8AMX(a *dotArgs)

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
func epilogueAVX512(a *epilogueArgs)

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

// linearBF16AMX is linearBF16 by tiles of up to 32 rows by 2 blocks, K whole. Rows
// go in passes whose input fills half of the second-level cache.
func linearBF16AMX(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	s.float = mem.Sized(s.float, 32*32)
	c := s.float
	stride := dot.BlockSize(dot.BF16, num.Pad(w.K, 64))
	pass := passBF16(x)
	for m0 := 0; m0 < x.M; m0 += pass {
		for b := b0; b < b1; b += 2 {
			nb, step := min(2, b1-b), stride
			if nb == 1 {
				step = 0 // the last block twice
			}
			for m := m0; m < min(m0+pass, x.M); m += 32 {
				rows := min(32, x.M-m)
				dotBF16AMX(&c[0], 128, &x.BF16[m*x.Stride], 2*x.Stride, &w.Data[b*stride], step, num.Pad(w.K, 64), rows, dot.Tiles(rows))
				finishFloat(y[m*ldy+16*(b-b0):], ldy, c[:], 32, rows, w, b, b+nb, add)
			}
		}
	}
}

//go:noescape
func dotBF16AMX(c *float32, ldc int, a *uint16, lda int, b *byte, stride, k, rows int, cfg *[64]byte)
