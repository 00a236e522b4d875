package linear

import (
	"fmt"
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

// Shorts is a weight [N, K] as these products take it. Fill it with Put; then MatMul may run on several goroutines.
type Shorts struct {
	n, k, kp int
	w        []int16   // [panels][kp/2][16][2]
	scale    []float32 // [panels*16]
}

// NewShorts is one whose rows are yet to come.
func NewShorts(n, k int) *Shorts {
	kp, np := num.Pad(k, shortSpan), num.Pad(n, 32)
	return &Shorts{n, k, kp, make([]int16, np*kp), make([]float32, np)}
}

// Put sets the rows from n0 on, a multiple of 16, to those of w [rows, K]: a multiple of 16, or up to the last one. Calls for other rows may run at the same time.
func (s *Shorts) Put(n0 int, w []float32) {
	if n0%16 != 0 || len(w)%s.k != 0 || n0+len(w)/s.k > s.n || len(w)/s.k%16 != 0 && n0+len(w)/s.k != s.n {
		panic(fmt.Sprintf("linear: Shorts.Put: %d values from row %d on of %dx%d", len(w), n0, s.n, s.k))
	}
	t := shortScratches.Get().(*shortScratch)
	defer shortScratches.Put(t)
	t.x = mem.Sized(t.x, 16*s.kp)
	for ; len(w) > 0; n0 += 16 {
		r := min(16, len(w)/s.k)
		clear(t.x[r*s.kp:])
		for i := range r {
			s.scale[n0+i] = toShorts(t.x[i*s.kp:(i+1)*s.kp], w[i*s.k:(i+1)*s.k])
		}
		mem.Transpose(pairsOf(s.w[n0*s.kp:(n0+16)*s.kp]), pairsOf(t.x), 16)
		w = w[r*s.k:]
	}
}

// MatMul sets y[m][j] to x[m]·w[j] for the rows j of the weight from n0, a multiple of 32, to n1-1, by the products of numerics N6.6: rows lose absmax/16382 a value
// at most. A row of w or x that holds NaN or an infinity makes its results NaN.
func (s *Shorts) MatMul(y, x [][]float32, n0, n1 int) {
	if n0%32 != 0 || n1 > s.n {
		panic(fmt.Sprintf("linear: Shorts.MatMul: rows %d to %d of %dx%d", n0, n1, s.n, s.k))
	}
	if n0 >= n1 {
		return
	}
	t := shortScratches.Get().(*shortScratch)
	defer shortScratches.Put(t)
	t.weight = s
	block := min(ShortBlock(s.k), num.Pad(len(x), shortRows))
	t.x, t.scale, t.y = mem.Sized(t.x, block*s.kp), mem.Sized(t.scale, block), mem.Sized(t.y, block)
	for m0 := 0; m0 < len(x); m0 += block {
		rows := x[m0:min(m0+block, len(x))]
		for i, row := range rows {
			t.scale[i], t.y[i] = toShorts(t.x[i*s.kp:(i+1)*s.kp], row[:s.k]), &y[m0+i][:n1][0]
		}
		for j := n0; j < n1; j += 32 {
			for m := 0; m < len(rows); m += shortRows {
				t.some(m, j, min(shortRows, len(rows)-m), min(32, n1-j))
			}
		}
	}
	clear(t.y) // what they point to is not ours
	t.weight, t.args = nil, shortArgs{}
}

// ShortBlock is how many rows of x of k values MatMul keeps in the cache while the weight passes.
func ShortBlock(k int) int { return max(1, shortFloats/num.Pad(k, shortSpan)/shortRows) * shortRows }

// shortScratch is what one product packs.
type shortScratch struct {
	weight *Shorts
	x      []int16    // [rows][kp]
	scale  []float32  // [rows]
	y      []*float32 // [rows]
	out    [shortRows][32]float32
	outs   [shortRows]*float32
	args   shortArgs
}

var shortScratches = sync.Pool{New: func() any { return new(shortScratch) }}

// some is 6 rows of x times 32 of w, of which so many are there. It is not inlined: its prologue is where the collector can stop the loop.
//
//go:noinline
func (s *shortScratch) some(m, j, rows, n int) {
	a, kp := &s.args, s.weight.kp // field by field: a copy would wait for its stores
	a.w, a.panel, a.spans = &s.weight.w[j*kp : (j+32)*kp][0], kp*32, kp/shortSpan
	a.x, a.kp, a.scale, a.wscale = &s.x[m*kp : (m+shortRows)*kp][0], kp*2, &s.scale[m : m+shortRows][0], &s.weight.scale[j : j+32][0]
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
