package calibrate

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"qpt/kernels"
)

// outputNoise is the sum over rows of (w-q) H (w-q)^T.
func outputNoise(w []float32, q *kernels.Weight, m *moments) (sum float64) {
	got := dequantize(q)
	k := m.k
	d := make([]float64, k)
	for n := range q.N {
		for i := range k {
			d[i] = float64(w[n*k+i] - got[n*k+i])
		}
		for i := range k {
			sum += d[i] * dot(m.xx[i*k:(i+1)*k], d)
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
		format       kernels.Format
		group        int
	}{{35, 100, 400, kernels.I4, 32}, {16, 130, 400, kernels.I8, 0}, {20, 64, 10, kernels.I4, 16}, {17, 172, 300, kernels.I4, 128}} {
		w := make([]float32, c.n*c.k)
		for i := range w {
			if i/c.k != 3 { // row 3 is zero
				w[i] = float32(r.NormFloat64()) * 0.05
			}
		}
		x := inputs(r, c.tokens, c.k)
		for _, row := range x {
			row[1] = 0 // a dead input
		}
		m := newMoments(c.k, false)
		m.add(x, nil, 2)
		m.finish()
		u, err := feedback(m.damped(0.01), c.k, 2)
		if err != nil {
			t.Fatal(err)
		}
		h := make([]float32, len(m.xx))
		for i, v := range m.xx {
			h[i] = float32(v)
		}
		j := job{w: w, n: c.n, k: c.k, format: c.format, group: c.group, diag: m.diag(), threads: 2}
		nearest := outputNoise(w, j.round(), m)
		j.u = u
		fed := outputNoise(w, j.round(), m)
		j.h, j.sweeps = h, 4
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
		kernels.Row(packed, 3, codes)
		for k, v := range codes {
			if v != 0 {
				t.Errorf("%v: zero row has code %d at %d", c, v, k)
				break
			}
		}
	}
}
