package conv

import (
	"math"
	"unsafe"
)

// windowArgs is a run of places side by side whose windows lie inside the rows that x names: tap t of place p looks at the row of features at x[t] + p*step. What lies outside
// the input is a row of padding. For every place a kernel computes, with v the tap's features,
//
//	depthInts:   (start + sum of v*w, an int32) as float32, times factor, times scale, plus bias; each step rounded
//	depthCodes:  round(clamp(v of depthInts * inv, -zero, hi)) + zero, NaN as -zero
//	maxBytes, maxFloats: the greatest; of floats NaN if there is one, and of equal ones the first
//	sumFloats: the sum, tap by tap from 0, a float64
//	sumBytes: the sum, an int32
//
// w, start, scale and bias have as many numbers as fill vectors of 16. Levels with quads sum codes four taps at a time: their depthInts and depthCodes take whole fours of
// taps (taps counts these), and w is [taps][features/64][4][16][4] int8, of which the third index is i, with that of the fourth 4l + j, for feature 16l + 4i + j; what vectors hold fills 64, and start, scale and bias of depthInts and depthCodes lie as the lines do.
//
// columnInts and columnCodes take windows of k x k by columns: x is the lines of the input, [k], w is [features/64][columns][fours][4][16][4] with fours of a column's elements, zeros behind them.
//
// depthPairs and depthPairCodes are depthInts and depthCodes for 32 features or more, two taps at a time (taps counts these), in blocks of 32 features, the last of which ends with the last feature.
// A weight is 16*h + l, l from 0 to 15; w is [pairs][blocks][l, h][2][2][8][2] int8, of which the indices 3 to 6 are i, j, k, t for feature 16j + 8i + k of the block and tap t of the pair; start, scale and bias
// are [blocks][4][2][4] for feature 16j + 4i + k; start has 32768 more for each 8 pairs begun.
type windowArgs struct {
	x              unsafe.Pointer // *[taps]unsafe.Pointer
	w              unsafe.Pointer // *[taps][ldw bytes]: int32, of which int16 counts
	dst            unsafe.Pointer
	start          *int32
	scale, bias    *float32
	taps, places   int
	step, ldd, ldw int // bytes
	features       int
	factor         float32
	inv, hi        float32 // depthCodes
	zero           int32
	// Of columns: bytes from one to the next, columns from place to place, bytes from the first inside to that of the first place, of all inside; a pixel of padding.
	pixel, stride, column, width int
	skip                         int // with a stride of more than 2, of windows of 3 x 3: bytes from the end of a window to the next
	pad                          unsafe.Pointer
}

// windowFunc is a kernel.
type windowFunc func(a *windowArgs)

// level is the kernels of an instruction set.
type level struct {
	quads      bool       // see windowArgs
	depthCodes windowFunc // nil: none
	// The same for windows of 3 x 3 and of 5 x 5, of places side by side 1 or 2 apart; see windowArgs.
	columnInts, columnCodes                             [2]windowFunc
	depthInts, maxBytes, maxFloats, sumFloats, sumBytes windowFunc
	depthFloats                                         func(a *depthArgs)
	directInts, directFloats                            *directKernels // nil: none
	depthPairs, depthPairCodes                          windowFunc     // nil: none
}

var generic = level{depthInts: depthIntsGeneric, depthFloats: depthFloatsGeneric, maxBytes: maxBytesGeneric, maxFloats: maxFloatsGeneric, sumFloats: sumFloatsGeneric, sumBytes: sumBytesGeneric}

// part is n numbers at p.
func part[T any](p unsafe.Pointer, n int) []T { return unsafe.Slice((*T)(p), n) }

// taps calls f for the taps of each place, with their features, begin before them and end after them with the place's results.
func taps[T, R any](a *windowArgs, begin func(dst []R), f func(t int, dst []R, x []T), end func(dst []R)) {
	rows := part[unsafe.Pointer](a.x, a.taps)
	for p := range a.places {
		dst := part[R](unsafe.Add(a.dst, p*a.ldd), a.features)
		begin(dst)
		for t, x := range rows {
			f(t, dst, part[T](unsafe.Add(x, p*a.step), len(dst)))
		}
		end(dst)
	}
}

func none[T any]([]T) {}

func depthIntsGeneric(a *windowArgs) {
	scale, bias := part[float32](unsafe.Pointer(a.scale), a.features), part[float32](unsafe.Pointer(a.bias), a.features)
	taps(a, func(sums []int32) { copy(sums, part[int32](unsafe.Pointer(a.start), a.features)) }, func(t int, sums []int32, x []byte) {
		w := part[int32](unsafe.Add(a.w, t*a.ldw), len(x))
		for i, u := range x {
			sums[i] += int32(u) * w[i]
		}
	}, func(sums []int32) { // the results take their place
		dst := part[float32](unsafe.Pointer(&sums[0]), len(sums))
		for i, v := range sums {
			dst[i] = float32(float32(float32(v)*a.factor)*scale[i]) + bias[i]
		}
	})
}

func maxBytesGeneric(a *windowArgs) {
	taps(a, func(dst []byte) { clear(dst) }, func(_ int, dst, x []byte) {
		for i, v := range x {
			dst[i] = max(dst[i], v)
		}
	}, none)
}

func maxFloatsGeneric(a *windowArgs) {
	taps(a, func(dst []float32) { fill(dst, float32(math.Inf(-1))) }, func(_ int, dst, x []float32) {
		for i, v := range x {
			if v > dst[i] || v != v {
				dst[i] = v
			}
		}
	}, none)
}

func sumFloatsGeneric(a *windowArgs) {
	taps(a, func(dst []float64) { clear(dst) }, func(_ int, dst []float64, x []float32) {
		for i, v := range x {
			dst[i] += float64(v)
		}
	}, none)
}

func sumBytesGeneric(a *windowArgs) {
	taps(a, func(dst []int32) { clear(dst) }, func(_ int, dst []int32, x []byte) {
		for i, v := range x {
			dst[i] += int32(v)
		}
	}, none)
}

// from is a with its first features left out; size is the bytes of one in the rows, out in dst.
func (a *windowArgs) from(first, size, out int, rows []unsafe.Pointer) *windowArgs {
	b := *a
	for t, p := range unsafe.Slice((*unsafe.Pointer)(a.x), a.taps) {
		rows[t] = unsafe.Add(p, first*size)
	}
	b.x, b.dst, b.features = unsafe.Pointer(&rows[0]), unsafe.Add(a.dst, first*out), a.features-first
	if a.w != nil {
		b.w = unsafe.Add(a.w, 4*first)
	}
	if a.bias != nil {
		b.bias = (*float32)(unsafe.Add(unsafe.Pointer(a.bias), 4*first))
	}
	if a.start != nil {
		b.start, b.scale = (*int32)(unsafe.Add(unsafe.Pointer(a.start), 4*first)), (*float32)(unsafe.Add(unsafe.Pointer(a.scale), 4*first))
	}
	return &b
}

// Taps is working memory for windows.
type Taps struct {
	rows  []unsafe.Pointer
	row   []float32
	sums  []int32
	wide  []float64
	depth depthWork
	// paddings of greatest values
	zeros []byte
	least []float32
}

// padding is what stands for elements outside the input: places of a run go on in it.
func padding[T byte | float32](s *Shape, zero T) []T {
	x := make([]T, (s.In[2]+1)*s.C)
	fill(x, zero)
	return x
}

// windows calls f for runs of places from r0 to r1-1, the first of each in r, with a.x and a.places set; x begins with pixel begin of all images one after the other.
func windows[T byte | float32](s *Shape, x []T, begin int, pad []T, r0, r1 int, work *Taps, a *windowArgs, f func(r int)) {
	taps := s.Taps()
	if len(work.rows) < taps+3 {
		work.rows = make([]unsafe.Pointer, taps+3)
	}
	rows := work.rows[:taps]
	_ = pad[(s.In[2]+1)*s.C-1]
	s.check(len(x), begin, r0, r1)
	a.x, a.taps = unsafe.Pointer(&rows[0]), taps
	a.step = s.Stride[2] * s.C * int(unsafe.Sizeof(pad[0]))
	for r := r0; r < r1; r += a.places {
		image, p := r/s.Places(), r%s.Places()
		w, h, d := p%s.Out[2], p/s.Out[2]%s.Out[1], p/s.Out[2]/s.Out[1]
		first := w*s.Stride[2] - s.Before[2]
		a.places = 1
		if reach := s.Dilation[2] * (s.Kernel[2] - 1); first >= 0 && first+reach < s.In[2] && !s.Transposed {
			a.places = min((s.In[2]-1-reach-first)/s.Stride[2]+1, s.Out[2]-w, r1-r)
		}
		t := 0
		for kd := range s.Kernel[0] {
			id := s.element(0, d, kd)
			for kh := range s.Kernel[1] {
				ih := s.element(1, h, kh)
				from := ((image*s.In[0]+id)*s.In[1]+ih)*s.In[2] - begin
				for kw := range s.Kernel[2] {
					iw := s.element(2, w, kw)
					if rows[t] = unsafe.Pointer(&pad[0]); id >= 0 && ih >= 0 && iw >= 0 {
						rows[t] = unsafe.Pointer(&x[(from+iw)*s.C])
					}
					t++
				}
			}
		}
		f(r)
	}
}
