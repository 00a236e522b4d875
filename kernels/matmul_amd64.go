//go:build !purego

package kernels

import (
	"sync"

	"qpt/internal/cpu"
)

//go:noescape
func matmulAVX512(t *float32, k int, x, y *[4]*float32)

// MatMul returns a function for ref.Options.Dot: the bits of the plain loop
// there (numerics N6.5) at the speed of AVX-512, or nil where that is missing.
// It sets y[m][n0+j] to x[m]·w[j] for the rows of w [rows, K].
func MatMul() func(y [][]float32, n0 int, x [][]float32, w []float32) {
	if cpu.Active() < cpu.AVX512 {
		return nil
	}
	return matmul
}

// panels are the transposed rows of w.
var panels = sync.Pool{New: func() any { return new([]float32) }}

func matmul(y [][]float32, n0 int, x [][]float32, w []float32) {
	if len(x) == 0 || len(w) == 0 {
		return
	}
	k := len(x[0])
	p := panels.Get().(*[]float32)
	defer panels.Put(p)
	if cap(*p) < k*16 {
		*p = make([]float32, k*16)
	}
	t := (*p)[:k*16]
	for ; len(w) > 0; n0 += 16 {
		r := min(16, len(w)/k)
		transpose(t, w[:r*k], r)
		for m := 0; m < len(x); m += 4 {
			fourRows(t, x[m:min(m+4, len(x))], y[m:], n0, r)
		}
		w = w[r*k:]
	}
}

// fourRows is up to 4 rows of x times up to 16 rows of w. It is not inlined:
// its prologue is where the collector can stop the loop.
//
//go:noinline
func fourRows(t []float32, x, y [][]float32, n0, r int) {
	var out [4][16]float32
	var xp, yp [4]*float32
	for i := range 4 {
		m := min(i, len(x)-1)
		xp[i], yp[i] = &x[m][:len(t)/16][0], &out[i][0]
		if i == m && r == 16 {
			yp[i] = &y[m][n0 : n0+16][0]
		}
	}
	matmulAVX512(&t[0], len(t)/16, &xp, &yp)
	if r < 16 {
		for i := range x {
			copy(y[i][n0:n0+r], out[i][:r])
		}
	}
}
