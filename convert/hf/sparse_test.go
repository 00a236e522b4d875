package hf

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qpt/format/graph"
)

// TestSparse: keys that are absent mean what the family's configuration class in transformers has for them: config.json of each
// family without the keys that say just that (sparse.json) is the same model.
func TestSparse(t *testing.T) {
	files, err := filepath.Glob("../../testdata/families/*/sparse.json")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		read := func(name string) (*Model, string) {
			data, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
			if err != nil {
				t.Fatal(err)
			}
			m, err := Parse(data, nil)
			if err != nil {
				t.Errorf("%s of %s: %v", name, filepath.Base(filepath.Dir(file)), err)
				return nil, ""
			}
			b, err := graph.Marshal(m.Graph)
			if err != nil {
				t.Fatal(err)
			}
			return m, string(b)
		}
		full, want := read("config.json")
		sparse, got := read("sparse.json")
		if full == nil || sparse == nil {
			continue
		}
		if got != want {
			t.Errorf("%s: another graph:\n%s", filepath.Dir(file), cmp.Diff(want, got))
		}
		if sparse.BOS != full.BOS || !slices.Equal(sparse.EOS, full.EOS) || sparse.MaxPos != full.MaxPos || (sparse.tied == nil) != (full.tied == nil) {
			t.Errorf("%s: begin %d, ends %v, %d positions; want %d, %v, %d", filepath.Dir(file), sparse.BOS, sparse.EOS, sparse.MaxPos, full.BOS, full.EOS, full.MaxPos)
		}
	}
}

// TestSpellings: what config.json may say in more than one way, or to no effect, and what it may not.
func TestSpellings(t *testing.T) {
	keys := func(set ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(set); i += 2 {
			m[set[i]] = set[i+1]
		}
		return m
	}
	factors := `"short_factor":[1,1.1,1.2,1.3,1.4],"long_factor":[1.5,2,3,4,5]`
	for _, c := range []struct {
		family string
		a, b   map[string]string // on top of config.json
		same   bool
	}{
		{"phi3", keys("rope_scaling", `{"type":"longrope",`+factors+`}`), keys("rope_scaling", `{"type":"su",`+factors+`}`), true},
		{"phi3", keys("rope_scaling", `{"type":"longrope",`+factors+`}`), keys("rope_scaling", `{"type":"yarn",`+factors+`}`), true},
		{"gemma", keys("hidden_activation", `"gelu"`), keys("hidden_activation", "null"), true},
		{"gemma", keys("hidden_act", `"relu"`), keys(), false},
		{"gemma", keys("hidden_act", `"gelu"`, "hidden_activation", "null"), keys("hidden_act", `"gelu_pytorch_tanh"`, "hidden_activation", "null"), true},
		{"qwen2", keys("use_sliding_window", "false", "sliding_window", "8", "layer_types", "null"), keys("use_sliding_window", "false", "sliding_window", "null", "layer_types", "null"), true},
		{"qwen2", keys("layer_types", "null", "max_window_layers", "0"), keys("layer_types", "null", "max_window_layers", "1"), false},
		{"qwen2", keys("layer_types", `["full_attention","sliding_attention"]`, "max_window_layers", "0"), keys("layer_types", `["full_attention","sliding_attention"]`, "max_window_layers", "2"), true},
		{"falcon-40b", keys("multi_query", "true"), keys("multi_query", "false"), true},
		{"falcon-40b", keys("num_ln_in_parallel_attn", "1"), keys(), false},
		{"deepseek_v2", keys("norm_topk_prob", "true"), keys("norm_topk_prob", "false"), true},
		{"deepseek_v2", keys("head_dim", "64"), keys("head_dim", "null"), true},
		{"deepseek_v2", keys("topk_method", `"greedy"`), keys(), false},
		{"deepseek_v3", keys("rope_interleave", "false"), keys(), false},
		{"deepseek_v3", keys("num_nextn_predict_layers", "1"), keys(), true},
		{"gpt_oss", keys("swiglu_alpha", "1.4"), keys("swiglu_alpha", "1.702"), false},
		{"gpt_neox", keys("hidden_act", `"gelu_python"`), keys("hidden_act", `"gelu"`), true},
		{"bloom", keys("slow_but_exact", "true"), keys(), true},
		{"smollm3", keys("no_rope_layers", "[0,1]"), keys("no_rope_layers", "[1,0]"), false},
		{"gpt2", keys("scale_attn_by_inverse_layer_idx", "false"), keys(), false},
		{"bloom", keys("apply_residual_connection_post_layernorm", "true"), keys(), false},
		{"gpt_neox", keys("use_parallel_residual", "false"), keys(), false},
		{"granite", keys("logits_scaling", "1.5"), keys(), false},
		{"cohere", keys("logit_scale", "0.5"), keys(), false},
		{"qwen3_moe", keys("norm_topk_prob", "false"), keys(), false},
		{"qwen2_moe", keys("decoder_sparse_step", "3"), keys("decoder_sparse_step", "1"), false},
		// transformers windows the even ones of the first layers there, all layers here
		{"qwen2_moe", keys("use_sliding_window", "true", "sliding_window", "8", "max_window_layers", "1", "layer_types", "null"), keys("use_sliding_window", "true", "sliding_window", "8", "layer_types", `["sliding_attention","full_attention"]`), true},
		{"qwen3_moe", keys("use_sliding_window", "true", "sliding_window", "8", "max_window_layers", "1"), keys("use_sliding_window", "true", "sliding_window", "8", "max_window_layers", "28"), true},
		{"qwen3_moe", keys("use_sliding_window", "true", "sliding_window", "8"), keys("use_sliding_window", "false", "sliding_window", "8"), false},
		{"mistral", keys("layer_types", `["full_attention","sliding_attention"]`), keys(), true},
		{"gemma3", keys("attn_logit_softcapping", "5.0"), keys("attn_logit_softcapping", "null"), true},
		{"mixtral", keys("num_key_value_heads", "null"), keys("num_key_value_heads", "4"), true},
	} {
		parsed := func(set map[string]string) string {
			data, err := os.ReadFile("../../testdata/families/" + c.family + "/config.json")
			if err != nil {
				t.Fatal(err)
			}
			var all map[string]json.RawMessage
			if err := json.Unmarshal(data, &all); err != nil {
				t.Fatal(err)
			}
			for k, v := range set {
				all[k] = json.RawMessage(v)
			}
			if data, err = json.Marshal(all); err != nil {
				t.Fatal(err)
			}
			m, err := Parse(data, nil)
			if err != nil {
				t.Errorf("%s with %v: %v", c.family, set, err)
				return ""
			}
			if data, err = graph.Marshal(m.Graph); err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		if a, b := parsed(c.a), parsed(c.b); (a == b) != c.same {
			t.Errorf("%s: %v and %v mean one model: %v, want %v", c.family, c.a, c.b, a == b, c.same)
		}
	}
}

// TestOddRotary: of an odd number of values that turn there is one more, and the exponents are those of the odd number (GLM, GPT-NeoX).
func TestOddRotary(t *testing.T) {
	data, err := os.ReadFile("../../testdata/families/glm/config.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(bytes.Replace(data, []byte(`"head_dim": 12`), []byte(`"head_dim": 14`), 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Graph.Nodes {
		if r, ok := n.Op.(graph.RoPE); ok {
			if want := float64(float32(math.Pow(10000, -2./7))); r.Rotary != 8 || len(r.Freqs) != 4 || r.Freqs[1] != want {
				t.Errorf("%d values turn, by %v, want 8, the second pair by %v", r.Rotary, r.Freqs, want)
			}
			return
		}
	}
	t.Error("there is no rope")
}
