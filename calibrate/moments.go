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
	dead      int    // inputs that are 0 at every token
	h         matrix // [K][K], above the diagonal only after finish
	d         matrix // [K][K] or nil
	g         matrix // [N][K] or nil

	// Means of X, Y and E, for the algorithm bias; else nil. finish takes them off: H, D and G are of X, Y and E less their means then.
	mean, exact, lack []float64

	// Tokens that are not in the sums yet: of X, of Y - X, and of E.
	x, e, lacks *side
	pending     int
}

// batch is how many tokens are summed up in one product. Sums are over batches
// of the text as a whole, so they do not depend on how it is cut for add.
const batch = 512

// newMoments prepares for inputs of k channels; without cross there is no D, with gap 0 no G, without means there are none.
func newMoments(k int, cross bool, gap int, means bool) *moments {
	m := &moments{k: k, h: newMatrix(k, k), x: newSide(k)}
	m.x.columns = linear.NewWeight(linear.I8, k, batch, 0)
	if cross {
		m.d, m.e = newMatrix(k, k), newSide(k)
		m.e.columns = linear.NewWeight(linear.I8, k, batch, 0)
	}
	if gap > 0 {
		m.g, m.lacks = newMatrix(gap, k), newSide(gap)
	}
	if means {
		m.mean, m.exact, m.lack = make([]float64, k), make([]float64, k), make([]float64, gap)
	}
	return m
}

// addRows adds the rows of x, less those of y if it is given, to sum, token by token: how the text is cut makes no difference.
func addRows(sum []float64, x, y matrix, threads int) {
	tiles(threads, len(sum), 64, func(i0, i1 int) {
		for t, row := range x {
			for i, v := range row[i0:i1] {
				if y != nil {
					v -= y[t][i0+i]
				}
				sum[i0+i] += float64(v)
			}
		}
	})
}

// add accumulates rows x [T][K], their counterparts y (nil without cross moments and means), and, unless there is no gap, what the FP32 model and the rounded one have beside, [T][N].
func (m *moments) add(x, y, exact, rounded matrix, threads int) {
	if m.mean != nil {
		addRows(m.mean, x, nil, threads)
		addRows(m.exact, y, nil, threads)
		addRows(m.lack, exact, rounded, threads)
	}
	for t := 0; t < len(x); {
		n := min(len(x)-t, batch-m.pending)
		from, to := m.pending, m.pending+n
		eachChannels(threads, m.k, len(m.g), func(i0, i1 int) {
			m.x.put(x[t:t+n], i0, i1, from)
			if m.d != nil {
				m.e.put(y[t:t+n], i0, i1, from)
				for i := i0; i < i1; i++ {
					e := m.e.values[i][from:to]
					elem.Sub(e, e, m.x.values[i][from:to])
				}
			}
			if to == batch {
				m.x.round(i0, i1, to)
				m.e.round(i0, i1, to)
			}
		}, func(i0, i1 int) {
			s := scratches.Get().(*scratch)
			defer scratches.Put(s)
			if len(s.y) < 64*batch {
				s.y = make([]float32, 64*batch)
			}
			other := rowsOf(s.y[:(i1-i0)*batch], batch)
			m.lacks.put(exact[t:t+n], i0, i1, from)
			rounded[t:t+n].view(0, n, i0, i1).transposed(other, 0, 0)
			for i := i0; i < i1; i++ {
				e := m.lacks.values[i][from:to]
				elem.Sub(e, e, other[i-i0][:n])
			}
			if to == batch {
				m.lacks.round(i0, i1, to)
			}
		})
		m.tokens, m.pending, t = m.tokens+n, to, t+n
		if to == batch {
			m.sum(threads)
		}
	}
}

// eachChannels calls inputs for the ranges of k channels, and results for those of n.
func eachChannels(threads, k, n int, inputs, results func(i0, i1 int)) {
	const size = 64
	first := (k + size - 1) / size
	tiles(threads, first+(n+size-1)/size, 1, func(t, _ int) {
		if i := t * size; t < first {
			inputs(i, min(i+size, k))
		} else {
			i -= first * size
			results(i, min(i+size, n))
		}
	})
}

// flush adds the pending tokens to the sums.
func (m *moments) flush(threads int) {
	if m.pending == 0 {
		return
	}
	eachChannels(threads, m.k, len(m.g), func(i0, i1 int) {
		m.x.round(i0, i1, m.pending)
		m.e.round(i0, i1, m.pending)
	}, func(i0, i1 int) { m.lacks.round(i0, i1, m.pending) })
	m.sum(threads)
}

// sum adds the integers to the sums.
func (m *moments) sum(threads int) {
	list := []product{{m.h, m.x, m.x, true}}
	if m.d != nil {
		list = append(list, product{m.d, m.x, m.e, false})
	}
	if m.g != nil {
		list = append(list, product{m.g, m.lacks, m.x, false})
	}
	addProducts(list, threads)
	m.pending = 0
}

// side is a batch of tokens by channel, and the values of each channel as int8 with a scale (numerics N3.1): rows of a product, and, unless nil, columns.
type side struct {
	values  matrix // [K][batch]
	rows    *linear.Acts
	columns *linear.Weight
}

func newSide(k int) *side {
	return &side{values: newMatrix(k, batch), rows: linear.NewActs(linear.A8, k, batch).Reset(k)}
}

// put has channels i0 to i1 of tokens x from place at on.
func (c *side) put(x matrix, i0, i1, at int) { x.view(0, len(x), i0, i1).transposed(c.values, i0, at) }

// round makes the first n tokens of channels i0 to i1 integers, the others zeros; i0 is a multiple of 16, i1 too or the last. Nothing if c is nil.
func (c *side) round(i0, i1, n int) {
	if c == nil {
		return
	}
	for i := i0; i < i1; i++ {
		clear(c.values[i][n:])
		c.rows.Quantize(i, i+1, c.values[i], batch)
	}
	if c.columns != nil {
		c.rows.Columns(c.columns, i0/16, (i1+15)/16)
	}
}

// product is that of the rows of a with those of b, for c [rows of a][rows of b]; lower: what of it is not above the diagonal is enough.
type product struct {
	c     matrix
	a, b  *side
	lower bool
}

// addProducts adds them.
func addProducts(list []product, threads int) {
	type part struct {
		*product
		i0, i1, j0, j1 int
	}
	var parts []part
	for l := range list {
		p := &list[l]
		n, k := len(p.c), len(p.c[0])
		for i0 := 0; i0 < n; i0 += tile {
			i1 := min(i0+tile, n)
			for j0 := 0; j0 < k && !(p.lower && j0 >= i0); j0 += tile {
				parts = append(parts, part{p, i0, i1, j0, min(j0+tile, k)})
			}
			for i := i0; p.lower && i < i1; i += 64 {
				end := min(i+64, i1)
				parts = append(parts, part{p, i, end, i0, end})
			}
		}
	}
	tiles(threads, len(parts), 1, func(i, _ int) {
		p := parts[i]
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		ld := len(p.c[0])
		y, _ := p.c.whole(ld)
		linear.LinearRows(linear.Sink{Y: y, Ld: ld, Add: y}, p.a.rows, p.i0, p.i1, p.b.columns, p.j0/16, (p.j1+15)/16, &s.linear)
	})
}

// finish completes the sums, mirrors the triangle and divides by the number of tokens.
func (m *moments) finish(threads int) {
	m.flush(threads)
	m.x, m.e, m.lacks = nil, nil, nil
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

// damped returns H + damp*mean(diag)*I, the mean without wild columns, in this order; inputs that are always 0 get 1 on the
// diagonal, so that they cost nothing and the matrix stays definite.
func (m *moments) damped(damp float64, of columns, threads int) matrix {
	a := newMatrix(m.k, m.k)
	mean := 0.0
	for i, row := range m.h {
		copy(a[i], row)
		if !slices.Contains(of.wild, int32(i)) {
			mean += float64(row[i]) / float64(m.k-len(of.wild))
		}
	}
	for i := range a {
		if a[i][i] == 0 {
			a[i][i] = 1
		}
		a[i][i] += float32(damp * mean)
	}
	if of.order != nil {
		return a.permuted(of.order, threads)
	}
	return a
}

// feedback is that of the damped H, of columns in this order. Where H is not definite, more damping makes it so, of which raised hears.
func (m *moments) feedback(damp float64, of columns, threads int, raised func(err error, damp float64)) (matrix, error) {
	for ; ; damp *= 10 {
		ut, err := feedback(m.damped(damp, of, threads), threads)
		if err == nil {
			return ut, nil
		}
		if damp > 10 {
			return nil, fmt.Errorf("%w even with damping %g", err, damp)
		}
		raised(err, damp*10)
	}
}
