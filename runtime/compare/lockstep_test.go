package compare_test

import (
	"math"
	"strings"
	"testing"

	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/format/graph"
	"qpt/runtime/compare"
	"qpt/runtime/diff"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
	"qpt/runtime/ref"
)

func source(t *testing.T) *safetensors.Checkpoint {
	t.Helper()
	c, err := safetensors.Open(lmtest.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sequences are longer than a block of logits, and shorter.
func sequences(vocab int) [][]int32 {
	long := []int32{1}
	for i := range 70 {
		long = append(long, int32((i*7919+11)%vocab))
	}
	return [][]int32{long, {1, 403, 300}}
}

// Two models in one run: each result is that of comparing whole logits, and
// the predictions come in order.
func TestLockStep(t *testing.T) {
	models := []*lm.Model{lmtest.Load(t, "da8w4"), lmtest.Load(t, "f32")}
	src, seqs := source(t), sequences(512)
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

// folded is the original with its channels scaled, in a way that changes no result.
type folded struct {
	graph.Source
	s func(i int) float32
}

func (f folded) ReadRows(name string, r0, r1 int, dst []float32) error {
	if err := f.Source.ReadRows(name, r0, r1, dst); err != nil {
		return err
	}
	k := len(dst) / (r1 - r0)
	col := func(of int, up bool) {
		for i := range dst {
			if s := f.s(i % k % of); up {
				dst[i] *= s
			} else {
				dst[i] /= s
			}
		}
	}
	const headDim, all = 8, 1 << 30
	switch {
	case strings.HasSuffix(name, "input_layernorm.weight"):
		col(all, false)
	case strings.HasSuffix(name, "q_proj.weight"), strings.HasSuffix(name, "k_proj.weight"), strings.HasSuffix(name, "v_proj.weight"):
		col(all, true)
		if strings.HasSuffix(name, "v_proj.weight") { // the same in every head
			for i := range dst {
				dst[i] /= f.s((r0 + i/k) % headDim)
			}
		}
	case strings.HasSuffix(name, "o_proj.weight"):
		col(headDim, true)
	case strings.HasSuffix(name, "up_proj.weight"):
		for i := range dst {
			dst[i] /= f.s(r0 + i/k)
		}
	case strings.HasSuffix(name, "down_proj.weight"):
		col(all, true)
	}
	return nil
}

// The range of a static activation is the file's, as the original's channels
// see it; values outside are counted.
func TestLockStepStatic(t *testing.T) {
	m := lmtest.Load(t, "s8s8")
	list, err := m.File.Activations()
	check(t, err)
	static := map[string]format.Activation{}
	for _, a := range list {
		static[a.Value] = a
	}
	other := folded{source(t), func(i int) float32 { return float32(math.Exp2(float64(i%2)*2 - 1)) }} // 1/2 and 2
	var worst float64
	for _, src := range []graph.Source{source(t), other} {
		got, err := compare.RunLockStep(t.Context(), []*lm.Model{m}, src, sequences(512)[:2], compare.LockStepOptions{})
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
			if f := n.High / hi; math.Abs(n.Low/lo-f) > 1e-6 || math.Abs(f-1) > 1e-6 && math.Abs(f-1.25) > 0.02 {
				t.Errorf("%s: %g to %g, the file has %g to %g", n.Node.Name, n.Low, n.High, lo, hi)
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
	_, err := compare.RunLockStep(t.Context(), []*lm.Model{m, m}, source(t), [][]int32{{1}}, compare.LockStepOptions{})
	if err == nil || !strings.Contains(err.Error(), "is given twice") {
		t.Error(err)
	}
}

// Calibration moves scales between layers; the distances must not see that.
func TestFolded(t *testing.T) {
	m, src := lmtest.Load(t, "da8w8"), source(t)
	other := folded{src, func(i int) float32 { return float32(math.Exp2(float64(i%3 - 1))) }}
	seqs := sequences(512)[1:]
	var got [2][]*compare.LockStep
	var weights [2][]compare.WeightDiff
	for i, s := range []graph.Source{src, other} {
		var err error
		if got[i], err = compare.RunLockStep(t.Context(), []*lm.Model{m}, s, seqs, compare.LockStepOptions{}); err != nil {
			t.Fatal(err)
		}
		if weights[i], err = got[i][0].Weights(s); err != nil {
			t.Fatal(err)
		}
	}
	for j, a := range got[0][0].Nodes {
		b := got[1][0].Nodes[j]
		for _, p := range [][2]float64{{a.Local.SQNR(), b.Local.SQNR()}, {a.Cumulative.SQNR(), b.Cumulative.SQNR()}} {
			if min(p[0], p[1]) < 60 && math.Abs(p[0]-p[1]) > 6 { // a channel of another weight has another say
				t.Errorf("node %s: %.2f dB, on a folded original %.2f dB", a.Node.Name, p[0], p[1])
			}
		}
	}
	for j, a := range weights[0] {
		b := weights[1][j]
		if math.Abs(a.SQNR()-b.SQNR()) > 0.5 || math.Abs(a.Clipped-b.Clipped) > 0.01 {
			t.Errorf("weight %s: %.2f dB, on a folded original %.2f dB", a.Name, a.SQNR(), b.SQNR())
		}
	}
}

func TestWeights(t *testing.T) {
	models := []*lm.Model{lmtest.Load(t, "da8w4"), lmtest.Load(t, "f32")}
	src := source(t)
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
