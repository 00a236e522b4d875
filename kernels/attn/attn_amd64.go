//go:build !purego

package attn

import (
	"qpt/internal/cpu"
	"qpt/kernels/internal/dot"
)

// Modes of attendAVX512.
const (
	attnF32 = iota
	attnBF16
	attnAMX
)

//go:noinline
func attendBlocks(f dot.Kind, a *attnArgs) {
	isa := cpu.Active()
	switch {
	case isa < cpu.AVX512:
		attendBlocksGeneric(f, a)
		return
	case f == dot.F32:
		a.mode = attnF32
	case isa < cpu.AMX:
		a.mode = attnBF16
	default:
		a.mode, a.tiles = attnAMX, dot.Tiles(min(a.rows, 16))
	}
	attendAVX512(a)
}

func softmaxBlock(rows int, s, m, l, o []float32, hd int, half bool) {
	if cpu.Active() < cpu.AVX2 {
		softmaxBlockGeneric(rows, s, m, l, o, hd, half)
		return
	}
	round := 0
	if half {
		round = 1
	}
	_, _, _, _ = s[rows*32-1], m[rows-1], l[rows*16-1], o[rows*hd-1]
	softmaxBlockAVX2(rows, &s[0], &m[0], &l[0], &o[0], hd, round)
}

func divideRows(out, o, l []float32, rows, dim, hd int) {
	if cpu.Active() >= cpu.AVX512 {
		_, _, _ = out[rows*dim-1], o[rows*hd-1], l[rows*16-1]
		divideRowsAVX512(&out[0], &o[0], &l[0], rows, dim, hd)
		return
	}
	divideRowsGeneric(out, o, l, rows, dim, hd)
}

func putKey(b []byte, x []float32) {
	if cpu.Active() >= cpu.AVX512 {
		_ = b[2*atKey(len(x)-1)+1]
		putKeyAVX512(&b[0], &x[0], len(x))
		return
	}
	putKeyGeneric(b, x)
}

func putValue(b []byte, x []float32) {
	if cpu.Active() >= cpu.AVX512 {
		_ = b[2*atValue(len(x)-1)+1]
		putValueAVX512(&b[0], &x[0], len(x))
		return
	}
	putValueGeneric(b, x)
}

func expandKeys(dst, codes []byte, scale []float32) {
	if cpu.Active() >= cpu.AVX512 && len(codes) >= 32 {
		_, _ = dst[2*len(codes)-1], scale[15]
		expandKeysAVX512(&dst[0], &codes[0], len(codes)/32, &scale[0], int(cpu.Active()-cpu.AVX512))
		return
	}
	expandKeysGeneric(dst, codes, scale)
}

func expandValues(dst, codes []byte, scale []float32) {
	if cpu.Active() >= cpu.AVX512 && len(codes) >= 32 {
		_, _ = dst[2*len(codes)-1], scale[len(codes)/16-1]
		expandValuesAVX512(&dst[0], &codes[0], len(codes)/32, &scale[0], int(cpu.Active()-cpu.AVX512))
		return
	}
	expandValuesGeneric(dst, codes, scale)
}

//go:noescape
func softmaxBlockAVX2(rows int, s, m, l, o *float32, hd, half int)

//go:noescape
func putKeyAVX512(b *byte, x *float32, n int)

//go:noescape
func putValueAVX512(b *byte, x *float32, n int)

//go:noescape
func expandKeysAVX512(dst, codes *byte, rows int, scale *float32, amx int)

//go:noescape
func expandValuesAVX512(dst, codes *byte, rows int, scale *float32, amx int)

//go:noescape
func attendAVX512(args *attnArgs)

//go:noescape
func divideRowsAVX512(out, o, l *float32, rows, dim, hd int)
