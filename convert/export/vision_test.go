package export_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/export"
	"qpt/convert/safetensors/sttest"
	"qpt/convert/stored"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// TestVision: networks exported by PyTorch in three ways against its own results, within 20 times what its FP32 is away from
// FP64. testdata/export has some; QPT_VISION names a folder with more, as testdata/gen/vision.md says.
func TestVision(t *testing.T) {
	dirs := []string{"../../testdata/export"}
	if dir := os.Getenv("QPT_VISION"); dir != "" {
		dirs = filepath.SplitList(dir)
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.pt2"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no archives in %s: %v", dir, err)
		}
		var list []struct {
			Name string
			Away []*float64 `json:"f32_vs_f64_max_abs"`
		}
		data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
		if err == nil {
			text := strings.NewReplacer("-Infinity", "null", "Infinity", "null", "NaN", "null").Replace(string(data))
			err = json.Unmarshal([]byte(text), &list)
		}
		if err != nil {
			t.Fatal(err)
		}
		manifest := map[string][]*float64{}
		for _, c := range list {
			manifest[c.Name] = c.Away
		}
		for _, path := range files {
			name := strings.TrimSuffix(filepath.Base(path), ".pt2")
			if strings.HasSuffix(name, ".pt2e") {
				continue
			}
			t.Run(filepath.Base(dir)+"/"+name, func(t *testing.T) { vision(t, path, manifest[name]) })
		}
	}
}

func vision(t *testing.T, path string, away []*float64) {
	a, err := export.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	src, err := stored.New(a.Tensors, stored.Source{})
	if err != nil {
		t.Fatal(err)
	}
	golden := sttest.Open(t, strings.TrimSuffix(path, ".pt2")+".golden.safetensors")
	read := func(name string) graph.Tensor {
		v, shape := golden.Floats(name)
		return graph.Tensor{Shape: shape, F: v}
	}
	in := map[string]graph.Tensor{}
	rows, at := 0, 0
	for _, v := range a.Graph.Inputs {
		in[v.Name] = read(v.Name)
		rows = in[v.Name].Shape[0]
		if at = rows; v.Shape[0] >= 0 {
			at = int(v.Shape[0])
		}
	}
	outs := make([][]float32, len(a.Graph.Outputs))
	for r := 0; r < rows; r += at {
		b := &graph.Batch{Inputs: map[string]graph.Tensor{}}
		for name, x := range in {
			n := len(x.F) / rows
			b.Inputs[name] = graph.Tensor{Shape: append([]int{at}, x.Shape[1:]...), F: x.F[r*n : (r+at)*n]}
		}
		list, err := ref.Run(t.Context(), a.Graph, src, b, ref.Options{Dot: linear.MatMul()})
		if err != nil {
			t.Fatal(err)
		}
		for i, y := range list {
			outs[i] = append(outs[i], y.F...)
			for _, v := range y.I {
				outs[i] = append(outs[i], float32(v))
			}
		}
	}
	for i, got := range outs {
		want := read(fmt.Sprintf("output.%d", i)).F
		if len(got) != len(want) {
			t.Fatalf("output %d has %d values, want %d", i, len(got), len(want))
		}
		tolerance := 1e-6
		if i < len(away) && away[i] != nil {
			tolerance += 20 * *away[i]
		}
		worst := 0.0
		for j, w := range want {
			if d := math.Abs(float64(got[j]) - float64(w)); !(d <= worst) {
				worst = d
			}
		}
		if !(worst <= tolerance) {
			t.Errorf("output %d: off by %.3g, at most %.3g are allowed", i, worst, tolerance)
		}
	}
}

// A decomposed program has the nodes of the plain one: functions that were in pieces are whole, and a weight that two layers share is one.
func TestDecomposed(t *testing.T) {
	var nodes [2][]string
	for i, name := range []string{"gates", "gates_decomposed"} {
		a, err := export.Open("../../testdata/export/" + name + ".pt2")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		for _, n := range a.Graph.Nodes {
			text := n.Op.Kind()
			switch op := n.Op.(type) {
			case graph.Unary:
				text += " " + op.Func
			case graph.Binary:
				text += " " + op.Func
			}
			nodes[i] = append(nodes[i], fmt.Sprintf("%s %s", text, n.Params))
		}
		slices.Sort(nodes[i])
	}
	if !slices.Equal(nodes[0], nodes[1]) {
		t.Errorf("plain:\n%s\ndecomposed:\n%s", strings.Join(nodes[0], "\n"), strings.Join(nodes[1], "\n"))
	}
	for _, want := range []string{"unary hardswish []", "unary hardsigmoid []", "unary silu []", "linear [b.weight a.bias]"} {
		if !slices.Contains(nodes[1], want) {
			t.Errorf("no %q", want)
		}
	}
}
