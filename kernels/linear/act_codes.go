package linear

import (
	"math"
	"sync"
	"unsafe"

	"qpt/kernels/elem"
	"qpt/kernels/internal/mem"
)

// Rows for layers of format Codes (numerics N10.2, N10.4) or with wild columns (N3.7): what a row costs is paid once, whatever layers and parts of them read it.

// CodedRows is what such layers want of rows of inputs. Layers that want the same can have the same rows.
type CodedRows struct {
	Round Rounding // what they become first
	Order *int32   // nil, or the first of K: the place j of a row is its value Order[j]
	Group int      // A24: places that share a scale
	Wild  *int32   // nil, or the first of Wilds columns that stay float32
	Wilds int
}

func (r *CodedRows) wild() []int32 { return unsafe.Slice(r.Wild, r.Wilds) }

// Rows is what the layer w wants.
func (w *Weight) Rows() (r CodedRows) {
	if w.Wild != nil {
		r.Wild, r.Wilds = &w.Wild[0], len(w.Wild)
	}
	if w.Format != Codes {
		return r
	}
	if r.Round = w.Coded.Round; w.Coded.Order != nil {
		r.Order = &w.Coded.Order[0]
	}
	if w.Coded.Form() == A24 {
		r.Group = w.Group
	}
	return r
}

// width is the bytes of Hi for a value.
func (a *Acts) width() int {
	if a.Form == A24 {
		return digitWidth(a.For.Round.digits())
	}
	return 1
}

// digitWidth is the bytes of a value's digits.
func digitWidth(planes int) int {
	if planes == 1 {
		return 1
	}
	return 4
}

// groups is the sums of a row.
func (a *Acts) groups() int {
	if a.For.Group == 0 {
		return 1
	}
	return (a.K + a.For.Group - 1) / a.For.Group
}

// rowBuffers holds the memory of rows on their way.
var rowBuffers = sync.Pool{New: func() any { return new(rowBuffer) }}

type rowBuffer struct {
	row, rounded []float32
	sums         []int32
}

// ordered is x with its columns at their places, in dst if that changes them.
func (a *Acts) ordered(dst, x []float32) []float32 {
	if a.For.Order == nil {
		return x
	}
	for j, k := range unsafe.Slice(a.For.Order, a.K) {
		dst[j] = x[k]
	}
	return dst[:len(x)]
}

// floatRow stores row m as numbers.
func (a *Acts) floatRow(m int, x []float32) {
	dst := a.F32[m*a.Stride:][:a.K]
	if a.For.Order == nil {
		a.For.Round.Row(dst, x)
		return
	}
	buf := rowBuffers.Get().(*rowBuffer)
	defer rowBuffers.Put(buf)
	buf.row = mem.Sized(buf.row, a.K)
	a.For.Round.Row(buf.row, x)
	a.ordered(dst, buf.row)
}

// digitsRow stores row m as integers.
func (a *Acts) digitsRow(m int, x []float32) {
	buf := rowBuffers.Get().(*rowBuffer)
	defer rowBuffers.Put(buf)
	round, w := a.For.Round, a.width()
	d, top := digitsArgs{planes: round.digits()}, float32(digitTop)
	if round.Kind == RoundInt16 {
		d.planes, top = 3, wordTop // the third is 0
	} else if d.planes == 3 && round.Kind != RoundNone { // blocks of a rule are of columns in their own order
		buf.rounded = mem.Sized(buf.rounded, a.K)
		round.Row(buf.rounded, x)
		x = buf.rounded
	}
	buf.row = mem.Sized(buf.row, a.K)
	x = a.ordered(buf.row, x)
	dst, sums := a.Hi[m*a.Stride*w:][:a.Stride*w], a.Sums[m*a.groups():][:a.groups()]
	if d.planes == 3 {
		a.Scale[m], d.by = elem.RowScale(x, top)
	} else if a.Scale[m], d.zero = round.scale(x); a.Scale[m] > 0 {
		d.by = a.Scale[m]
	} else { // a row of zeros, or one with NaN
		clear(dst)
		clear(sums)
		return
	}
	whole := len(x) &^ 15
	buf.sums = mem.Sized(buf.sums, (len(x)+15)/16)
	makeDigits(dst, buf.sums, x[:whole], d)
	if whole < len(x) {
		digitsGeneric(dst[whole*w:], buf.sums[whole/16:], x[whole:], d)
	}
	size := a.For.Group
	for g := range sums {
		var s int64
		if j0, j1 := g*size, min((g+1)*size, a.K); j0%16 == 0 && (j1%16 == 0 || j1 == a.K) {
			for _, v := range buf.sums[j0/16 : (j1+15)/16] {
				s += int64(v)
			}
		} else {
			for j := j0; j < j1; j++ {
				of := dst[j/4*4*w+j%4:]
				for p, weight := 0, int64(1); p < 4*w; p, weight = p+4, weight<<8 {
					s += int64(int8(of[p])) * weight
				}
			}
		}
		sums[g] = float32(s)
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

// wordTop is that of RoundInt16: two.
const wordTop = 127 << 8

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
