package calibrate

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"qpt/kernels/linear"
)

// TestWildColumns: columns that stay float32 have no codes and make up for the others' errors, in the order that leaves them last.
func TestWildColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const n, k = 35, 100
	w := newMatrix(n, k)
	for _, row := range w {
		for i := range row {
			row[i] = float32(r.NormFloat64()) * 0.05
		}
	}
	x := inputs(r, 400, k)
	wild := []int32{2, 50, 99}
	for _, row := range x {
		for _, i := range wild {
			row[i] = row[i]*30 + 20
		}
	}
	m := newMoments(k, false, 0, false)
	m.add(x, nil, nil, nil, 2)
	m.finish(2)
	of := columns{wild: wild}.byImportance(m.diag())
	if last := slices.Sorted(slices.Values(of.order[k-3:])); !slices.Equal(last, []int{2, 50, 99}) {
		t.Errorf("the last columns are %v", last)
	}
	u, err := m.feedback(0.1, of, 2, func(err error, _ float64) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	j := job{w: w, k: k, format: linear.I8, diag: m.diag(), columns: of, ut: u, threads: 2}
	got := j.round()
	if err := got.Check(); err != nil {
		t.Fatal(err)
	}
	plain := j
	plain.ut = nil
	near := plain.round()
	for i, row := range w { // wild weights as they are
		for _, c := range wild {
			plain.putWild(near, i, int(c), row[c])
		}
	}
	if fed, nearest := outputNoise(w, got, m), outputNoise(w, near, m); fed > 0.8*nearest {
		t.Errorf("error %v, to nearest %v", fed, nearest)
	}
	codes := make([]int8, k)
	for i := range n {
		linear.Row(got, i, codes)
		for _, c := range wild {
			if codes[c] != 0 {
				t.Fatalf("row %d: column %d has code %d", i, c, codes[c])
			}
		}
	}
	j.threads = 1
	if again := j.round(); !slices.Equal(again.Data, got.Data) || !slices.Equal(again.WildData, got.WildData) {
		t.Error("another number of threads, other weights")
	}
}

// TestWildJournal: a journal keeps wild columns' weights.
func TestWildJournal(t *testing.T) {
	g, src, calib, _ := stories(t)
	target := func(p string) (Target, bool) {
		tg, ok := projections(linear.I8)(p)
		tg.Wild = []int32{1, 7}
		return tg, ok
	}
	opt := Options{Seqs: calib[:4], Target: target, Scales: true, Sweeps: 2, Threads: 2}
	want, err := Run(context.Background(), g, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	opt.Journal, opt.Memory, opt.TempDir = filepath.Join(t.TempDir(), "j"), 1<<30, t.TempDir()
	for range 2 { // the second time it is all there
		got, err := Run(context.Background(), g, src, opt)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want.Weights {
			v, err := got.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(v.Data, w.Data) || !slices.Equal(v.WildData, w.WildData) || !slices.Equal(v.Wild, w.Wild) || len(w.WildData) == 0 {
				t.Errorf("%s is another weight", name)
			}
		}
		got.Close()
	}
}
