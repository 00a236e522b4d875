package ref

import (
	"slices"
	"sync"

	"qpt/format/graph"
)

func init() {
	Register(func(c *Call, op graph.Linear) error {
		var xs, ys [][]float32 // [M][K], [M][N]
		for s, in := range c.In[0] {
			for i := range in.Rows() {
				xs, ys = append(xs, in.Row(i)), append(ys, c.Out[0][s].Row(i))
			}
		}
		return c.linear(c.Node.Params[0], c.Node.Params[1], xs, ys)
	})
}

// chunkFloats is how much of a weight is held at a time: 4 MB.
const chunkFloats = 1 << 20

// chunks are what linear reads into: zeroing 4 MB for each layer is a good part of a pass of few rows.
var chunks = sync.Pool{New: func() any { return new([2][]float32) }}

// blockFloats is how much of x is kept in the cache while weight rows pass: 512 KB.
const blockFloats = 1 << 17

// linear: ys [M][N] = xs [M][K] W [N, K]^T + bias.
func (r *run) linear(weight, bias string, xs, ys [][]float32) error {
	n, k := r.params[weight].Shape[0], r.params[weight].Shape[1]
	b, err := r.param(bias)
	if err != nil {
		return err
	}
	if r.fast.Linear != nil {
		if err := r.fast.Linear(weight, ys, xs); err != nil || b == nil {
			return err
		}
		const rows = 32
		r.each((len(ys)+rows-1)/rows, func(job int) {
			for _, y := range ys[job*rows : min(job*rows+rows, len(ys))] {
				for j, v := range b {
					y[j] += v
				}
			}
		})
		return nil
	}
	chunk := min(n, max(1, chunkFloats/k))
	read := make(chan error, 1)
	start := func(n0 int, w []float32) { // reads the rows from n0 on
		go func() { read <- r.src.ReadRows(weight, n0, n0+len(w)/k, w) }()
	}
	both := chunks.Get().(*[2][]float32)
	defer chunks.Put(both)
	w, next := slices.Grow(both[0][:0], chunk*k)[:chunk*k], both[1] // [chunk, K]
	start(0, w)
	for n0 := 0; n0 < n; n0 += chunk {
		if err := <-read; err != nil {
			return err
		}
		if n1 := n0 + chunk; n1 < n {
			next = slices.Grow(next[:0], chunk*k)[:min(chunk, n-n1)*k]
			start(n1, next)
		}
		have := len(w) / k
		rows := max(64, ((have+r.threads-1)/r.threads+15)&^15)
		r.each((have+rows-1)/rows, func(job int) {
			j0, j1 := job*rows, min(job*rows+rows, have)
			r.dot(ys, n0+j0, xs, w[j0*k:j1*k])
			if b != nil {
				for _, y := range ys {
					for j := n0 + j0; j < n0+j1; j++ {
						y[j] += b[j]
					}
				}
			}
		})
		w, next = next, w
		both[0], both[1] = w, next
	}
	return nil
}

// Dot is the plain loop of Options.Dot: y[m][n0+j] = x[m]·w[j] for the rows of
// w [rows, K], two at a time, x in blocks that stay in the cache.
func Dot(y [][]float32, n0 int, x [][]float32, w []float32) {
	if len(x) == 0 {
		return
	}
	k := len(x[0])
	block := max(1, blockFloats/k)
	for m0 := 0; m0 < len(x); m0 += block {
		for j := 0; j < len(w); j += 2 * k {
			w0 := w[j : j+k]
			w1, odd := w0, j+k == len(w)
			if !odd {
				w1 = w[j+k : j+2*k]
			}
			for m := m0; m < min(m0+block, len(x)); m++ {
				y0, y1 := dot2(x[m], w0, w1)
				y[m][n0+j/k] = y0
				if !odd {
					y[m][n0+j/k+1] = y1
				}
			}
		}
	}
}

// dot2 returns x·w0 and x·w1 (numerics N6.5): four partial sums each, of k mod 4,
// the last K mod 8 products in the first of them, multiply then add (no FMA,
// so that every target gives the same bits), joined as (s0+s2)+(s1+s3).
func dot2(x, w0, w1 []float32) (float32, float32) {
	var a0, a1, a2, a3, b0, b1, b2, b3 float32
	n := len(x)
	w0, w1 = w0[:n], w1[:n]
	k := 0
	for ; k+8 <= n; k += 8 {
		x, p, q := x[k:k+8:k+8], w0[k:k+8:k+8], w1[k:k+8:k+8]
		a0 += float32(x[0] * p[0])
		b0 += float32(x[0] * q[0])
		a1 += float32(x[1] * p[1])
		b1 += float32(x[1] * q[1])
		a2 += float32(x[2] * p[2])
		b2 += float32(x[2] * q[2])
		a3 += float32(x[3] * p[3])
		b3 += float32(x[3] * q[3])
		a0 += float32(x[4] * p[4])
		b0 += float32(x[4] * q[4])
		a1 += float32(x[5] * p[5])
		b1 += float32(x[5] * q[5])
		a2 += float32(x[6] * p[6])
		b2 += float32(x[6] * q[6])
		a3 += float32(x[7] * p[7])
		b3 += float32(x[7] * q[7])
	}
	for ; k < n; k++ {
		a0 += float32(x[k] * w0[k])
		b0 += float32(x[k] * w1[k])
	}
	return (a0 + a2) + (a1 + a3), (b0 + b2) + (b1 + b3)
}
