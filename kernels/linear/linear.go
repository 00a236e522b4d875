// Package linear computes linear layers: quantized ones as integers, float ones in float32.
//
// Pack a Weight once (quant.Quantizer, PutFloatRows, or slices of a mapped file, which must outlive
// their use), turn input rows into Acts of the scheme's form, and call Linear for the blocks of
// columns that are this worker's, with one Scratch a worker. List and Choose tell what runs.
//
//	var s linear.Scratch
//	linear.Linear(linear.Sink{Y: y, Ld: ldy}, x, w, 0, w.Blocks(), &s)
//
// Every kernel gives the bits of the twin (linear_generic.go), for any M, split of N and number of
// threads. What was measured is told by package kernels.
package linear

import (
	"fmt"

	"qpt/internal/num"
)

// Scratch is the working memory of one worker. Its zero value is ready; it
// grows to what the largest call needs and is then reused without allocation.
type Scratch struct {
	panel  []byte  // expanded weights
	c      []int32 // accumulators
	dot    dotArgs
	epi    epilogueArgs
	whole  wholeArgs
	many   manyScratch
	panels panelCall
	float  []float32 // sums of float layers
	pairs  []uint16  // rows of bfloat16, packed
	wide   []float32 // the same as float32, for kernels without their products
	coded  codedScratch
	part   Acts      // the rows of a call of a kernel
	wild   []float32 // what wild columns give
	wilds  wildArgs
	// For sinks: a tile of results, and one of the gate's.
	tile, gate []float32
}

// Linear computes x[m, k] * W[n, k], summed over k, plus bias, for all rows m of x and the columns n of
// blocks [b0, b1) of 16 (numerics N3.5, N5.3, N6.1, N6.2), and sends it to a sink, places of columns
// beyond w.N left alone. It panics, before the first write, when lengths or formats do not match. Integer kernels take
// up to four blocks at a time, so a layer is best split at multiples of four.
func Linear(to Sink, x *Acts, w *Weight, b0, b1 int, s *Scratch) {
	LinearRows(to, x, 0, x.M, w, b0, b1, s)
}

// LinearRows is Linear for rows [m0, m1) of x, whose results go to the same rows of the sink's. Cores that share out a layer do
// best with passes of PassRows.
func LinearRows(to Sink, x *Acts, m0, m1 int, w *Weight, b0, b1 int, s *Scratch) {
	checkLinear(&to, x, w, b0, b1)
	if m0 < 0 || m1 < m0 || m1 > x.M {
		panic(fmt.Sprintf("linear: rows %d to %d of %d", m0, m1, x.M))
	}
	k := w.mustKernel(x)
	switch {
	case m0 == m1 || b0 == b1:
	case k.sink != nil && (to.Gate == nil || to.Gate.mustKernel(x).sink != nil):
		k.sink(to, x, m0, m1, w, b0, b1, s)
	case to.plain():
		s.part = x.Sub(m0, m1)
		k.linear(to.Y[m0*to.Ld+16*b0:], to.Ld, &s.part, w, b0, b1, to.Add != nil, s)
	default:
		to.tiles(x, m0, m1, w, b0, b1, s)
	}
}

// PassRows is how many rows of x a layer takes at a time: as many as stay in a core's caches while all columns go by.
func PassRows(x *Acts, w *Weight) int { return w.mustKernel(x).rows(x, w) }

// mustKernel is the kernel for the rows x.
func (w *Weight) mustKernel(x *Acts) *Kernel {
	k := w.kernel(x.Form, x.M)
	if k == nil {
		panic(fmt.Sprintf("linear: Linear: no kernel for weights %s with inputs %s", w.Format, x.Form))
	}
	return k
}

func checkLinear(to *Sink, x *Acts, w *Weight, b0, b1 int) {
	err := w.Check()
	if err == nil {
		err = x.Check()
	}
	switch {
	case err != nil:
	case x.For != w.Rows():
		err = fmt.Errorf("inputs are not made for these weights: NewActsFor makes room for them")
	case x.K != w.K:
		err = fmt.Errorf("inputs have K = %d, weights %d", x.K, w.K)
	case b0 < 0 || b1 < b0 || b1 > w.Blocks():
		err = fmt.Errorf("blocks [%d, %d) of %d", b0, b1, w.Blocks())
	case x.M > 0 && b1 > b0:
		err = to.check(x, w, b1)
	}
	if err != nil {
		panic("linear: Linear: " + err.Error())
	}
}

// Check tells whether the planes hold what Form, M, K and Stride demand.
func (x *Acts) Check() error {
	if x.M < 0 || x.K <= 0 || x.Stride < num.Pad(x.K, 64) {
		return fmt.Errorf("inputs [%d, %d]: row stride %d, must be at least %d", x.M, x.K, x.Stride, num.Pad(x.K, 64))
	}
	if x.M == 0 {
		return nil
	}
	need := (x.M-1)*x.Stride + num.Pad(x.K, 64)
	have, rows := need, x.M
	switch x.Form {
	case AF32:
		have = len(x.F32)
	case ABF16:
		have = len(x.BF16)
	case A8:
		have, rows = len(x.Hi), min(len(x.Scale), len(x.Zero))
		if x.For.Wilds > 0 {
			rows = min(rows, len(x.Wild)/x.For.Wilds)
		}
	case A24:
		have, rows = len(x.Hi)/x.width(), min(len(x.Scale), len(x.Sums)/x.groups())
	case A16:
		have, rows = min(len(x.Hi), len(x.Lo)), len(x.Scale)
	default:
		return fmt.Errorf("inputs of form %d are unknown", x.Form)
	}
	if have < need || rows < x.M {
		return fmt.Errorf("inputs [%d, %d] of form %d: planes of length %d, must be %d; scales for %d rows", x.M, x.K, x.Form, have, need, rows)
	}
	return nil
}
