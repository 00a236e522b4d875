package checkpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/checkpoint"
	"qpt/convert/safetensors/sttest"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

const families = "../../testdata/families"

// TestFamilies: a checkpoint of each family, in the spelling of transformers 4 too, against the library's
// own results: logits and hidden states, on the FP32 executor.
func TestFamilies(t *testing.T) {
	dirs, err := filepath.Glob(families + "/*")
	if err != nil || len(dirs) < 40 {
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
				err := os.CopyFS(here, os.DirFS(dir))
				if err == nil {
					err = os.WriteFile(filepath.Join(here, "config.json"), data, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
				family(t, here)
			})
		}
	}
}

// lessOf is what files of llama.cpp cannot say of a checkpoint in testdata, as keys of config.json.
var lessOf = map[string]map[string]any{
	"bert-sentence":        {"hidden_act": "gelu"},
	"cohere2":              {"layer_types": []string{"sliding_attention", "sliding_attention"}},
	"gemma2":               {"query_pre_attn_scalar": 12},
	"gemma3":               {"query_pre_attn_scalar": 12, "layer_types": []string{"sliding_attention", "sliding_attention"}},
	"deepseek_v3":          {"rope_scaling": map[string]any{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512, "mscale": 0.8, "mscale_all_dim": 0.8}},
	"distilbert":           {"architectures": []string{"DistilBertModel"}},
	"dots1":                {"sliding_window": nil, "layer_types": nil, "max_window_layers": nil},
	"ernie4_5":             {"hidden_act": "silu"},
	"modernbert":           {"architectures": []string{"ModernBertModel"}},
	"nomic_bert-embedding": {"hidden_act": "silu"},
	"seed_oss":             {"hidden_act": "silu"},
	"gemma3-embedding":     {"query_pre_attn_scalar": 12, "layer_types": []string{"sliding_attention", "sliding_attention"}},
	"gpt2":                 {"scale_attn_by_inverse_layer_idx": false},
	"gpt_oss":              {"swiglu_limit": 7},
	"phi":                  {"qk_layernorm": false},
	"qwen2":                {"use_sliding_window": false, "layer_types": nil, "sliding_window": nil},
	"smollm3":              {"no_rope_layers": []int{1, 1}},
}

// TestArchitectures: files of llama.cpp's architectures (testdata/gen/gguf_arch.py) give the logits of the checkpoints that they are made of.
func TestArchitectures(t *testing.T) {
	files, err := filepath.Glob("../../testdata/import/arch/*.gguf")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d architectures in testdata: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".gguf")
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(families, name))); err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(strings.TrimSuffix(file, ".gguf") + ".safetensors"); err == nil { // in place of the family's
				if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			config := map[string]any{}
			data, err := os.ReadFile(filepath.Join(dir, "legacy.json"))
			if errors.Is(err, os.ErrNotExist) { // encoders
				data, err = os.ReadFile(filepath.Join(dir, "config.json"))
			}
			if err == nil {
				err = json.Unmarshal(data, &config)
			}
			if err != nil {
				t.Fatal(err)
			}
			for key, v := range lessOf[name] {
				if config[key] = v; v == nil {
					delete(config, key)
				}
			}
			if data, err = json.Marshal(config); err == nil {
				err = os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			ids := make([]int32, 20)
			for i := range ids {
				ids[i] = int32(i * 7 % 80)
			}
			result := func(path string) []float32 {
				f, err := checkpoint.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				g := f.Model.Graph
				b := ref.Texts(g, ref.Seq{IDs: ids})
				if slices.ContainsFunc(g.Inputs, func(v graph.Value) bool { return v.Name == "token_type_ids" }) {
					b.Inputs["token_type_ids"] = graph.Tensor{Shape: b.Inputs["ids"].Shape, I: make([]int32, len(ids))}
				}
				out, err := ref.Run(context.Background(), g, graph.Views(g, f.Tensors), b, ref.Options{Dot: linear.MatMul()})
				if err != nil {
					t.Fatal(err)
				}
				return out[max(slices.Index(g.Outputs, "logits"), slices.Index(g.Outputs, "last_hidden_state"))].F
			}
			within(t, "what comes out", result(file), result(dir))
		})
	}
}

func family(t *testing.T, dir string) {
	f, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	golden, g := sttest.Open(t, filepath.Join(dir, "goldens.safetensors")), *f.Model.Graph
	named := map[string]string{} // goldens, to values
	for _, v := range g.Outputs {
		named[v] = v
	}
	for j, v := range g.Hidden {
		switch j {
		case len(g.Hidden) - 2: // the library shows what the last layer gives after the last norm alone
		case len(g.Hidden) - 1:
			named["hidden.final"] = v
		default:
			named[fmt.Sprint("hidden.", j)] = v
		}
		if !slices.Contains(g.Outputs, v) {
			g.Outputs = append(g.Outputs, v)
		}
	}
	for i := range 2 {
		at := fmt.Sprintf("p%d.", i)
		b := ref.Texts(&g, ref.Seq{IDs: golden.Ints(at + "input_ids")})
		if slices.ContainsFunc(g.Inputs, func(v graph.Value) bool { return v.Name == "token_type_ids" }) {
			types := graph.Tensor{Shape: b.Inputs["ids"].Shape}
			if name := at + "token_type_ids"; golden.Has(name) {
				types.I = golden.Ints(name)
			} else {
				types.I = make([]int32, types.Shape[0])
			}
			b.Inputs["token_type_ids"] = types
		}
		out, err := ref.Run(context.Background(), &g, graph.Views(&g, f.Tensors), b, ref.Options{Dot: linear.MatMul()})
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range named {
			if golden.Has(at + name) {
				within(t, at+name, out[slices.Index(g.Outputs, v)].F, golden.Values(at+name))
			} else if name != "scores" {
				t.Errorf("no golden %s%s", at, name)
			}
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
