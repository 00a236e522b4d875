package linear

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/mem"
)

// NewActs makes room for maxM rows of k values. All bytes start as zero and
// the padding beyond k stays so.
func NewActs(form ActForm, maxM, k int) *Acts { return NewActsFor(form, CodedRows{}, maxM, k) }

// NewActsFor is NewActs for weights of format Codes, see Coded.Rows.
func NewActsFor(form ActForm, of CodedRows, maxM, k int) *Acts {
	size := map[ActForm]int{AF32: 4, ABF16: 2, A8: 1, A16: 1, A24: 4}[form]
	if size == 0 || maxM < 0 || k <= 0 {
		panic(fmt.Sprintf("linear: NewActs: %d rows of %d values in form %d", maxM, k, form))
	}
	a := &Acts{Form: form, K: k, Stride: num.Pad(k, 64), For: of}
	if form == A24 {
		size = a.width()
	}
	if a.Stride*size%512 == 0 {
		a.Stride += 64
	}
	n := maxM * a.Stride
	switch form {
	case AF32:
		a.F32 = mem.Floats(n)
	case ABF16:
		a.BF16 = unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(mem.Bytes(2*n)))), n)
	case A8:
		a.Hi, a.Zero = mem.Bytes(n), make([]int32, maxM)
	case A16:
		a.Hi, a.Lo = mem.Bytes(n), mem.Bytes(n)
	case A24:
		a.Hi, a.Sums = mem.Bytes(n*size), make([]float32, maxM*a.groups())
	}
	if form == A8 || form == A16 || form == A24 {
		a.Scale = make([]float32, maxM)
	}
	if of.Wilds > 0 {
		a.Wild, a.tame = mem.Floats(maxM*of.Wilds), make([]uint32, k)
		for i := range a.tame {
			a.tame[i] = math.MaxUint32
		}
		for _, k := range of.wild() {
			a.tame[k] = 0
		}
	}
	return a
}

// Reset sets the number of rows in use to m, at most the maxM of NewActs, and returns a.
func (a *Acts) Reset(m int) *Acts {
	if m < 0 || m > a.Room() {
		panic(fmt.Sprintf("linear: Acts of %d rows: Reset to %d", a.Room(), m))
	}
	a.M = m
	return a
}

// row returns the planes of row m, K long.
func (a *Acts) bytesRow(plane []byte, m int) []byte { return plane[m*a.Stride:][:a.K] }

// Quantize puts rows m0 to m1 into a. x holds these rows, ldx apart; row m0 is its start.
//
//	A8:    s = absmax/127,   q = round(x * (127/absmax)),   stored q + 128, Zero = 128; with wild columns numerics N3.7
//	A16:   s = absmax/32767, q = round(x * (32767/absmax)), stored q + 32768 in two planes
//	ABF16: bfloat16
//	A24:   numerics N10.2, after what For says
//
// Every step is one float32 rounding, ties to even, so that all instruction
// sets give the same bytes. A row with absmax < 1e-30 becomes zeros of scale
// 0; one with NaN or Inf gets scale NaN, which makes its results NaN (numerics N3.1 to N3.4).
func (a *Acts) Quantize(m0, m1 int, x []float32, ldx int) {
	a.checkRows(m0, m1, x, ldx)
	for m := m0; m < m1; m++ {
		x := x[(m-m0)*ldx:][:a.K]
		switch a.Form {
		case AF32:
			a.floatRow(m, x)
		case A24:
			a.digitsRow(m, x)
		case ABF16:
			elem.ToBF16(a.BF16[m*a.Stride:][:a.K], x)
		default:
			a.quantizeRow(m, x)
		}
	}
}

func (a *Acts) quantizeRow(m int, x []float32) {
	top, zero := float32(127), int32(128)
	if a.Form == A16 {
		top = 32767
	}
	if a.For.Wilds > 0 {
		a.wildRow(m, x)
		return
	}
	scale, inv := elem.RowScale(x, top)
	a.Scale[m] = scale
	hi := a.bytesRow(a.Hi, m)
	if a.Form == A16 {
		if inv == 0 {
			mem.Fill(hi, 128)
			clear(a.bytesRow(a.Lo, m))
			return
		}
		elem.Codes16(hi, a.bytesRow(a.Lo, m), x, inv)
		return
	}
	a.Zero[m] = zero
	if inv == 0 {
		mem.Fill(hi, 128)
		return
	}
	elem.Codes8(hi, x, inv, zero, -127, 127)
}

// QuantizeStatic is Quantize for form A8 with one scale and zero point for the
// tensor: u = clamp(round(x * (1/scale)) + zero, 0, 255). A row with NaN or Inf
// gets scale NaN (numerics N3.6, N3.4).
func (a *Acts) QuantizeStatic(m0, m1 int, x []float32, ldx int, scale float32, zero int32) {
	a.checkRows(m0, m1, x, ldx)
	checkStatic(a, scale, zero)
	for m := m0; m < m1; m++ {
		x := x[(m-m0)*ldx:][:a.K]
		a.Scale[m], a.Zero[m] = scale, zero
		if !(math.Float32frombits(elem.AbsMax(x)) <= math.MaxFloat32) {
			a.Scale[m] = float32(math.NaN())
		}
		staticCodes(a.bytesRow(a.Hi, m), x, scale, zero)
	}
}

// Columns makes rows of a, of form A8 with zero points 128, the columns of blocks [b0, b1) of w [M, K], of format I8: the same values.
func (a *Acts) Columns(w *Weight, b0, b1 int) {
	if a.Form != A8 || w.Format != I8 || w.N != a.M || w.K != a.K {
		panic(fmt.Sprintf("linear: rows [%d, %d] of form %s as columns of a weight [%d, %d] of format %s", a.M, a.K, a.Form, w.N, w.K, w.Format))
	}
	words := (a.K + 3) / 4
	s := columnScratches.Get().(*[]byte)
	defer columnScratches.Put(s)
	if len(*s) < 64*words {
		*s = mem.Bytes(64 * words)
	}
	for b := b0; b < b1; b++ {
		rows := min(16, a.M-16*b)
		for i := range rows {
			m := 16*b + i
			if w.Scale[m] = a.Scale[m]; a.Zero[m] != 128 {
				panic(fmt.Sprintf("linear: row %d with the zero point %d as a column", m, a.Zero[m]))
			}
			to := (*s)[4*words*i:][:4*words]
			w.Sum[m] = signedBytes(to, a.bytesRow(a.Hi, m))
			clear(to[a.K:])
		}
		mem.Transpose(floatsOf(w.Data[b*w.BlockBytes():][:64*words]), floatsOf((*s)[:64*words]), rows)
	}
}

var columnScratches = sync.Pool{New: func() any { return new([]byte) }}

// signedBytes is dst = x - 128, and the sum of that.
func signedBytes(dst, x []byte) (sum int32) {
	k := 0
	for ; k+8 <= len(x); k += 8 {
		q := binary.LittleEndian.Uint64(x[k:])
		binary.LittleEndian.PutUint64(dst[k:], q^0x8080808080808080)
		q = q&0x00ff00ff00ff00ff + q>>8&0x00ff00ff00ff00ff // four sums of two, then their sum
		sum += int32(q*0x0001000100010001>>48) - 8*128
	}
	for ; k < len(x); k++ {
		dst[k] = x[k] ^ 0x80
		sum += int32(x[k]) - 128
	}
	return sum
}

// floatsOf is bytes as values of four, to be moved.
func floatsOf(x []byte) []float32 { return unsafe.Slice((*float32)(unsafe.Pointer(&x[0])), len(x)/4) }

// wildRow is quantizeRow by numerics N3.7.
func (a *Acts) wildRow(m int, x []float32) {
	wild := a.Wild[m*a.For.Wilds:]
	for i, k := range a.For.wild() {
		wild[i] = x[k]
	}
	scale, inv, zero := elem.RowRange(x, a.tame)
	a.Scale[m], a.Zero[m] = scale, zero
	elem.Codes8(a.bytesRow(a.Hi, m), x, inv, zero, float32(-zero), float32(255-zero))
}

func checkStatic(a *Acts, scale float32, zero int32) {
	if a.Form != A8 || !(scale > 0) || zero < 0 || zero > 255 {
		panic(fmt.Sprintf("linear: static rows of form %s, scale %g, zero point %d", a.Form, scale, zero))
	}
}

// staticCodes: clamping to whole numbers before rounding is the same as after it.
func staticCodes(dst []byte, x []float32, scale float32, zero int32) {
	elem.Codes8(dst, x, 1/scale, zero, float32(-zero), float32(255-zero))
}

func (a *Acts) checkRows(m0, m1 int, x []float32, ldx int) {
	if m0 < 0 || m1 < m0 || m1 > a.M || (m1 > m0 && len(x) < (m1-m0-1)*ldx+a.K) {
		panic(fmt.Sprintf("linear: Acts [%d, %d]: rows %d to %d from %d values, stride %d", a.M, a.K, m0, m1, len(x), ldx))
	}
}

// Floats returns n zero values laid out as kernels want them: from a cache line on, many on large pages.
func Floats(n int) []float32 { return mem.Floats(n) }
