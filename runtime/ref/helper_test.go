package ref_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"qpt/convert/hf"
	"qpt/convert/safetensors/sttest"
	"qpt/format/graph"
	"qpt/runtime/ref"
)

// file is an open safetensors file or checkpoint.
// weights is a graph.Source of float32 tensors with their shapes.
type weights map[string]weight

type weight struct {
	shape []int
	data  []float32
}

func (w weights) ReadRows(name string, r0, r1 int, dst []float32) error {
	e, ok := w[name]
	if !ok {
		return fmt.Errorf("no tensor %q", name)
	}
	k := e.shape[len(e.shape)-1]
	if copy(dst, e.data[r0*k:r1*k]) != len(dst) {
		return fmt.Errorf("tensor %q: rows %d to %d do not fill %d values", name, r0, r1, len(dst))
	}
	return nil
}

// model loads a checkpoint's folder, tensors checked.
func model(t testing.TB, dir string) (*hf.Model, weights) {
	t.Helper()
	m, err := hf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, w, have := sttest.Open(t, dir), weights{}, shapes{}
	for _, name := range f.Names() {
		e, _ := f.Tensor(name)
		have[name] = e.Shape
		w[name] = weight{e.Shape, f.Values(name)}
	}
	if _, err := m.Fit(have); err != nil {
		t.Fatal(err)
	}
	return m, w
}

// shapes are tensors for hf.Model.Fit.
type shapes map[string][]int

func (s shapes) Names() []string                 { return slices.Sorted(maps.Keys(s)) }
func (s shapes) Shape(name string) []int         { return s[name] }
func (s shapes) Equal(_, _ string) (bool, error) { return true, nil }

// trained returns the folder of a trained model: bundled, or among the shared ones.
func trained(t testing.TB, name string) string {
	t.Helper()
	for _, root := range []string{"../../testdata", "../../../shared/models"} {
		if dir := filepath.Join(root, name); exists(filepath.Join(dir, "config.json")) {
			return dir
		}
	}
	t.Skipf("model %s is not here", name)
	return ""
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func run(t testing.TB, m *hf.Model, w weights, seqs ...ref.Seq) []graph.Tensor {
	t.Helper()
	out, err := ref.Logits(context.Background(), m.Graph, w, seqs, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// near fails if any element differs by more than tol, and names the worst.
func near(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, at := 0.0, -1
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= worst) { // NaN too
			worst, at = d, i
		}
	}
	if !(worst <= tol) {
		t.Errorf("%s: element %d is %v, want %v (difference %.3g, at most %.3g)", what, at, got[at], want[at], worst, tol)
	}
}
