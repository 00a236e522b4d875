package ref

// chunkFloats is how much of a weight is held at a time: 4 MB.
const chunkFloats = 1 << 20

// blockFloats is how much of x is kept in the cache while weight rows pass: 512 KB.
const blockFloats = 1 << 17

// linear: y [M, N] = x [M, K] W [N, K]^T + bias, M over the rows of all sequences.
func (r *run) linear(weight, bias string, in, out []Tensor) error {
	n, k := r.params[weight].Shape[0], r.params[weight].Shape[1]
	b, err := r.read(bias)
	if err != nil {
		return err
	}
	var xs, ys [][]float32 // [M][K], [M][N]
	for s := range in {
		for i := range in[s].rows() {
			xs, ys = append(xs, in[s].Row(i)), append(ys, out[s].Row(i))
		}
	}
	chunk := min(n, max(1, chunkFloats/k))
	block := max(1, blockFloats/k)
	buf := make([]float32, chunk*k)
	for n0 := 0; n0 < n; n0 += chunk {
		rows := min(chunk, n-n0)
		w := buf[:rows*k] // [rows, K]
		if err := r.src.ReadRows(weight, n0, n0+rows, w); err != nil {
			return err
		}
		// A job is up to 8 weight rows against all of x.
		r.each((rows+7)/8, func(job int) {
			for m0 := 0; m0 < len(xs); m0 += block {
				for j := job * 8; j < min(job*8+8, rows); j += 2 {
					w0 := w[j*k : (j+1)*k]
					w1, odd := w0, j+1 == rows
					if !odd {
						w1 = w[(j+1)*k : (j+2)*k]
					}
					for m := m0; m < min(m0+block, len(xs)); m++ {
						y0, y1 := dot2(xs[m], w0, w1)
						ys[m][n0+j] = y0
						if !odd {
							ys[m][n0+j+1] = y1
						}
					}
				}
			}
			if b != nil {
				for _, y := range ys {
					for j := n0 + job*8; j < n0+min(job*8+8, rows); j++ {
						y[j] += b[j]
					}
				}
			}
		})
	}
	return nil
}

// dot2 returns x·w0 and x·w1: four partial sums each, of k mod 4, multiply
// then add (no FMA, so that every target gives the same bits), joined as
// (s0+s2)+(s1+s3).
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
