// Package linear computes linear layers: quantized ones as integers, float ones in float32.
//
// Pack a Weight once (quant.Quantizer, PutFloatRows, or slices of a mapped file, which must outlive
// their use), turn input rows into Acts of the scheme's form, and call Linear for the blocks of
// columns that are this worker's, with one Scratch a worker. List and Choose tell what runs.
//
//	var s linear.Scratch
//	linear.Linear(y, ldy, x, w, 0, w.Blocks(), linear.Epilogue{}, &s)
//
// Every kernel gives the bits of the twin (linear_generic.go), for any M, split of N and number of
// threads. What was measured is told by package kernels.
package linear

import (
	"fmt"
	"qpt/internal/num"
)

// Epilogue says what happens to a result after scale and bias.
type Epilogue struct {
	Add bool // y += result, the residual connection
}

// Scratch is the working memory of one worker. Its zero value is ready; it
// grows to what the largest call needs and is then reused without allocation.
type Scratch struct {
	panel []byte  // expanded weights
	c     []int32 // accumulators
	dot   dotArgs
	epi   epilogueArgs
	many  manyScratch
	float []float32 // sums of float layers
}

// Linear computes y[m*ldy+n] = sum over k of x[m, k] * W[n, k], plus bias, for
// all rows m of x and the columns n of blocks [b0, b1) of 16 (numerics N3.5,
// N5.3, N6.1, N6.2). Columns beyond w.N are not written. It panics, before the
// first write, when lengths or formats do not match. Integer kernels take up to
// four blocks at a time, so a layer is best split at multiples of four.
func Linear(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, ep Epilogue, s *Scratch) {
	checkLinear(y, ldy, x, w, b0, b1)
	if x.M == 0 || b0 == b1 {
		return
	}
	k := w.kernel(x.Form, x.M)
	if k == nil {
		panic(fmt.Sprintf("linear: Linear: no kernel for weights %s with inputs %s", w.Format, x.Form))
	}
	k.linear(y, ldy, x, w, b0, b1, ep, s)
}

func checkLinear(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int) {
	if err := w.Check(); err != nil {
		panic("linear: Linear: " + err.Error())
	}
	if err := x.Check(); err != nil {
		panic("linear: Linear: " + err.Error())
	}
	switch {
	case x.K != w.K:
		panic(fmt.Sprintf("linear: Linear: inputs have K = %d, weights %d", x.K, w.K))
	case b0 < 0 || b1 < b0 || b1 > w.Blocks():
		panic(fmt.Sprintf("linear: Linear: blocks [%d, %d) of %d", b0, b1, w.Blocks()))
	case x.M > 0 && b1 > b0 && (ldy < min(b1*16, w.N) || len(y) < (x.M-1)*ldy+min(b1*16, w.N)):
		panic(fmt.Sprintf("linear: Linear: output of length %d, stride %d for %d rows and columns up to %d", len(y), ldy, x.M, min(b1*16, w.N)))
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
		have = min(len(x.BF16), len(x.F32))
	case A8:
		have, rows = len(x.Hi), min(len(x.Scale), len(x.Zero))
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
