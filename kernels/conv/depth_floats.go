package conv

import (
	"fmt"
	"math"
	"unsafe"

	"qpt/kernels/internal/mem"
)

// depthRun is places side by side, a multiple of four: tap t of place p looks at the row of features at rows[t] + p*step.
type depthRun struct {
	places int
	rows   unsafe.Pointer // *[taps]unsafe.Pointer
	dst    unsafe.Pointer
}

// depthArgs are runs of places, and fours of places apart. Each result is clamp(0 + v*w + v*w .. + bias, lo, hi), products rounded, tap by tap; NaN stays, and -0 does not count as less than 0. w and bias have as
// many numbers as fill vectors of 16.
type depthArgs struct {
	runs           unsafe.Pointer // *[count]depthRun
	count          int
	next           uintptr // run, and how many are left: the kernel's
	left           int
	apart          unsafe.Pointer // *[fours][taps][4]unsafe.Pointer
	to             unsafe.Pointer // *[fours][4]unsafe.Pointer
	fours          int
	taps           int
	w              *float32 // [taps][ldw bytes]
	bias           *float32
	skip           unsafe.Pointer // a row of zeros, which runs need not look at
	step, ldd, ldw int            // bytes
	features       int
	bound          int // 0: lo and hi are infinite
	lo, hi         float32
}

func depthFloatsGeneric(a *depthArgs) {
	bias := unsafe.Slice(a.bias, a.features)
	place := func(to unsafe.Pointer, row func(t int) unsafe.Pointer) {
		dst := part[float32](to, a.features)
		clear(dst)
		for t := range a.taps {
			w := part[float32](unsafe.Add(unsafe.Pointer(a.w), t*a.ldw), len(dst))
			for i, v := range part[float32](row(t), len(dst)) {
				dst[i] += float32(v * w[i])
			}
		}
		for i, b := range bias {
			v := dst[i] + b
			if v < a.lo {
				v = a.lo
			}
			if v > a.hi {
				v = a.hi
			}
			dst[i] = v
		}
	}
	for _, run := range part[depthRun](a.runs, a.count) {
		rows := part[unsafe.Pointer](run.rows, a.taps)
		for p := range run.places {
			place(unsafe.Add(run.dst, p*a.ldd), func(t int) unsafe.Pointer { return unsafe.Add(rows[t], p*a.step) })
		}
	}
	for i, to := range part[unsafe.Pointer](a.to, 4*a.fours) {
		rows := part[unsafe.Pointer](a.apart, 4*a.fours*a.taps)[i/4*4*a.taps+i%4:]
		place(to, func(t int) unsafe.Pointer { return rows[4*t] })
	}
}

// depthWork is the runs and the places apart of an item.
type depthWork struct {
	rows, apart, to []unsafe.Pointer
	runs            []depthRun
	args            depthArgs
}

// Floats computes rows r0 to r1-1 of the result from x, which begins with pixel begin: products rounded, then added tap by tap to 0, and the bias last (numerics N11.2). The end has floats to which nothing is added.
func (d *Depthwise) Floats(e End, x []float32, begin, r0, r1 int, work *Taps) {
	if e.check(r1-r0, d.N()); e.Floats == nil || e.Add != nil || e.SiLU {
		panic(fmt.Sprintf("conv: Depthwise: an end with %d floats, %d to add, SiLU %v", len(e.Floats), len(e.Add), e.SiLU))
	}
	taps, cp := d.Taps(), padded(d.C)
	dst, ld := e.Floats, e.Ld
	if d.M > 1 {
		work.row = mem.Sized(work.row, (r1-r0)*d.C)
		dst, ld = work.row, d.C
	}
	k := &work.depth
	n := (r1 - r0 + 3) &^ 3
	k.rows, k.apart, k.to, k.runs = mem.Sized(k.rows, n/4*taps), mem.Sized(k.apart, n*taps), k.to[:0], k.runs[:0]
	rows := k.rows
	place := func(p, step, r int, rows []unsafe.Pointer) { // one apart
		list := k.apart[len(k.to)/4*4*taps+len(k.to)%4:]
		for t, row := range rows {
			list[4*t] = unsafe.Add(row, p*step)
		}
		k.to = append(k.to, unsafe.Pointer(&dst[(r+p-r0)*ld]))
	}
	var a windowArgs
	windows(&d.Shape, x, begin, d.zeros, r0, r1, work, &a, func(r int) {
		whole := a.places &^ 3
		if whole > 0 {
			copy(rows, work.rows[:taps])
			k.runs = append(k.runs, depthRun{whole, unsafe.Pointer(&rows[0]), unsafe.Pointer(&dst[(r-r0)*ld])})
			rows = rows[taps:]
		}
		for p := whole; p < a.places; p++ {
			place(p, a.step, r, work.rows[:taps])
		}
	})
	for i := len(k.to); i%4 > 0; i++ { // the last once more
		for t := range taps {
			list := k.apart[i/4*4*taps+4*t:]
			list[i%4] = list[i%4-1]
		}
		k.to = append(k.to, k.to[i-1])
	}
	bound := 0
	if !math.IsInf(float64(e.Lo), -1) || !math.IsInf(float64(e.Hi), 1) {
		bound = 1
	}
	for m := range d.M {
		k.args = depthArgs{
			runs: unsafe.Pointer(unsafe.SliceData(k.runs)), count: len(k.runs), next: 0, left: 0, apart: unsafe.Pointer(unsafe.SliceData(k.apart)), to: unsafe.Pointer(unsafe.SliceData(k.to)), fours: len(k.to) / 4,
			taps: taps, w: &d.floats[m*taps*cp], bias: &d.bias[m*cp], skip: unsafe.Pointer(&d.zeros[0]),
			step: a.step, ldd: 4 * ld, ldw: 4 * cp, features: d.C, bound: bound, lo: e.Lo, hi: e.Hi,
		}
		d.level.depthFloats(&k.args)
		if d.M > 1 {
			for i, v := range dst {
				e.Floats[i/d.C*e.Ld+i%d.C*d.M+m] = v
			}
		}
	}
}
