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
//	4096 512 576     187      80       120   74
//	256 256 512      205      111      121   79
//	limit            232      118
const (
	shortTop    = 8191 // 32 * shortTop^2 < 2^31
	shortSpan   = 32   // k
	shortRows   = 6    // of x, in one call
	shortFloats = 1 << 17
)

// shortArgs is 6 rows of x times 32 columns.
type shortArgs struct {
	w      *int16    // two panels [k/2][16][2] ..
	panel  int       // .. so many bytes apart
	spans  int       // of k
	x      *int16    // [6][kp]
	kp     int       // bytes
	y      **float32 // [6] rows ..
	at     int       // .. from this byte on, [32]
	scale  *float32  // [6]
	wscale *float32  // [32]
}

// shortScratch is what one product packs.
type shortScratch struct {
	x, w   []int16 // [rows][kp]; [panels][kp/2][16][2]
	rows   []int16 // [16][kp]
	scale  []float32
	wscale []float32
	y      []*float32 // [rows]
	out    [shortRows][32]float32
	outs   [shortRows]*float32
	args   shortArgs
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
	block = min(block, num.Pad(len(x), shortRows))
	s.x, s.scale, s.y = mem.Sized(s.x, block*kp), mem.Sized(s.scale, block), mem.Sized(s.y, block)
	for m0 := 0; m0 < len(x); m0 += block {
		rows := x[m0:min(m0+block, len(x))]
		for i, row := range rows {
			s.scale[i], s.y[i] = toShorts(s.x[i*kp:(i+1)*kp], row), &y[m0+i][n0 : n0+n][0]
		}
		for j := 0; j < n; j += 32 {
			for m := 0; m < len(rows); m += shortRows {
				s.some(m, j, kp, min(shortRows, len(rows)-m), min(32, n-j))
			}
		}
	}
	clear(s.y) // what they point to is not ours
	s.args = shortArgs{}
}

// some is 6 rows of x times 32 of w, of which so many are there. It is not inlined: its prologue is where the collector can stop the loop.
//
//go:noinline
func (s *shortScratch) some(m, j, kp, rows, n int) {
	a := &s.args // field by field: a copy would wait for its stores
	a.w, a.panel, a.spans = &s.w[j*kp : (j+32)*kp][0], kp*32, kp/shortSpan
	a.x, a.kp, a.scale, a.wscale = &s.x[m*kp : (m+shortRows)*kp][0], kp*2, &s.scale[m : m+shortRows][0], &s.wscale[j : j+32][0]
	a.y, a.at = &s.y[m : m+shortRows][0], 4*j
	if rows == shortRows && n == 32 {
		shorts(a)
		return
	}
	for i := range s.outs {
		s.outs[i] = &s.out[i][0]
	}
	a.y, a.at = &s.outs[0], 0
	shorts(a)
	for i := range rows {
		copy(unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(s.y[m+i]), 4*j)), n), s.out[i][:n])
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
	k := a.spans * shortSpan
	wscale := unsafe.Slice(a.wscale, 32)
	for i := range shortRows {
		x := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(a.x), i*a.kp)), k)
		y := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(unsafe.Slice(a.y, shortRows)[i]), a.at)), 32)
		for j := range y {
			w := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(a.w), j/16*a.panel)), k*16)[j%16*2:]
			sum := float32(0)
			for k0 := 0; k0 < k; k0 += shortSpan {
				part := int32(0)
				for k := k0; k < k0+shortSpan; k += 2 {
					part += int32(x[k])*int32(w[k*16]) + int32(x[k+1])*int32(w[k*16+1])
				}
				sum += float32(part)
			}
			y[j] = float32(sum*unsafe.Slice(a.scale, shortRows)[i]) * wscale[j]
		}
	}
}

// roundShortsGeneric is dst = round(x*inv), |x*inv| below 2^15.
func roundShortsGeneric(dst []int16, x []float32, inv float32) {
	for i, v := range x {
		dst[i] = int16(num.RoundEven(v * inv))
	}
}
