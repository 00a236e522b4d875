package ref_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"qpt/convert/hf"
	"qpt/internal/num"
	"qpt/runtime/ref"
)

// tensor is one entry of a safetensors file; raw is little-endian.
type tensor struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
	raw     []byte
}

// file is a trusted safetensors file read whole: a ref.Source.
type file map[string]*tensor

func readFile(t testing.TB, path string) file {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 8 + int(binary.LittleEndian.Uint64(data))
	f := file{}
	if err := json.Unmarshal(data[8:n], &f); err != nil {
		t.Fatal(err)
	}
	delete(f, "__metadata__")
	for _, e := range f {
		e.raw = data[n+e.Offsets[0] : n+e.Offsets[1]]
	}
	return f
}

func (f file) floats(t testing.TB, name string) []float32 {
	t.Helper()
	e, ok := f[name]
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	var v []float32
	switch e.DType {
	case "F32":
		for i := 0; i < len(e.raw); i += 4 {
			v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(e.raw[i:])))
		}
	case "BF16":
		for i := 0; i < len(e.raw); i += 2 {
			v = append(v, num.FromBF16(binary.LittleEndian.Uint16(e.raw[i:])))
		}
	case "F16":
		for i := 0; i < len(e.raw); i += 2 {
			v = append(v, num.FromF16(binary.LittleEndian.Uint16(e.raw[i:])))
		}
	default:
		t.Fatalf("tensor %q is %s", name, e.DType)
	}
	return v
}

func (f file) ints(t testing.TB, name string) []int32 {
	t.Helper()
	e, ok := f[name]
	if !ok || e.DType != "I32" {
		t.Fatalf("no I32 tensor %q", name)
	}
	v := make([]int32, len(e.raw)/4)
	for i := range v {
		v[i] = int32(binary.LittleEndian.Uint32(e.raw[4*i:]))
	}
	return v
}

// weights is a ref.Source of float32 tensors with their shapes.
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
	f, w, shapes := readFile(t, filepath.Join(dir, "model.safetensors")), weights{}, map[string][]int{}
	for name, e := range f {
		shapes[name] = e.Shape
		w[name] = weight{e.Shape, f.floats(t, name)}
	}
	if _, err := m.CheckTensors(shapes); err != nil {
		t.Fatal(err)
	}
	return m, w
}

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

func run(t testing.TB, m *hf.Model, w weights, seqs ...ref.Seq) []ref.Tensor {
	t.Helper()
	out, err := ref.Run(context.Background(), m.Graph, w, seqs, ref.Options{})
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
