package compare_test

import (
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert"
	"qpt/convert/safetensors/sttest"
	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
)

// Files whose graph is not the lmtest.Checkpoint's, with biases or rotated, are compared with
// it node by node: stored as floats, they are the original but for rounding, in every value and matrix.
func TestOriginal(t *testing.T) {
	src := sttest.Open(t, lmtest.Checkpoint)
	shape := func(name string) []int {
		if x, ok := src.Tensor(name); ok {
			return x.Shape
		}
		return nil
	}
	for _, c := range []struct {
		scheme, algorithms string
		local, weights     float64 // dB at least
		nodes              int     // parameters that the lmtest.Checkpoint has not
	}{
		{"f32", "rotate", 80, 100, 1},
		{"da8w4", "gptq,bias", 12, 10, 35},
		{"da8w4", "rotate,scales,gptq,act-order,bias", 12, 10, 36},
	} {
		opt := convert.Options{In: filepath.Join(lmtest.Root, "testdata/stories260K"), Out: filepath.Join(t.TempDir(), "m.qpt"), Scheme: c.scheme, Algorithms: c.algorithms, Seed: 2}
		if c.scheme != "f32" {
			opt.Calib, opt.CalibSamples, opt.CalibLength = filepath.Join(lmtest.Root, "testdata/text/tinystories_calib.jsonl"), 8, 64
		}
		p, err := convert.MakePlan(opt)
		check(t, err)
		_, err = p.Run(t.Context(), convert.Hooks{})
		check(t, err)
		check(t, p.Close())
		m, err := lm.Load(opt.Out, runtime.Options{Threads: 2})
		check(t, err)
		t.Cleanup(func() { m.Close() })
		if d, err := compare.Check(t.Context(), m); err != nil || c.scheme == "f32" && d.KL() > 1e-6 { // FP32 results of the original are in the file
			t.Errorf("%s: KL %v, %v", c.algorithms, d.KL(), err)
		}
		g, err := compare.Original(m.Model, shape)
		check(t, err)
		if len(m.Graph.Params) != len(g.Params)+c.nodes || len(g.Params) != 47 {
			t.Errorf("%s: %d parameters, the original's graph %d", c.algorithms, len(m.Graph.Params), len(g.Params))
		}
		got, err := compare.RunLockStep(t.Context(), []*lm.Model{m}, src, sequences(512)[:2], compare.LockStepOptions{})
		check(t, err)
		for _, n := range got[0].Nodes {
			if n.Local.SQNR() < c.local || c.scheme == "f32" && n.Cumulative.SQNR() < c.local {
				t.Errorf("%s %s: node %s: %.1f dB, cumulative %.1f dB", c.scheme, c.algorithms, n.Node.Name, n.Local.SQNR(), n.Cumulative.SQNR())
			}
		}
		list, err := got[0].Weights(src)
		check(t, err)
		for _, w := range list {
			if w.SQNR() < c.weights {
				t.Errorf("%s %s: matrix %s: %.1f dB", c.scheme, c.algorithms, w.Name, w.SQNR())
			}
		}
		_, err = compare.Original(m.Model, func(name string) []int {
			if strings.HasSuffix(name, "model.norm.weight") {
				return nil
			}
			return shape(name)
		})
		if err == nil || !strings.Contains(err.Error(), `tensor "model.norm.weight" should be there with shape [64]`) {
			t.Errorf("another lmtest.Checkpoint: %v", err)
		}
	}
	// A file without the algorithms must have every tensor.
	_, err := compare.Original(lmtest.Load(t, "da8w4").Model, func(name string) []int {
		if strings.Contains(name, "embed") {
			return nil
		}
		return shape(name)
	})
	if err == nil || !strings.Contains(err.Error(), "embed_tokens") {
		t.Errorf("a table is missing: %v", err)
	}
}
