package runtime_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/runtime"
	"qpt/runtime/lm/lmtest"
)

// TestHiddenOnce: a program with hidden states is compiled for the first run, and not again.
func TestHiddenOnce(t *testing.T) {
	m := lmtest.Open(t, lmtest.Checkpoint, "f32", runtime.Options{Threads: 1})
	ids := map[string]runtime.Tensor{"input_ids": {Shape: []int{2}, I: []int32{1, 2}}}
	allocs := func(opt runtime.RunOptions) float64 {
		return testing.AllocsPerRun(5, func() {
			if _, err := m.Run(t.Context(), ids, opt); err != nil {
				t.Fatal(err)
			}
		})
	}
	if plain, with := allocs(runtime.RunOptions{}), allocs(runtime.RunOptions{Hidden: true}); with > plain+200 {
		t.Errorf("%.0f allocations a run, with hidden states %.0f: is the program compiled each time?", plain, with)
	}
}

// TestRun: named tensors in and out; sequences beside each other, padded on either side, and
// longer than a pass give the bits that each gives alone.
func TestRun(t *testing.T) {
	m := lmtest.Open(t, lmtest.Checkpoint, "f32", runtime.Options{Threads: 2, Batch: 24})
	v := m.Vocab()
	var alone [][]float32
	const width = 40
	ids := runtime.Tensor{Shape: []int{3, width}, I: make([]int32, 3*width)}
	mask := runtime.Tensor{Shape: []int{3, width}, I: make([]int32, 3*width)}
	spans := [3][2]int{{0, 9}, {7, width}, {3, 20}} // tokens that are there
	for i, s := range spans {
		for j := s[0]; j < s[1]; j++ {
			ids.I[i*width+j], mask.I[i*width+j] = int32((i*97+j*31)%512), 1
		}
		y, err := m.Forward(t.Context(), ids.I[i*width+s[0]:i*width+s[1]])
		if err != nil {
			t.Fatal(err)
		}
		alone = append(alone, y)
	}
	out, err := m.Run(t.Context(), map[string]runtime.Tensor{"input_ids": ids, "attention_mask": mask}, runtime.RunOptions{Hidden: true})
	if err != nil {
		t.Fatal(err)
	}
	y := out["logits"]
	if !slices.Equal(y.Shape, []int{3, width, v}) {
		t.Fatalf("logits of shape %v", y.Shape)
	}
	for i, s := range spans {
		row := y.F[i*width*v : (i+1)*width*v]
		lmtest.Same(t, fmt.Sprint("row ", i), row[s[0]*v:s[1]*v], alone[i])
		for j, x := range row {
			if p := j / v; (p < s[0] || p >= s[1]) && x != 0 {
				t.Fatalf("row %d, padding at %d is %v", i, p, x)
			}
		}
	}
	// Hidden states: one for the input, one a layer, the last norm's.
	for _, name := range []string{"hidden.0", "hidden.5", "hidden.final"} {
		if h := out[name]; !slices.Equal(h.Shape, []int{3, width, 64}) {
			t.Errorf("%s of shape %v", name, h.Shape)
		}
	}
	one, err := m.Run(t.Context(), map[string]runtime.Tensor{"ids": {Shape: []int{9}, I: ids.I[:9]}}, runtime.RunOptions{Hidden: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(one["logits"].Shape, []int{9, v}) {
		t.Errorf("one sequence: logits of shape %v", one["logits"].Shape)
	}
	lmtest.Same(t, "hidden.3 alone", one["hidden.3"].F, out["hidden.3"].F[:9*64])

	for _, c := range []struct {
		in   map[string]runtime.Tensor
		want string
	}{
		{nil, "no inputs: the graph takes [input_ids]"},
		{map[string]runtime.Tensor{"x": ids}, `input "x": the graph takes [input_ids] and attention_mask`},
		{map[string]runtime.Tensor{"ids": {Shape: []int{1, 1, 1}, I: []int32{1}}}, "shape [1 1 1]"},
		{map[string]runtime.Tensor{"ids": ids, "attention_mask": {Shape: []int{40}, I: make([]int32, 40)}}, "others begin with"},
		{map[string]runtime.Tensor{"ids": {Shape: []int{1}, I: []int32{512}}}, "token 512"},
		{map[string]runtime.Tensor{"ids": {Shape: []int{2, 3}, I: []int32{1}}}, "shape [2 3] has 0 floats and 1 integers"},
		{map[string]runtime.Tensor{"ids": {Shape: []int{-1}, I: []int32{1}}}, "shape [-1] has"},
		{map[string]runtime.Tensor{"ids": {Shape: []int{1 << 62, 4}}}, "has 0 floats and 0 integers"},
		{map[string]runtime.Tensor{"ids": ids, "attention_mask": {Shape: ids.Shape, I: []int32{1}}}, "has 0 floats and 1 integers"},
		{map[string]runtime.Tensor{"ids": {Shape: []int{1}, F: []float32{1}}}, "1 floats and 0 integers"},
		{map[string]runtime.Tensor{"ids": ids, "attention_mask": {Shape: ids.Shape, I: make([]int32, 120)}}, "no tokens"},
	} {
		if _, err := m.Run(t.Context(), c.in, runtime.RunOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// TestRunGoldens: logits at every position of the prompts of the trained models, to a hundred-thousandth of the greatest.
func TestRunGoldens(t *testing.T) {
	for _, name := range []string{"stories260K", "babyllama-105"} {
		t.Run(name, func(t *testing.T) {
			dir := lmtest.Checkpoint
			if name != "stories260K" {
				dir = lmtest.Shared(t, name)
			}
			m := lmtest.Open(t, dir, "f32", runtime.Options{})
			g := lmtest.OpenGolden(t, filepath.Join(dir, "golden", "prompts_golden.safetensors"))
			for i := 0; g.Has(fmt.Sprintf("prompt%d.ids", i)); i++ {
				ids := g.Ints(t, fmt.Sprintf("prompt%d.ids", i))
				out, err := m.Run(t.Context(), map[string]runtime.Tensor{"input_ids": {Shape: []int{len(ids)}, I: ids}}, runtime.RunOptions{})
				if err != nil {
					t.Fatal(err)
				}
				var top, worst float64
				want := g.Floats(t, fmt.Sprintf("prompt%d.logits", i))
				for j, w := range want {
					top = max(top, float64(w), -float64(w))
					d := float64(out["logits"].F[j]) - float64(w)
					worst = max(worst, d, -d)
				}
				if !(worst <= 1e-5*top) {
					t.Errorf("prompt %d: %.3g of the greatest logit away", i, worst/top)
				}
			}
		})
	}
}
