package calibrate

import (
	"errors"
	"math"
	"slices"
	"sync"

	"qpt/internal/par"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// matrix is a list of rows of equal length. All products of matrices are those of the
// FP32 executor's linear layers (numerics N6.5): equal bits on every ISA
// level, by AVX-512 or AVX2 where there is one.
type matrix [][]float32

func newMatrix(n, k int) matrix {
	if k == 0 {
		return make(matrix, n)
	}
	return rowsOf(make([]float32, n*k), k)
}

// rowsOf is data as rows of length k.
func rowsOf(data []float32, k int) matrix {
	m := make(matrix, len(data)/k)
	for i := range m {
		m[i] = data[i*k : (i+1)*k]
	}
	return m
}

// view is rows i0 to i1, columns k0 to k1.
func (m matrix) view(i0, i1, k0, k1 int) matrix {
	v := make(matrix, i1-i0)
	for i := range v {
		v[i] = m[i0+i][k0:k1]
	}
	return v
}

// transposed puts the transpose of m into t, as newMatrix made it, from row i0 and column j0 on.
func (m matrix) transposed(t matrix, i0, j0 int) {
	if len(m) == 0 || len(m[0]) == 0 {
		return
	}
	ld := len(t[0])
	linear.Transpose(t[0][:len(t)*ld][i0*ld+j0:], ld, m)
}

// whole returns the rows of length k as one slice if they lie one after another in memory.
func (m matrix) whole(k int) (data []float32, ok bool) {
	if cap(m[0]) < len(m)*k {
		return nil, false
	}
	data = m[0][:len(m)*k]
	for i, row := range m {
		if &row[0] != &data[i*k] {
			return nil, false
		}
	}
	return data, true
}

// tile is the rows and columns of a product that are computed at a time.
const tile = 256

// tiles calls f for the ranges of n in steps of size.
func tiles(threads, n, size int, f func(i0, i1 int)) {
	par.For(threads, (n+size-1)/size, func(_, t int) { f(t*size, min(t*size+size, n)) })
}

// scratch is what products need: rows of b in one piece, and a product.
type scratch struct {
	b, y   []float32
	linear linear.Scratch
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// MatMul is ref.Dot (numerics N6.5) as fast as this machine has it.
func MatMul(y [][]float32, n0 int, x [][]float32, w []float32) {
	if fast := linear.MatMul(); fast != nil {
		fast(y, n0, x, w)
		return
	}
	ref.Dot(y, n0, x, w)
}

// addProduct adds sign * a[i]·b[j] to c[i][j]; sign is 1 or -1.
func addProduct(c, a, b matrix, sign float32) {
	if len(a) == 0 || len(b) == 0 || len(a[0]) == 0 {
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	k := len(a[0])
	for j0 := 0; j0 < len(b); j0 += tile {
		j1 := min(j0+tile, len(b))
		w, ok := b[j0:j1].whole(k)
		if !ok {
			s.b = s.b[:0]
			for _, row := range b[j0:j1] {
				s.b = append(s.b, row[:k]...)
			}
			w = s.b
		}
		for i0 := 0; i0 < len(a); i0 += tile {
			rows := a[i0:min(i0+tile, len(a))]
			if n := len(rows) * (j1 - j0); len(s.y) < n {
				s.y = make([]float32, n)
			}
			y := rowsOf(s.y[:len(rows)*(j1-j0)], j1-j0)
			MatMul(y, 0, rows, w)
			for i, row := range y {
				sum := c[i0+i][j0:j1]
				if sign < 0 {
					elem.Sub(sum, sum, row)
				} else {
					elem.Add(sum, sum, row)
				}
			}
		}
	}
}

// errNotDefinite is returned by cholesky.
var errNotDefinite = errors.New("matrix is not positive definite")

// span is the width of a block column of the factorizations.
const span = 128

// cholesky replaces the lower triangle of a [n][n] by L, a = L L^T, and
// clears the upper one. It returns the inverses of L's diagonal blocks, [span][span] each but the
// last. Block columns from left to right: what is left of them is subtracted in one product, the
// diagonal block is factored in float64, and the rows below are multiplied by its inverse.
func cholesky(a matrix, threads int) (inverses []matrix, err error) {
	n := len(a)
	for k := 0; k < n; k += span {
		e := min(k+span, n)
		tiles(threads, n-k, tile, func(i0, i1 int) {
			addProduct(a.view(k+i0, k+i1, k, e), a.view(k+i0, k+i1, 0, k), a.view(k, e, 0, k), -1)
		})
		inv, err := factor(a.view(k, e, k, e))
		if err != nil {
			return nil, err
		}
		inverses = append(inverses, inv)
		tiles(threads, n-e, tile, func(i0, i1 int) {
			below := a.view(e+i0, e+i1, k, e)
			t := newMatrix(len(below), e-k)
			addProduct(t, below, inv, 1)
			for i, row := range t {
				copy(below[i], row)
			}
		})
		for i := k; i < e; i++ {
			clear(a[i][i+1:])
		}
	}
	return inverses, nil
}

// factor is cholesky of one block, and the inverse of its L.
func factor(a matrix) (inverse matrix, err error) {
	n := len(a)
	l, x := make([]float64, n*n), make([]float64, n*n) // x: the inverse, transposed
	for i, row := range a {
		for j := range i + 1 {
			s := float64(row[j]) - dot(l[i*n:i*n+j], l[j*n:j*n+j])
			if j < i {
				l[i*n+j] = s / l[j*n+j]
				continue
			}
			if !(s > 0) || math.IsInf(s, 0) {
				return nil, errNotDefinite
			}
			l[i*n+i] = math.Sqrt(s)
		}
	}
	inverse = newMatrix(n, n)
	for j := range n {
		x[j*n+j] = 1 / l[j*n+j]
		for i := j + 1; i < n; i++ {
			x[j*n+i] = -dot(l[i*n+j:i*n+i], x[j*n+j:j*n+i]) / l[i*n+i]
		}
		for i := j; i < n; i++ {
			inverse[i][j] = float32(x[j*n+i])
			a[i][j] = float32(l[i*n+j])
		}
	}
	return inverse, nil
}

// dot is the product of two vectors in four partial sums.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i] * b[i])
		s1 += float64(a[i+1] * b[i+1])
		s2 += float64(a[i+2] * b[i+2])
		s3 += float64(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i] * b[i])
	}
	return (s0 + s2) + (s1 + s3)
}

// invertLower returns the transpose of L^-1 [n][n]; inverses are those of
// L's diagonal blocks. Columns from left to right: with X = L^-1,
// X[i, j] = -inverse[i] (L[i, j:i] X[j:i, j]) for blocks i > j.
func invertLower(l matrix, inverses []matrix, threads int) matrix {
	n := len(l)
	t := newMatrix(n, n)
	for b, inv := range inverses {
		i0, i1 := b*span, b*span+len(inv)
		tiles(threads, i0, tile, func(j0, j1 int) {
			s := newMatrix(j1-j0, i1-i0)
			addProduct(s, t.view(j0, j1, j0, i0), l.view(i0, i1, j0, i0), 1)
			addProduct(t.view(j0, j1, i0, i1), s, inv, -1)
		})
		for i, row := range inv {
			for j, v := range row[:i+1] {
				t[i0+j][i0+i] = v
			}
		}
	}
	return t
}

// feedback returns U^T [K][K], U the upper triangle with H^-1 = U^T U: the
// error feedback matrix of GPTQ. With P the reversal of rows and columns,
// P H P = L L^T gives H^-1 = (P L^-1 P)^T (P L^-1 P), and P L^-1 P is upper: one
// Cholesky less than inverting H first. h is used up.
func feedback(h matrix, threads int) (ut matrix, err error) {
	h.reverse(threads)
	inverses, err := cholesky(h, threads)
	if err != nil {
		return nil, err
	}
	ut = invertLower(h, inverses, threads)
	ut.reverse(threads)
	return ut, nil
}

// reverse turns rows and columns round.
func (m matrix) reverse(threads int) {
	slices.Reverse(m)
	tiles(threads, len(m), 16, func(i0, i1 int) {
		for _, row := range m[i0:i1] {
			slices.Reverse(row)
		}
	})
}
