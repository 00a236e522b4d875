package linear

import (
	"sync"
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/mem"
)

// Shorts: products of float matrices whose rows become integers of 14 bits (numerics N6.6). The sum of 32 products of these fits an
// int32, so VPDPWSSD and VPMADDWD do two of them where float32 does one; every level gives the same bits. A core of Zen 4, GOPS:
//
//	M N K            AVX-512  float32  AVX2  float32
//	4096 512 576     165      77       120   74
//	256 256 512      189      105      121   79
//	limit            232      118
const (
	shortTop    = 8191 // 32 * shortTop^2 < 2^31
	shortSpan   = 32   // k
	shortRows   = 6    // of x, in one call
	shortFloats = 1 << 17
)

// shortArgs is 6 rows of x times 32 columns.
type shortArgs struct {
	w      *int16 // two panels [k/2][16][2] ..
	panel  int    // .. so many bytes apart
	spans  int    // of k
	x      [shortRows]*int16
	y      [shortRows]*float32 // [32]
	scale  [shortRows]float32
	wscale *float32 // [32]
}

// shortScratch is what one product packs.
type shortScratch struct {
	x, w   []int16 // [rows][kp]; [panels][kp/2][16][2]
	rows   []int16 // [16][kp]
	scale  []float32
	wscale []float32
	out    [shortRows][32]float32
}

var shortScratches = sync.Pool{New: func() any { return new(shortScratch) }}

// MatMulShort sets y[m][n0+j] to x[m]·w[j] for the rows of w [rows, K], by the products of numerics N6.6: rows lose absmax/16382 a value
// at most. A row of w or x that holds NaN or an infinity makes its results NaN.
func MatMulShort(y [][]float32, n0 int, x [][]float32, w []float32) {
	if len(x) == 0 || len(w) == 0 {
		return
	}
	s := shortScratches.Get().(*shortScratch)
	defer shortScratches.Put(s)
	k := len(x[0])
	n, kp := len(w)/k, num.Pad(k, shortSpan)
	np := num.Pad(n, 32)
	s.w, s.wscale, s.rows = mem.Sized(s.w, np*kp), mem.Sized(s.wscale, np), mem.Sized(s.rows, 16*kp)
	for j := 0; j < np; j += 16 {
		r := max(0, min(16, n-j))
		clear(s.rows[r*kp:])
		clear(s.wscale[j : j+16])
		for i := range r {
			s.wscale[j+i] = toShorts(s.rows[i*kp:(i+1)*kp], w[(j+i)*k:(j+i+1)*k])
		}
		mem.Transpose(pairsOf(s.w[j*kp:(j+16)*kp]), pairsOf(s.rows[:16*kp]), 16)
	}
	block := max(1, shortFloats/kp/shortRows) * shortRows
	s.x, s.scale = mem.Sized(s.x, block*kp), mem.Sized(s.scale, block)
	for m0 := 0; m0 < len(x); m0 += block {
		rows := x[m0:min(m0+block, len(x))]
		for i, row := range rows {
			s.scale[i] = toShorts(s.x[i*kp:(i+1)*kp], row)
		}
		for j := 0; j < n; j += 32 {
			for m := 0; m < len(rows); m += shortRows {
				s.some(y[m0:], m, min(shortRows, len(rows)-m), n0, j, min(32, n-j), kp)
			}
		}
	}
}

// some is up to 6 rows of x times up to 32 of w. It is not inlined: its prologue is where the collector can stop the loop.
//
//go:noinline
func (s *shortScratch) some(y [][]float32, m, rows, n0, j, n, kp int) {
	a := shortArgs{w: &s.w[j*kp : (j+32)*kp][0], panel: kp * 32, spans: kp / shortSpan, wscale: &s.wscale[j : j+32][0]}
	for i := range shortRows {
		at := m + min(i, rows-1)
		a.x[i], a.scale[i], a.y[i] = &s.x[at*kp : (at+1)*kp][0], s.scale[at], &s.out[i][0]
		if i < rows && n == 32 {
			a.y[i] = &y[at][n0+j : n0+j+32][0]
		}
	}
	shorts(&a)
	if n < 32 {
		for i := range rows {
			copy(y[m+i][n0+j:n0+j+n], s.out[i][:n])
		}
	}
}

// toShorts makes a row integers, with zeros behind them, and returns their scale.
func toShorts(dst []int16, x []float32) (scale float32) {
	scale, inv := elem.RowScale(x, shortTop)
	if inv == 0 {
		clear(dst)
		return scale
	}
	roundShorts(dst[:len(x)], x, inv)
	clear(dst[len(x):])
	return scale
}

// pairsOf is pairs of shorts as values of four bytes, to be moved.
func pairsOf(w []int16) []float32 { return unsafe.Slice((*float32)(unsafe.Pointer(&w[0])), len(w)/2) }

// shortsGeneric is the meaning of shorts.
func shortsGeneric(a *shortArgs) {
	for i := range shortRows {
		x, y, wscale := unsafe.Slice(a.x[i], a.spans*shortSpan), unsafe.Slice(a.y[i], 32), unsafe.Slice(a.wscale, 32)
		for j := range y {
			w := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(a.w), j/16*a.panel)), a.spans*shortSpan*16)[j%16*2:]
			sum := float32(0)
			for k0 := 0; k0 < len(x); k0 += shortSpan {
				part := int32(0)
				for k := k0; k < k0+shortSpan; k += 2 {
					part += int32(x[k])*int32(w[k*16]) + int32(x[k+1])*int32(w[k*16+1])
				}
				sum += float32(part)
			}
			y[j] = float32(sum*a.scale[i]) * wscale[j]
		}
	}
}

// roundShortsGeneric is dst = round(x*inv), |x*inv| below 2^15.
func roundShortsGeneric(dst []int16, x []float32, inv float32) {
	for i, v := range x {
		dst[i] = int16(num.RoundEven(v * inv))
	}
}
