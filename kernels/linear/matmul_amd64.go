//go:build !purego

package linear

import (
	"sync"

	"qpt/internal/cpu"
	"qpt/kernels/internal/mem"
)

//go:noescape
func matmulAVX512(t *float32, k int, x, y *[matmulRows]*float32)

// MatMul returns a function for ref.Options.Dot: the bits of the plain loop
// there (numerics N6.5) at the speed of AVX-512 or AVX2, or nil where both are missing.
// It sets y[m][n0+j] to x[m]·w[j] for the rows of w [rows, K].
func MatMul() func(y [][]float32, n0 int, x [][]float32, w []float32) {
	switch isa := cpu.Active(); {
	case isa >= cpu.AVX512:
		return matmul
	case isa >= cpu.AVX2:
		return matmul256
	}
	return nil
}

// panels are the transposed rows of w.
var panels = sync.Pool{New: func() any { return new([]float32) }}

// Rows of w go in panels of 16, and 4 panels pass over a block of x of 512 KB
// that stays in the second level cache: 170 to 180 GFLOPS a core for 4096 rows of x,
// where every panel by itself reading all of x gets 100 to 120.
const (
	matmulRows   = 6 // of x, in one call of assembly
	matmulPanels = 4
	matmulFloats = 1 << 17
)

func matmul(y [][]float32, n0 int, x [][]float32, w []float32) {
	if len(x) == 0 || len(w) == 0 {
		return
	}
	k := len(x[0])
	p := panels.Get().(*[]float32)
	defer panels.Put(p)
	if cap(*p) < k*16*matmulPanels {
		*p = make([]float32, k*16*matmulPanels)
	}
	block := max(1, matmulFloats/k/matmulRows) * matmulRows
	for ; len(w) > 0; n0 += 16 * matmulPanels {
		n := min(16*matmulPanels, len(w)/k)
		for j := 0; j < n; j += 16 {
			r := min(16, n-j)
			mem.Transpose((*p)[j*k:(j+16)*k], w[j*k:(j+r)*k], r)
		}
		for m0 := 0; m0 < len(x); m0 += block {
			m1 := min(m0+block, len(x))
			for j := 0; j < n; j += 16 {
				for m := m0; m < m1; m += matmulRows {
					someRows((*p)[j*k:(j+16)*k], x[m:min(m+matmulRows, m1)], y[m:], n0+j, min(16, n-j))
				}
			}
		}
		w = w[n*k:]
	}
}

// someRows is up to 6 rows of x times up to 16 rows of w. It is not inlined:
// its prologue is where the collector can stop the loop.
//
//go:noinline
func someRows(t []float32, x, y [][]float32, n0, r int) {
	var out [matmulRows][16]float32
	var xp, yp [matmulRows]*float32
	for i := range matmulRows {
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
