package linear

import (
	"math"
	"sync"

	"qpt/kernels/elem"
	"qpt/kernels/internal/mem"
)

// Rows for layers of format Codes (numerics N10.2, N10.4): what a row costs is paid once, whatever layers and parts of them read it.

// width is the bytes of Hi for a value.
func (a *Acts) width() int {
	if a.Form == A24 && a.Round.digits() > 1 {
		return 4
	}
	return 1
}

// rowBuffers holds the memory of rows on their way.
var rowBuffers = sync.Pool{New: func() any { return new([]float32) }}

// ordered is x with its columns at their places.
func (a *Acts) ordered(dst, x []float32) []float32 {
	if a.Order == nil {
		return x
	}
	for j, k := range a.Order {
		dst[j] = x[k]
	}
	return dst[:len(x)]
}

// floatRow stores row m as numbers.
func (a *Acts) floatRow(m int, x []float32) {
	dst := a.F32[m*a.Stride:][:a.K]
	if a.Order == nil {
		a.Round.Row(dst, x)
		return
	}
	buf := rowBuffers.Get().(*[]float32)
	defer rowBuffers.Put(buf)
	*buf = mem.Sized(*buf, a.K)
	a.Round.Row(*buf, x)
	a.ordered(dst, *buf)
}

// digitsRow stores row m as integers.
func (a *Acts) digitsRow(m int, x []float32) {
	buf := rowBuffers.Get().(*[]float32)
	defer rowBuffers.Put(buf)
	*buf = mem.Sized(*buf, 2*a.K)
	d := digitsArgs{planes: a.Round.digits()}
	if d.planes == 3 && a.Round.Kind != RoundNone { // blocks of a rule are of columns in their own order
		a.Round.Row((*buf)[a.K:2*a.K], x)
		x = (*buf)[a.K : 2*a.K]
	}
	x = a.ordered((*buf)[:a.K], x)
	w := a.width()
	dst, sums := a.Hi[m*a.Stride*w:][:a.Stride*w], a.Sums[m*a.Stride/16:][:a.Stride/16]
	if d.planes == 3 {
		a.Scale[m], d.by = elem.RowScale(x, digitTop)
	} else {
		var zero float32
		if a.Scale[m], zero = a.Round.scale(x); !(a.Scale[m] > 0) { // a row of zeros, or one with NaN
			clear(dst)
			clear(sums)
			return
		}
		d.by, d.zero = a.Scale[m], zero
	}
	whole := len(x) &^ 15
	makeDigits(dst, sums, x[:whole], d)
	if whole < len(x) {
		digitsGeneric(dst[whole*w:], sums[whole/16:], x[whole:], d)
	}
}

// digitsArgs is what makers of digits take: n values, 16 a turn. Of three digits round(x*by), of fewer
// round(clamp(x/by + zero, -128, 127)) - zero.
type digitsArgs struct {
	dst      *byte
	sums     *int32
	x        *float32
	n        int
	by, zero float32
	planes   int
}

// digitTop is the greatest integer that inputs become: three signed bytes, with room for the rounding of its product.
const digitTop = 127 << 16

// digitsGeneric is the twin of makeDigits, for any number of values.
func digitsGeneric(dst []byte, sums []int32, x []float32, d digitsArgs) {
	clear(sums[:(len(x)+15)/16])
	for j, v := range x {
		var q int32
		if d.planes == 3 {
			q = int32(math.RoundToEven(float64(v * d.by)))
		} else {
			q = int32(math.RoundToEven(float64(min(max(v/d.by+d.zero, -128), 127)))) - int32(d.zero)
		}
		sums[j/16] += q
		if d.planes == 1 {
			dst[j] = byte(q)
			continue
		}
		t := uint32(q+0x808080) ^ 0x808080
		at := dst[j/4*16+j%4:]
		at[0], at[4], at[8] = byte(t), byte(t>>8), byte(t>>16)
	}
}
