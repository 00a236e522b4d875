package convert

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/safetensors/sttest"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/lm"
)

// Folders of other tools, kept: every weight has the bits that the checkpoint's codes mean, experts in stacks and a permutation of inputs
// included, and logits are those of a float64 run within 1e-5.
func TestKeepFolders(t *testing.T) {
	dirs, err := filepath.Glob("quantized/testdata/whole/*")
	if err != nil || len(dirs) < 6 {
		t.Fatalf("%d folders: %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			p, err := MakePlan(Options{In: dir, Out: filepath.Join(t.TempDir(), "m.qpt"), References: -1, Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if _, err := p.Run(context.Background(), Hooks{}); err != nil {
				t.Fatal(err)
			}
			m, err := lm.Load(p.Opt.Out, runtime.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			src, kept := graph.Views(p.Model.Graph, p.ckpt), 0
			for _, param := range m.Graph.Params {
				if len(param.Shape) != 2 {
					continue
				}
				l, err := m.Linear(param.Name, "")
				if err != nil {
					t.Fatal(err)
				}
				if l.Weight.Format == linear.Codes {
					kept++
				}
				want, have := make([]float32, param.Shape[1]), make([]float32, param.Shape[1])
				for r := range param.Shape[0] {
					if err := src.ReadRows(param.Name, r, r+1, want); err != nil {
						t.Fatal(err)
					}
					if linear.EmbedRow(have, l.Weight, r); !slices.EqualFunc(have, want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
						t.Fatalf("%s: row %d differs", param.Name, r)
					}
				}
			}
			if numbers := strings.Contains(strings.Join(p.Warn, "\n"), "7 matrices (hqq int4) are kept as float32 numbers"); numbers != strings.Contains(dir, "axis0") || numbers != (kept < 7) {
				t.Errorf("%d matrices kept as codes, notes %q", kept, p.Warn)
			}
			golden := sttest.Open(t, filepath.Join(dir, "goldens.safetensors"))
			have, err := m.Forward(context.Background(), golden.Ints("prompt.ids"))
			if err != nil {
				t.Fatal(err)
			}
			var diff, top float64
			for i, v := range golden.Values("prompt.logits") {
				diff, top = max(diff, math.Abs(float64(v-have[i]))), max(top, math.Abs(float64(v)))
			}
			if diff > 1e-5*top {
				t.Errorf("greatest difference %g of %g", diff, top)
			}
		})
	}
}

// Rounded again, with a note; inputs that the tool rounds are told too.
func TestAgain(t *testing.T) {
	p, err := MakePlan(Options{In: "quantized/testdata/whole/gptq-4b-g32-descact", Scheme: "da8w8", Out: filepath.Join(t.TempDir(), "m.qpt"), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const want = "7 matrices are quantized already (gptq int4): they are rounded again"
	if !slices.ContainsFunc(p.Warn, func(s string) bool { return strings.Contains(s, want) }) {
		t.Errorf("notes %q", p.Warn)
	}
	rep, err := p.Run(context.Background(), Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Items {
		if p.Items[i].Scheme == "da8w8" && !(rep.Tensors[i].SQNR > 35) {
			t.Errorf("%s: %v dB", p.Items[i].Name, rep.Tensors[i].SQNR)
		}
	}
}

// Inputs as the checkpoint asks, which is nothing here, or as told.
func TestKeepInputs(t *testing.T) {
	for inputs, want := range map[string]linear.RoundKind{"": linear.RoundNone, "exact": linear.RoundNone, "int16": linear.RoundInt16, "int8": linear.RoundInt8} {
		p, err := MakePlan(Options{In: imports + "llama-q4_0.gguf", Inputs: inputs, Out: filepath.Join(t.TempDir(), "m.qpt"), References: -1, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Run(context.Background(), Hooks{}); err != nil {
			t.Fatal(err)
		}
		m, err := lm.Load(p.Opt.Out, runtime.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		l, err := m.Linear("model.layers.0.self_attn.q_proj.weight", "")
		if err != nil || l.Weight.Coded.Round.Kind != want {
			t.Errorf("inputs %q: %+v, %v", inputs, l.Weight.Coded, err)
		}
	}
	if _, err := MakePlan(Options{In: imports + "llama-q4_0.gguf", Inputs: "int7", Out: filepath.Join(t.TempDir(), "m.qpt")}); err == nil || !strings.Contains(err.Error(), `"int7"`) {
		t.Error(err)
	}
}
