package calibrate

import (
	"fmt"
	"math"

	"qpt/internal/par"
)

// moments are the sums over tokens of the input of linear layers: XX = X^T X,
// and with a second input Y (the FP32 model's) YX = Y^T X. X is [tokens, K].
type moments struct {
	k, tokens int
	xx        []float64 // [K, K], the upper triangle is filled by finish
	yx        []float64 // [K, K] or nil
}

func newMoments(k int, cross bool) *moments {
	m := &moments{k: k, xx: make([]float64, k*k)}
	if cross {
		m.yx = make([]float64, k*k)
	}
	return m
}

// add accumulates rows x [T][K] and their counterparts y (nil without
// cross moments). Each entry is summed in the order of tokens: the result does
// not depend on threads.
func (m *moments) add(x, y [][]float32, threads int) {
	k := m.k
	m.tokens += len(x)
	const tile = 8
	par.For(threads, (k+tile-1)/tile, func(_, job int) {
		for i := job * tile; i < min(job*tile+tile, k); i++ {
			t := 0
			for ; t+4 <= len(x); t += 4 {
				axpy4(m.xx[i*k:i*k+i+1], x[t:t+4], x[t][i], x[t+1][i], x[t+2][i], x[t+3][i])
			}
			for ; t < len(x); t++ {
				axpy4(m.xx[i*k:i*k+i+1], [][]float32{x[t], x[t], x[t], x[t]}, x[t][i], 0, 0, 0)
			}
			if m.yx == nil {
				continue
			}
			for t = 0; t+4 <= len(x); t += 4 {
				axpy4(m.yx[i*k:(i+1)*k], x[t:t+4], y[t][i], y[t+1][i], y[t+2][i], y[t+3][i])
			}
			for ; t < len(x); t++ {
				axpy4(m.yx[i*k:(i+1)*k], [][]float32{x[t], x[t], x[t], x[t]}, y[t][i], 0, 0, 0)
			}
		}
	})
}

// axpy4 adds a0*x[0] + .. + a3*x[3] to dst.
func axpy4(dst []float64, x [][]float32, a0, a1, a2, a3 float32) {
	n := len(dst)
	x0, x1, x2, x3 := x[0][:n], x[1][:n], x[2][:n], x[3][:n]
	for j := range dst {
		dst[j] += float64(float32(a0*x0[j])+float32(a1*x1[j])) + float64(float32(a2*x2[j])+float32(a3*x3[j]))
	}
}

// finish mirrors the triangle and divides by the number of tokens.
func (m *moments) finish() {
	if m.tokens == 0 {
		return
	}
	inv := 1 / float64(m.tokens)
	for i := range m.k {
		for j := range i + 1 {
			v := m.xx[i*m.k+j] * inv
			m.xx[i*m.k+j], m.xx[j*m.k+i] = v, v
		}
	}
	for i := range m.yx {
		m.yx[i] *= inv
	}
}

// diag is the mean square of each input.
func (m *moments) diag() []float32 {
	d := make([]float32, m.k)
	for i := range d {
		d[i] = float32(m.xx[i*m.k+i])
	}
	return d
}

// damped returns XX + damp*mean(diag)*I; inputs that are always 0 get 1 on the
// diagonal, so that they cost nothing and the matrix stays definite.
func (m *moments) damped(damp float64) []float64 {
	a := append([]float64(nil), m.xx...)
	mean := 0.0
	for i := range m.k {
		mean += a[i*m.k+i] / float64(m.k)
	}
	for i := range m.k {
		if a[i*m.k+i] == 0 {
			a[i*m.k+i] = 1
		}
		a[i*m.k+i] += damp * mean
	}
	return a
}

// errNotDefinite is returned by cholesky.
var errNotDefinite = fmt.Errorf("matrix is not positive definite")

// cholesky replaces the lower triangle of a [n, n] by L with a = L L^T, and
// clears the upper one.
func cholesky(a []float64, n, threads int) error {
	const nb = 48
	for k := 0; k < n; k += nb {
		e := min(k+nb, n)
		for j := k; j < e; j++ { // diagonal block
			row := a[j*n+k : j*n+j]
			d := a[j*n+j] - dot(row, row)
			if !(d > 0) || math.IsInf(d, 0) {
				return errNotDefinite
			}
			d = math.Sqrt(d)
			a[j*n+j] = d
			for i := j + 1; i < e; i++ {
				a[i*n+j] = (a[i*n+j] - dot(a[i*n+k:i*n+j], row)) / d
			}
		}
		// Panel below, then what is right of it.
		par.For(threads, n-e, func(_, r int) {
			i := e + r
			for j := k; j < e; j++ {
				a[i*n+j] = (a[i*n+j] - dot(a[i*n+k:i*n+j], a[j*n+k:j*n+j])) / a[j*n+j]
			}
		})
		par.For(threads, n-e, func(_, r int) {
			i := n - 1 - r
			row := a[i*n+k : i*n+e]
			for j := e; j <= i; j++ {
				a[i*n+j] -= dot(row, a[j*n+k:j*n+e])
			}
		})
	}
	for i := range n {
		clear(a[i*n+i+1 : (i+1)*n])
	}
	return nil
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

// invertLower replaces L by its inverse.
func invertLower(l []float64, n, threads int) {
	// Column j of the inverse depends on L only; kept as row j of t (transposed).
	t := make([]float64, n*n)
	par.For(threads, n, func(_, j int) {
		x := t[j*n : (j+1)*n]
		x[j] = 1 / l[j*n+j]
		for i := j + 1; i < n; i++ {
			x[i] = -dot(l[i*n+j:i*n+i], x[j:i]) / l[i*n+i]
		}
	})
	for i := range n {
		for j := range n {
			l[i*n+j] = t[j*n+i]
		}
	}
}

// feedback returns the upper triangle U [K, K] with H^-1 = U^T U, GPTQ's
// error feedback matrix, as float32. With P the reversal of rows and columns,
// P H P = L L^T gives H^-1 = (P L^-1 P)^T (P L^-1 P), and P L^-1 P is upper: one
// Cholesky less than inverting H first.
func feedback(h []float64, k, threads int) ([]float32, error) {
	r := make([]float64, k*k)
	for i := range k {
		for j := range k {
			r[i*k+j] = h[(k-1-i)*k+k-1-j]
		}
	}
	if err := cholesky(r, k, threads); err != nil {
		return nil, err
	}
	invertLower(r, k, threads)
	u := make([]float32, k*k)
	for i := range k {
		for j := i; j < k; j++ {
			u[i*k+j] = float32(r[(k-1-i)*k+k-1-j])
		}
	}
	return u, nil
}

// solve returns b A^-1 for the rows b [N, K], given the Cholesky factor L of A.
func solve(l []float64, k int, b []float64, threads int) {
	par.For(threads, len(b)/k, func(_, n int) {
		x := b[n*k : (n+1)*k]
		for i := range k {
			x[i] = (x[i] - dot(l[i*k:i*k+i], x[:i])) / l[i*k+i]
		}
		for i := k - 1; i >= 0; i-- {
			x[i] /= l[i*k+i]
			for j, v := range l[i*k : i*k+i] {
				x[j] -= float64(v * x[i])
			}
		}
	})
}
