package calibrate

import (
	"fmt"
	"slices"

	"qpt/kernels/elem"
	"qpt/kernels/linear"
)

// moments are the means over tokens of products of the inputs of linear
// layers: H = X^T X, and with the FP32 model's inputs Y the difference
// D = X^T (Y - X). X is [tokens, K]. Where the layer's result is added to a value of N
// channels, G = E^T X * tokens/(tokens+8K), E [tokens, N] what the FP32 model has there beyond the rounded one.
type moments struct {
	k, tokens int
	dead      int     // inputs that are 0 at every token
	wild      []int32 // columns that are not rounded
	h         matrix  // [K][K], above the diagonal only after finish
	d         matrix  // [K][K] or nil
	g         matrix  // [N][K] or nil

	// Means of X, Y and E, for the algorithm bias; else nil. finish takes them off: H, D and G are of X, Y and E less their means then.
	mean, exact, lack []float64

	// Transposed tokens that are not in the sums yet, [K][pending] of batch, and as integers.
	x, e          matrix
	gap           matrix // [N][pending]
	pending       int
	xs, es, lacks *integers
}

// batch is how many tokens are summed up in one product. Sums are over batches
// of the text as a whole, so they do not depend on how it is cut for add.
const batch = 512

// newMoments prepares for inputs of k channels; without cross there is no D, with gap 0 no G, without means there are none.
func newMoments(k int, cross bool, gap int, means bool) *moments {
	m := &moments{k: k, h: newMatrix(k, k), x: newMatrix(k, batch), xs: newIntegers(k)}
	if cross {
		m.d, m.e, m.es = newMatrix(k, k), newMatrix(k, batch), newIntegers(k)
	}
	if gap > 0 {
		m.g, m.gap, m.lacks = newMatrix(gap, k), newMatrix(gap, batch), newIntegers(gap)
	}
	if means {
		m.mean, m.exact, m.lack = make([]float64, k), make([]float64, k), make([]float64, gap)
	}
	return m
}

// addRows adds the rows of x to sum, token by token: how the text is cut makes no difference.
func addRows(sum []float64, x matrix, threads int) {
	tiles(threads, len(sum), 64, func(i0, i1 int) {
		for _, row := range x {
			for i, v := range row[i0:i1] {
				sum[i0+i] += float64(v)
			}
		}
	})
}

// add accumulates rows x [T][K], their counterparts y (nil without cross moments and means) and e [T][N] (nil without gap).
func (m *moments) add(x, y, e matrix, threads int) {
	if m.mean != nil {
		addRows(m.mean, x, threads)
		addRows(m.exact, y, threads)
		addRows(m.lack, e, threads)
	}
	for len(x) > 0 {
		n := min(len(x), batch-m.pending)
		to := m.pending
		tiles(threads, m.k, 64, func(i0, i1 int) {
			x[:n].view(0, n, i0, i1).transposed(m.x, i0, to)
			if m.d == nil {
				return
			}
			y[:n].view(0, n, i0, i1).transposed(m.e, i0, to)
			for i := i0; i < i1; i++ {
				e := m.e[i][to : to+n]
				elem.Sub(e, e, m.x[i][to:to+n])
			}
		})
		if m.g != nil {
			tiles(threads, len(m.g), 64, func(i0, i1 int) {
				e[:n].view(0, n, i0, i1).transposed(m.gap, i0, to)
			})
			e = e[n:]
		}
		m.tokens, m.pending, x = m.tokens+n, m.pending+n, x[n:]
		if m.d != nil {
			y = y[n:]
		}
		if m.pending == batch {
			m.flush(threads)
		}
	}
}

// flush adds the pending tokens to the sums.
func (m *moments) flush(threads int) {
	if m.pending == 0 {
		return
	}
	m.xs.set(m.x, m.pending, threads)
	addProducts(m.h, m.xs, m.xs, true, threads)
	if m.d != nil {
		m.es.set(m.e, m.pending, threads)
		addProducts(m.d, m.xs, m.es, false, threads)
	}
	if m.g != nil {
		m.lacks.set(m.gap, m.pending, threads)
		addProducts(m.g, m.lacks, m.xs, false, threads)
	}
	m.pending = 0
}

// integers is a batch of tokens, the values of each channel as int8 with a scale (numerics N3.1): rows and columns of a product.
type integers struct {
	rows    *linear.Acts   // [K][batch]
	columns *linear.Weight // the same
}

func newIntegers(k int) *integers {
	return &integers{linear.NewActs(linear.A8, k, batch).Reset(k), linear.NewWeight(linear.I8, k, batch, 0)}
}

// set takes the first n tokens of x [K][batch]; the others become zeros.
func (c *integers) set(x matrix, n, threads int) {
	tiles(threads, len(x), 64, func(i0, i1 int) {
		for i := i0; i < i1; i++ {
			clear(x[i][n:])
			c.rows.Quantize(i, i+1, x[i], batch)
		}
		c.rows.Columns(c.columns, i0/16, (i1+15)/16)
	})
}

// addProducts adds the products of rows of a with rows of b to c [rows of a][rows of b], or, with lower, to its tiles that are not above the diagonal.
func addProducts(c matrix, a, b *integers, lower bool, threads int) {
	y, _ := c.whole(len(c[0]))
	across := (len(c[0]) + tile - 1) / tile
	tiles(threads, (len(c)+tile-1)/tile*across, 1, func(t, _ int) {
		i0, j0 := t/across*tile, t%across*tile
		if lower && j0 > i0 {
			return
		}
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		i1, j1 := min(i0+tile, len(c)), min(j0+tile, len(c[0]))
		linear.LinearRows(linear.Sink{Y: y, Ld: len(c[0]), Add: y}, a.rows, i0, i1, b.columns, j0/16, (j1+15)/16, &s.linear)
	})
}

// finish completes the sums, mirrors the triangle and divides by the number of tokens.
func (m *moments) finish(threads int) {
	m.flush(threads)
	m.x, m.e, m.gap, m.xs, m.es, m.lacks = nil, nil, nil, nil, nil, nil
	inv := float32(1 / float64(max(m.tokens, 1)))
	tiles(threads, m.k, tile, func(i0, i1 int) {
		for i := i0; i < i1; i++ {
			for j := range m.h[i][:i1] {
				m.h[i][j] *= inv
			}
			if m.d != nil {
				for j := range m.d[i] {
					m.d[i][j] *= inv
				}
			}
		}
		for i := i0; i < i1; i++ {
			for j := i0; j < i; j++ {
				m.h[j][i] = m.h[i][j]
			}
		}
		m.h.view(i0, i1, 0, i0).transposed(m.h, 0, i0)
	})
	for i := range m.k {
		if m.h[i][i] == 0 {
			m.dead++
		}
	}
	m.centre(threads)
	// A fit of K inputs to few tokens promises more than it holds.
	shrink := float32(1 / float64(m.tokens+8*m.k))
	for _, row := range m.g {
		for j := range row {
			row[j] *= shrink
		}
	}
}

// centre takes the means off.
func (m *moments) centre(threads int) {
	if m.mean == nil {
		return
	}
	n := float64(max(m.tokens, 1))
	for _, sum := range [][]float64{m.mean, m.exact, m.lack} {
		for i := range sum {
			sum[i] /= n
		}
	}
	tiles(threads, m.k, tile, func(i0, i1 int) {
		for i := i0; i < i1; i++ {
			for j := range m.h[i] {
				m.h[i][j] -= float32(m.mean[i] * m.mean[j])
			}
			m.h[i][i] = max(m.h[i][i], 0)
			if m.d != nil {
				for j := range m.d[i] {
					m.d[i][j] -= float32(m.mean[i] * (m.exact[j] - m.mean[j]))
				}
			}
		}
	})
	for i, row := range m.g {
		for j := range row {
			row[j] -= float32(n * m.lack[i] * m.mean[j])
		}
	}
}

// diag is the mean square of each input.
func (m *moments) diag() []float32 {
	d := make([]float32, m.k)
	for i := range d {
		d[i] = m.h[i][i]
	}
	return d
}

// damped returns H + damp*mean(diag)*I, the mean without wild columns; inputs that are always 0 get 1 on the
// diagonal, so that they cost nothing and the matrix stays definite.
func (m *moments) damped(damp float64) matrix {
	a := newMatrix(m.k, m.k)
	mean := 0.0
	for i, row := range m.h {
		copy(a[i], row)
		if !slices.Contains(m.wild, int32(i)) {
			mean += float64(row[i]) / float64(m.k-len(m.wild))
		}
	}
	for i := range a {
		if a[i][i] == 0 {
			a[i][i] = 1
		}
		a[i][i] += float32(damp * mean)
	}
	return a
}

// feedback is that of the damped H, of columns in this order (nil: as they are). Where H is not definite, more damping makes it so, of which raised hears.
func (m *moments) feedback(damp float64, order []int, threads int, raised func(err error, damp float64)) (matrix, error) {
	for ; ; damp *= 10 {
		h := m.damped(damp)
		if order != nil {
			h = h.permuted(order, threads)
		}
		ut, err := feedback(h, threads)
		if err == nil {
			return ut, nil
		}
		if damp > 10 {
			return nil, fmt.Errorf("%w even with damping %g", err, damp)
		}
		raised(err, damp*10)
	}
}
