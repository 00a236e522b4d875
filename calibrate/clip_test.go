package calibrate

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"qpt/kernels/linear"
)

// groupNoise is d^T H_gg d of group g of row n, in the coordinates of the weight.
func groupNoise(w matrix, d matrix, m *moments, n, g0, g1 int) (sum float64) {
	for i := g0; i < g1; i++ {
		for j := g0; j < g1; j++ {
			sum += float64(w[n][i]-d[n][i]) * float64(m.h[i][j]) * float64(w[n][j]-d[n][j])
		}
	}
	return sum
}

// No group adds more error to the outputs than with the groups chosen by the
// diagonal, with channel scales or without; many add less. And it is what GPTQ in act-order starts from.
func TestClip(t *testing.T) {
	const n, k, tokens, group = 40, 172, 400, 32
	r := rand.New(rand.NewPCG(11, 12))
	w := newMatrix(n, k)
	for _, row := range w {
		for i := range row {
			row[i] = float32(r.NormFloat64() * 0.05)
			if r.IntN(20) == 0 {
				row[i] *= 4
			}
		}
	}
	x := inputs(r, tokens, k)
	for _, row := range x { // neighbours have much in common
		common := float32(r.NormFloat64())
		for i := range row {
			row[i] += common
		}
	}
	m := newMoments(k, false, 0, false)
	m.add(x, nil, nil, nil, 2)
	m.finish(2)
	scales := make([]float32, k)
	for i := range scales {
		scales[i] = 0.5 + r.Float32()
	}
	for _, s := range [][]float32{nil, scales} {
		j := job{w: w, k: k, format: linear.I4, group: group, diag: m.diag(), h: m.h, s: s, threads: 2}
		plain := j.round()
		j.clip = true
		clipped := j.round()
		if err := clipped.Check(); err != nil {
			t.Fatal(err)
		}
		original := func(p *linear.Weight) matrix {
			d := dequantize(p)
			for _, row := range d {
				for i := range s {
					row[i] /= s[i]
				}
			}
			return d
		}
		a, b := original(plain), original(clipped)
		var before, after float64
		for i := range w {
			if plain.Scale[i] != clipped.Scale[i] {
				t.Fatalf("row %d has another scale", i)
			}
			for g0 := 0; g0 < k; g0 += group {
				x, y := groupNoise(w, a, m, i, g0, min(g0+group, k)), groupNoise(w, b, m, i, g0, min(g0+group, k))
				if y > x*(1+1e-4)+1e-9 {
					t.Errorf("row %d, group at %d: error %v, was %v", i, g0, y, x)
				}
				before, after = before+x, after+y
			}
		}
		t.Logf("error of the groups %.4g, clipped %.4g", before, after)
		if after > 0.9*before {
			t.Errorf("error of the groups %v, clipped %v", before, after)
		}
		var err error
		of := columns{}.byImportance(m.diag())
		if j.ut, err = feedback(m.damped(0.01, of, 2), 2); err != nil {
			t.Fatal(err)
		}
		if j.columns = of; !bytes.Equal(j.round().Groups, clipped.Groups) {
			t.Error("act-order has other groups")
		}
	}
}
