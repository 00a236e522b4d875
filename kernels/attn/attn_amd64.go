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
	attnPairs // bfloat16 by VDPBF16PS
	attnAMX
)

// active is the level in use.
func active() *level { return &levels[cpu.Active()] }

// levels by cpu.ISA, each the one below but for what it does better.
var levels = func() (l [cpu.AMX + 1]level) {
	v := generic
	l[cpu.Generic] = v

	v.softmaxBlock = func(rows int, s, m, l, o []float32, hd int, half bool) {
		round := 0
		if half {
			round = 1
		}
		_, _, _, _ = s[rows*32-1], m[rows-1], l[rows*16-1], o[rows*hd-1]
		softmaxBlockAVX2(rows, &s[0], &m[0], &l[0], &o[0], hd, round)
	}
	v.divideRows = func(out, o, l []float32, rows, dim, hd int) {
		if dim%8 != 0 {
			divideRowsGeneric(out, o, l, rows, dim, hd)
			return
		}
		_, _, _ = out[rows*dim-1], o[rows*hd-1], l[rows*16-1]
		divideRowsAVX2(&out[0], &o[0], &l[0], rows, dim, hd)
	}
	v.putKey = func(b []byte, x []float32) {
		if len(x)%8 != 0 {
			putKeyGeneric(b, x)
			return
		}
		_ = b[2*atKey(len(x)-1)+1]
		putKeyAVX2(&b[0], &x[0], len(x))
	}
	v.putValue = func(b []byte, x []float32) {
		if len(x)%8 != 0 {
			putValueGeneric(b, x)
			return
		}
		_ = b[2*atValue(len(x)-1)+1]
		putValueAVX2(&b[0], &x[0], len(x))
	}
	v.expandKeys = func(dst, codes []byte, scale []float32) {
		_, _ = dst[2*len(codes)-1], scale[15]
		expandKeysAVX2(&dst[0], &codes[0], len(codes)/32, &scale[0])
	}
	v.expandValues = func(dst, codes []byte, scale []float32) {
		_, _ = dst[2*len(codes)-1], scale[len(codes)/16-1]
		expandValuesAVX2(&dst[0], &codes[0], len(codes)/32, &scale[0])
	}
	l[cpu.AVX2], l[cpu.AVXVNNI] = v, v

	v.attend = attendFused
	if dot.HasPairs() {
		v.short = func(a *shortArgs) { shortAVX512(a) }
		v.pack = dot.PackPairs
		v.queries = func(q []uint16, x []float32, ldx, rows, n int, scale float32) {
			_, _ = q[rows*n-1], x[(rows-1)*ldx+n-1]
			queriesAVX512(&q[0], &x[0], ldx, rows, n, scale)
		}
	}
	v.divideRows = func(out, o, l []float32, rows, dim, hd int) {
		_, _, _ = out[rows*dim-1], o[rows*hd-1], l[rows*16-1]
		divideRowsAVX512(&out[0], &o[0], &l[0], rows, dim, hd)
	}
	v.putKey = func(b []byte, x []float32) {
		_ = b[2*atKey(len(x)-1)+1]
		putKeyAVX512(&b[0], &x[0], len(x))
	}
	v.putValue = func(b []byte, x []float32) {
		_ = b[2*atValue(len(x)-1)+1]
		putValueAVX512(&b[0], &x[0], len(x))
	}
	v.putKeys = func(b []byte, x []float32, ldx, rows, n int) {
		_, _ = b[2*atKey(n-2)+4*rows-1], x[(rows-1)*ldx+n-1]
		putKeysAVX512(&b[0], &x[0], ldx, rows, n)
	}
	v.putValues = func(b []byte, x []float32, ldx, pairs, n int) {
		_, _ = b[2*atValue(n-16)+64*pairs-1], x[(2*pairs-1)*ldx+n-1]
		putValuesAVX512(&b[0], &x[0], ldx, pairs, n)
	}
	v.expandKeys, v.expandValues = expand512(0)
	l[cpu.AVX512] = v

	v.expandKeys, v.expandValues = expand512(1)
	v.pack, v.queries = nil, nil
	l[cpu.AMX] = v
	return l
}()

// attendFused is not inlined: its prologue is where the collector can stop the loop over calls of assembly.
//
//go:noinline
func attendFused(f dot.Kind, a *attnArgs) {
	switch {
	case f == dot.F32:
		a.mode = attnF32
	case cpu.Active() < cpu.AMX && dot.HasPairs():
		a.mode = attnPairs
	case cpu.Active() < cpu.AMX:
		a.mode = attnBF16
	default:
		a.mode, a.tiles = attnAMX, dot.Tiles(min(a.rows, 16))
	}
	attendAVX512(a)
}

// expand512 is expandKeys and expandValues of AVX-512, with AVX512_BF16 if amx is 1.
func expand512(amx int) (keys, values func(dst, codes []byte, scale []float32)) {
	keys = func(dst, codes []byte, scale []float32) {
		_, _ = dst[2*len(codes)-1], scale[15]
		expandKeysAVX512(&dst[0], &codes[0], len(codes)/32, &scale[0], amx)
	}
	values = func(dst, codes []byte, scale []float32) {
		_, _ = dst[2*len(codes)-1], scale[len(codes)/16-1]
		expandValuesAVX512(&dst[0], &codes[0], len(codes)/32, &scale[0], amx)
	}
	return keys, values
}

//go:noescape
func shortAVX512(a *shortArgs)

//go:noescape
func softmaxBlockAVX2(rows int, s, m, l, o *float32, hd, half int)

//go:noescape
func putKeyAVX2(b *byte, x *float32, n int)

//go:noescape
func putValueAVX2(b *byte, x *float32, n int)

//go:noescape
func divideRowsAVX2(out, o, l *float32, rows, dim, hd int)

//go:noescape
func expandKeysAVX2(dst, codes *byte, rows int, scale *float32)

//go:noescape
func expandValuesAVX2(dst, codes *byte, rows int, scale *float32)

//go:noescape
func putKeyAVX512(b *byte, x *float32, n int)

//go:noescape
func putValueAVX512(b *byte, x *float32, n int)

//go:noescape
func queriesAVX512(q *uint16, x *float32, ldx, rows, n int, scale float32)

//go:noescape
func putKeysAVX512(b *byte, x *float32, ldx, rows, n int)

//go:noescape
func putValuesAVX512(b *byte, x *float32, ldx, pairs, n int)

//go:noescape
func expandKeysAVX512(dst, codes *byte, rows int, scale *float32, amx int)

//go:noescape
func expandValuesAVX512(dst, codes *byte, rows int, scale *float32, amx int)

//go:noescape
func attendAVX512(args *attnArgs)

//go:noescape
func divideRowsAVX512(out, o, l *float32, rows, dim, hd int)
