package compare_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"qpt/convert"
	"qpt/convert/checkpoint"
	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/encoder"
	"qpt/runtime/lm/lmtest"
)

func encoderFile(t *testing.T, dir, scheme string) *encoder.Model {
	opt := convert.Options{In: dir, Out: filepath.Join(t.TempDir(), "m.qpt"), Scheme: scheme}
	if scheme == "s8s8" {
		opt.Calib, opt.CalibSamples = filepath.Join(lmtest.Root, "testdata/text/tinystories_calib.jsonl"), 4
	}
	p, err := convert.MakePlan(opt)
	check(t, err)
	defer p.Close()
	_, err = p.Run(t.Context(), convert.Hooks{})
	check(t, err)
	m, err := encoder.Load(opt.Out, runtime.Options{Threads: 2})
	check(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

// Encoders beside FP32: what is shown of each text is what the models give, and what the file says of the
// original; stored as floats, every layer is the original's.
func TestTexts(t *testing.T) {
	for _, name := range []string{"bert-sentence", "bert", "albert", "deberta-v2", "modernbert", "gte", "mpnet", "roberta-answers", "qwen3-embedding"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(lmtest.Root, "testdata/families", name)
			var models []*encoder.Model
			for _, scheme := range []string{"f32", "da8w8"} {
				models = append(models, encoderFile(t, dir, scheme))
			}
			ckpt, err := checkpoint.Weights(dir)
			check(t, err)
			defer ckpt.Close()
			refs, err := models[0].References()
			check(t, err)
			texts := compare.Encodings(refs)[:4]
			output, classes := encoder.Result(models[0].Graph)
			want := make([][][]float32, len(models))
			for i, m := range models {
				want[i], err = m.Rows(t.Context(), texts, output)
				check(t, err)
			}
			results := []*compare.Results{compare.NewResults(models[0], texts), compare.NewResults(models[1], texts)}
			shown, done := 0, 0
			steps, err := compare.RunTexts(t.Context(), models, ckpt, texts, compare.TextsOptions{
				Progress: func(n, total int) {
					if done++; n != done || total != len(texts)*len(models[0].Graph.Nodes) {
						t.Fatalf("step %d: %d of %d", done, n, total)
					}
				},
				Result: func(text int, fp32 []float32, got [][]float32) {
					for i := range models {
						if !slices.Equal(got[i], want[i][text]) {
							t.Errorf("model %d: text %d is not what Rows gives", i, text)
						}
						for from := 0; from < len(fp32); from += refs.Vocab {
							results[i].Add(text, fp32[from:from+refs.Vocab], got[i][from:from+refs.Vocab])
						}
					}
					shown++
				},
			})
			check(t, err)
			if shown != len(texts) || done == 0 {
				t.Errorf("%d texts shown, %d steps", shown, done)
			}
			for i, floor := range []float64{95, 15} {
				for _, n := range steps[i].Nodes {
					if n.Values.N() == 0 || !(n.Local.SQNR() > floor && n.Cumulative.SQNR() > floor) {
						t.Errorf("model %d, node %s: local %g dB, cumulative %g dB of %d values", i, n.Node.Name, n.Local.SQNR(), n.Cumulative.SQNR(), n.Values.N())
					}
				}
				weights, err := steps[i].Weights(ckpt)
				if err != nil || len(weights) == 0 {
					t.Errorf("%d matrices, %v", len(weights), err)
				}
			}
			for _, r := range results[0].Each { // as in the original
				if !(r.Cosine > 1-1e-6 && r.Difference < 1e-4) || r.FP32 != r.Got {
					t.Errorf("f32: %+v", r)
				}
			}
			least, most := math.Inf(1), 0.0
			for _, r := range results[1].Each {
				least, most = min(least, r.Cosine), max(most, r.Difference)
			}
			if !(least < 1 && least > 0.98 && most > 0) {
				t.Errorf("da8w8: cosine %g, difference %g", least, most)
			}
			if !classes && least != results[1].Vectors.Least() {
				t.Errorf("least cosine %g, of all rows %g", least, results[1].Vectors.Least())
			}
		})
	}
}

// A static range is the file's, and what lies outside is counted.
func TestTextsStatic(t *testing.T) {
	dir := filepath.Join(lmtest.Root, "testdata/families/bert-sentence")
	m := encoderFile(t, dir, "s8s8")
	ckpt, err := checkpoint.Weights(dir)
	check(t, err)
	defer ckpt.Close()
	refs, err := m.References()
	check(t, err)
	steps, err := compare.RunTexts(t.Context(), []*encoder.Model{m}, ckpt, compare.Encodings(refs), compare.TextsOptions{})
	check(t, err)
	ranges := 0
	for _, n := range steps[0].Nodes {
		if n.High > n.Low {
			ranges++
		}
		if n.Clipped > 0.1 || !(n.Local.SQNR() > 20) {
			t.Errorf("%s: %g clipped, %g dB", n.Node.Name, n.Clipped, n.Local.SQNR())
		}
	}
	if ranges == 0 {
		t.Error("no value has a range")
	}
}
