package compare_test

import (
	"cmp"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert"
	"qpt/convert/safetensors/sttest"
	"qpt/format"
	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/diff"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
	"qpt/runtime/ref"
)

// sequences are longer than a block of logits, and shorter.
func sequences(vocab int) [][]int32 {
	long := []int32{1}
	for i := range 70 {
		long = append(long, int32((i*7919+11)%vocab))
	}
	return [][]int32{long, {1, 403, 300}}
}

// Logits that are scaled and kept within bounds are compared as others are.
func TestLockStepCapped(t *testing.T) {
	dir := "../../testdata/families/gemma2"
	out := filepath.Join(t.TempDir(), "m.qpt")
	p, err := convert.MakePlan(convert.Options{In: dir, Scheme: "a16w8", Out: out})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	m, err := lm.Load(out, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	seqs := sequences(90)[:1]
	seqs[0] = seqs[0][:50]
	src := sttest.Open(t, dir)
	want, err := ref.Logits(t.Context(), m.Graph, src, []ref.Seq{{IDs: seqs[0]}}, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := m.Forward(t.Context(), seqs[0])
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	got, err := compare.RunLockStep(t.Context(), []*lm.Model{m}, src, seqs, compare.LockStepOptions{
		Logits: func(_, pos int, row []float32, rows [][]float32, _ []float64) {
			if pos != seen {
				t.Fatal(pos, seen)
			}
			for i, v := range mine[pos*len(row):][:len(row)] {
				if math.Abs(float64(row[i]-want[0].Row(pos)[i])) > 1e-4 || rows[0][i] != v {
					t.Fatalf("position %d, logit %d: FP32 %v, want %v; of the model %v, want %v", pos, i, row[i], want[0].Row(pos)[i], rows[0][i], v)
				}
			}
			seen++
		},
	})
	if err != nil || seen != len(seqs[0]) {
		t.Fatal(err, seen)
	}
	if last := got[0].Nodes[len(got[0].Nodes)-1]; last.Cumulative.SQNR() < 20 || last.Local.SQNR() < 40 {
		t.Errorf("logits: %+v", last)
	}
}

// Two models in one run: each result is that of comparing whole logits, and
// the predictions come in order.
func TestLockStep(t *testing.T) {
	models := []*lm.Model{lmtest.Load(t, "da8w4"), lmtest.Load(t, "f32")}
	src, seqs := sttest.Open(t, lmtest.Checkpoint), sequences(512)
	var seen, done int
	got, err := compare.RunLockStep(t.Context(), models, src, seqs, compare.LockStepOptions{
		Progress: func(n, total int) {
			if done++; n != done || total != 2*len(models[0].Graph.Nodes) {
				t.Fatalf("step %d: %d of %d", done, n, total)
			}
		},
		Logits: func(seq, pos int, want []float32, rows [][]float32, kl []float64) {
			if at := seq*len(seqs[0]) + pos; at != seen || len(rows) != 2 || len(kl) != 2 {
				t.Fatalf("sequence %d, position %d after %d others", seq, pos, seen)
			}
			seen++
		},
	})
	if err != nil || seen != 74 || done != 2*len(models[0].Graph.Nodes) {
		t.Fatal(err, seen, done)
	}
	var in []ref.Seq
	for _, ids := range seqs {
		in = append(in, ref.Seq{IDs: ids})
	}
	want, err := ref.Logits(t.Context(), models[0].Graph, src, in, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range models {
		var d diff.Logits
		for s, ids := range seqs {
			y, err := m.Forward(t.Context(), ids)
			if err != nil {
				t.Fatal(err)
			}
			for r := range ids {
				d.Add(want[s].Row(r), y[r*512:(r+1)*512])
			}
		}
		l := &got[i].Logits
		if l.Tokens() != 74 || l.KL() != d.KL() || l.SQNR() != d.SQNR() || l.Top1() != d.Top1() {
			t.Errorf("model %d: KL %g, SQNR %g; want %g, %g", i, l.KL(), l.SQNR(), d.KL(), d.SQNR())
		}
		for j := range got[i].Nodes {
			n := &got[i].Nodes[j]
			if n.Values.N() == 0 || !(n.RowMax > 0) {
				t.Errorf("node %s: no values", n.Node.Name)
			}
			if floor := []float64{6, 90}[i]; !(n.Local.SQNR() > floor && n.Cumulative.SQNR() > floor) {
				t.Errorf("model %d, node %s: local %g dB, cumulative %g dB", i, n.Node.Name, n.Local.SQNR(), n.Cumulative.SQNR())
			}
		}
	}
}

// scaled is a file whose channels calibration scaled.
func scaled(t *testing.T, scheme string) *lm.Model {
	opt := convert.Options{In: lmtest.Checkpoint, Out: filepath.Join(t.TempDir(), "m.qpt"), Scheme: scheme, References: -1, Algorithms: "scales",
		Calib: filepath.Join(lmtest.Checkpoint, "../text/tinystories_calib.jsonl"), CalibSamples: 8, CalibLength: 64}
	p, err := convert.MakePlan(opt)
	check(t, err)
	defer p.Close()
	_, err = p.Run(t.Context(), convert.Hooks{})
	check(t, err)
	m, err := lm.Load(opt.Out, runtime.Options{Threads: 2})
	check(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

// The range of a static activation is the file's, as the original's channels
// see it; values outside are counted.
func TestLockStepStatic(t *testing.T) {
	var worst float64
	for i, m := range []*lm.Model{lmtest.Load(t, "s8s8"), scaled(t, "s8s8")} {
		list, err := m.File.Activations()
		check(t, err)
		static := map[string]format.Activation{}
		for _, a := range list {
			static[a.Value] = a
		}
		rec, err := m.File.Rewrites()
		check(t, err)
		mean := map[string]float64{}
		for _, v := range rec.Values {
			for _, s := range v.Scales {
				mean[v.Value] += float64(s) / float64(len(v.Scales))
			}
		}
		if (len(mean) > 0) != (i == 1) {
			t.Errorf("model %d: %d values are scaled", i, len(mean))
		}
		got, err := compare.RunLockStep(t.Context(), []*lm.Model{m}, sttest.Open(t, lmtest.Checkpoint), sequences(512)[:2], compare.LockStepOptions{})
		check(t, err)
		for _, n := range got[0].Nodes {
			a, ok := static[n.Node.Out[0]]
			if !ok {
				if n.Low != 0 || n.High != 0 || n.Clipped != 0 {
					t.Errorf("%s: %g to %g, %g outside", n.Node.Name, n.Low, n.High, n.Clipped)
				}
				continue
			}
			lo, hi := float64(a.Scale)*float64(-a.Zero), float64(a.Scale)*float64(255-a.Zero)
			want := cmp.Or(mean[n.Node.Out[0]], 1)
			if f := n.High / hi; math.Abs(n.Low/lo-f) > 1e-6 || math.Abs(f-want) > 1e-6 {
				t.Errorf("%s: %g to %g, the file has %g to %g of scales of %g", n.Node.Name, n.Low, n.High, lo, hi, want)
			}
			worst = max(worst, n.Clipped)
		}
	}
	if worst == 0 || worst > 0.05 {
		t.Errorf("%g of the values of a node are outside", worst)
	}
}

// The same model twice would wait for itself.
func TestLockStepTwice(t *testing.T) {
	m := lmtest.Load(t, "f32")
	_, err := compare.RunLockStep(t.Context(), []*lm.Model{m, m}, sttest.Open(t, lmtest.Checkpoint), [][]int32{{1}}, compare.LockStepOptions{})
	if err == nil || !strings.Contains(err.Error(), "is given twice") {
		t.Error(err)
	}
}

// Calibration moves scales between layers; the distances do not see that: what rounds nothing is exact, and matrices are
// as near as those that keep their scales.
func TestScaled(t *testing.T) {
	m, src := scaled(t, "da8w8"), sttest.Open(t, lmtest.Checkpoint)
	rec, err := m.File.Rewrites()
	check(t, err)
	if len(rec.Values) < 10 {
		t.Fatalf("%d values are scaled", len(rec.Values))
	}
	got, err := compare.RunLockStep(t.Context(), []*lm.Model{m}, src, sequences(512)[1:], compare.LockStepOptions{})
	check(t, err)
	scaled := map[string]bool{}
	for _, v := range rec.Values {
		scaled[v.Value] = true
	}
	for _, n := range got[0].Nodes {
		least := 30.0
		if k := n.Node.Op.Kind(); k == "rmsnorm" || k == "binary" {
			least = 120
		}
		if d := n.Local.SQNR(); scaled[n.Node.Out[0]] && !(d > least) {
			t.Errorf("node %s: %.2f dB, want %v", n.Node.Name, d, least)
		}
	}
	list, err := got[0].Weights(src)
	check(t, err)
	for _, w := range list {
		if !(w.SQNR() > 36) || w.Clipped > 0.01 {
			t.Errorf("weight %s: %.2f dB, %g clipped", w.Name, w.SQNR(), w.Clipped)
		}
	}
}

func TestWeights(t *testing.T) {
	models := []*lm.Model{lmtest.Load(t, "da8w4"), lmtest.Load(t, "f32")}
	src := sttest.Open(t, lmtest.Checkpoint)
	got, err := compare.RunLockStep(t.Context(), models, src, [][]int32{{1}}, compare.LockStepOptions{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := got[0].Weights(src)
	if err != nil || len(list) != 36 {
		t.Fatal(len(list), err)
	}
	for _, w := range list {
		if !(w.SQNR() > 18) || !(w.Low < 0 && w.High > 0) || w.Clipped < 0 || w.Clipped > 0.05 || w.Values.N() != w.Quantized.N() {
			t.Errorf("%s %s: SQNR %.1f, range %g to %g, %g clipped", w.Name, w.Scheme, w.SQNR(), w.Low, w.High, w.Clipped)
		}
	}
	list, err = got[1].Weights(src)
	if err != nil || !math.IsInf(list[0].SQNR(), 1) || list[0].High != 0 {
		t.Fatal(list, err)
	}
}
