package checkpoint_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert/checkpoint"
	"qpt/convert/safetensors"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

const families = "../../testdata/families"

// TestFamilies: a checkpoint of each family, in the spelling of transformers 4 too, against the library's
// own results: logits and hidden states, on the FP32 executor.
func TestFamilies(t *testing.T) {
	dirs, err := filepath.Glob(families + "/*")
	if err != nil || len(dirs) < 30 {
		t.Fatalf("%d families in testdata: %v", len(dirs), err)
	}
	for _, dir := range dirs {
		for _, spelling := range []string{"config.json", "legacy.json"} {
			data, err := os.ReadFile(filepath.Join(dir, spelling))
			if err != nil {
				continue // it has no other spelling
			}
			t.Run(filepath.Base(dir)+"/"+strings.TrimSuffix(spelling, ".json"), func(t *testing.T) {
				here := t.TempDir()
				weights, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
				for name, b := range map[string][]byte{"config.json": data, "model.safetensors": weights} {
					if err == nil {
						err = os.WriteFile(filepath.Join(here, name), b, 0o644)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				family(t, here, filepath.Join(dir, "goldens.safetensors"))
			})
		}
	}
}

func family(t *testing.T, dir, goldens string) {
	f, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := *f.Model.Graph
	g.Outputs = append(g.Outputs[:1:1], g.Hidden...)
	golden, err := safetensors.Open(goldens)
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	read := func(name string) []float32 {
		x, ok := golden.Tensor(name)
		if !ok {
			t.Fatalf("no golden %q", name)
		}
		v := make([]float32, x.NumElems())
		if err := x.ReadRows(0, x.NumRows(), v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	for i := range 2 {
		var ids []int32
		for _, x := range read(fmt.Sprintf("p%d.input_ids", i)) {
			ids = append(ids, int32(x))
		}
		out, err := ref.Run(context.Background(), &g, graph.Views(&g, f.Tensors), ref.Texts(ref.Seq{IDs: ids}), ref.Options{Dot: linear.MatMul()})
		if err != nil {
			t.Fatal(err)
		}
		within(t, fmt.Sprintf("p%d.logits", i), out[0].F, read(fmt.Sprintf("p%d.logits", i)))
		for j := range g.Hidden {
			name := fmt.Sprint(j)
			switch j {
			case len(g.Hidden) - 2:
				continue // the library shows what the last layer gives after the last norm alone
			case len(g.Hidden) - 1:
				name = "final"
			}
			within(t, fmt.Sprintf("p%d.hidden.%s", i, name), out[1+j].F, read(fmt.Sprintf("p%d.hidden.%s", i, name)))
		}
	}
}

// within a hundred-thousandth of the greatest value.
func within(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	var top, worst float64
	for i, w := range want {
		top = max(top, math.Abs(float64(w)))
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= worst) {
			worst = d
		}
	}
	if !(worst <= 1e-5*top) {
		t.Errorf("%s: %.2g of the greatest value away", what, worst/top)
	}
}
