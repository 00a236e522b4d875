package calibrate

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/kernels/linear"
)

// Where the inputs' mean squares rise along K, plain GPTQ rounds those that
// matter most last, with nothing left to make up for it; act-order does not.
func TestActOrder(t *testing.T) {
	const n, k, tokens = 48, 128, 512
	r := rand.New(rand.NewPCG(7, 8))
	w := newMatrix(n, k)
	for _, row := range w {
		for i := range row {
			row[i] = float32(r.NormFloat64())
		}
	}
	x := newMatrix(tokens, k)
	for _, row := range x {
		common := r.NormFloat64()
		for i := range row {
			row[i] = float32((common + r.NormFloat64()) * math.Exp2(4*float64(i)/k))
		}
	}
	m := newMoments(k, false, 0, false)
	m.add(x, nil, nil, nil, 2)
	m.finish(2)
	of := columns{}.byImportance(m.diag())
	if !slices.IsSortedFunc(of.order, func(a, b int) int {
		return int(math.Copysign(1, float64(m.h[b][b]-m.h[a][a])))
	}) {
		t.Fatalf("order %v", of.order)
	}
	for _, format := range []linear.Format{linear.I4, linear.I6, linear.I8} {
		j := job{w: w, k: k, format: format, group: 32, diag: m.diag(), threads: 2}
		var err error
		if j.ut, err = feedback(m.damped(0.01, columns{}, 2), 2); err != nil {
			t.Fatal(err)
		}
		if format == linear.I8 {
			j.group = 0
		}
		plain := outputNoise(w, j.round(), m)
		if j.ut, err = feedback(m.damped(0.01, of, 2), 2); err != nil {
			t.Fatal(err)
		}
		j.columns = of
		packed := j.round()
		ordered := outputNoise(w, packed, m)
		t.Logf("%v: %.4g, in order %.4g", format, plain, ordered)
		if ordered > 0.9*plain {
			t.Errorf("%v: error %v, in order %v", format, plain, ordered)
		}
		if err := packed.Check(); err != nil {
			t.Error(err)
		}
		j.threads = 1
		if again := j.round(); !bytes.Equal(again.Data, packed.Data) || !bytes.Equal(again.Groups, packed.Groups) {
			t.Errorf("%v: another number of threads, other codes", format)
		}
		// The groups are those of rounding to nearest.
		j.ut = nil
		if nearest := j.round(); !bytes.Equal(nearest.Groups, packed.Groups) {
			t.Errorf("%v: the groups are not static", format)
		}
	}
}
