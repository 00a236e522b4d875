package calibrate

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"qpt/kernels/linear"
)

// outputNoise is the sum over rows of (w-q) H (w-q)^T.
func outputNoise(w matrix, q *linear.Weight, m *moments) (sum float64) {
	d := dequantize(q)
	for n, row := range d {
		for i := range row {
			row[i] = w[n][i] - row[i]
		}
		for i, v := range row {
			for j, u := range row {
				sum += float64(v) * float64(m.h[i][j]) * float64(u)
			}
		}
	}
	return sum
}

// Each step must lessen the error of the outputs, for both formats, ragged
// shapes, dead inputs, zero rows, and fewer tokens than inputs.
func TestRoundingLessensOutputError(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		n, k, tokens int
		format       linear.Format
		group        int
	}{{35, 100, 400, linear.I4, 32}, {16, 130, 400, linear.I8, 0}, {20, 64, 10, linear.I4, 16}, {17, 172, 300, linear.I4, 128}} {
		w := newMatrix(c.n, c.k)
		for n, row := range w {
			for i := range row {
				if n != 3 { // row 3 is zero
					row[i] = float32(r.NormFloat64()) * 0.05
				}
			}
		}
		x := inputs(r, c.tokens, c.k)
		for _, row := range x {
			row[1] = 0 // a dead input
		}
		m := newMoments(c.k, false, 0, false)
		m.add(x, nil, nil, nil, 2)
		m.finish(2)
		u, err := feedback(m.damped(0.01, columns{}, 2), 2)
		if err != nil {
			t.Fatal(err)
		}
		j := job{w: w, k: c.k, format: c.format, group: c.group, diag: m.diag(), threads: 2}
		nearest := outputNoise(w, j.round(), m)
		j.ut = u
		fed := outputNoise(w, j.round(), m)
		j.h, j.sweeps = m.h, 4
		packed := j.round()
		moved := outputNoise(w, packed, m)
		t.Logf("%d x %d: %.4g, with feedback %.4g, with descent %.4g", c.n, c.k, nearest, fed, moved)
		if fed > 0.8*nearest || moved > 0.97*fed {
			t.Errorf("%v: error %v, with feedback %v, with descent %v", c, nearest, fed, moved)
		}
		j.threads = 1
		if again := j.round(); !bytes.Equal(again.Data, packed.Data) || !bytes.Equal(again.Groups, packed.Groups) {
			t.Errorf("%v: another number of threads, other codes", c)
		}
		if err := packed.Check(); err != nil {
			t.Error(err)
		}
		codes := make([]int8, c.k)
		linear.Row(packed, 3, codes)
		for k, v := range codes {
			if v != 0 {
				t.Errorf("%v: zero row has code %d at %d", c, v, k)
				break
			}
		}
	}
}
