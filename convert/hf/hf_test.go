package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qpt/format/graph"
)

// tinyConfig is a valid configuration; tests change one key at a time.
const tinyConfig = `{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":10,"hidden_size":8,
"intermediate_size":12,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":64}`

// with returns tinyConfig with keys set to JSON values; "" removes a key.
func with(t testing.TB, set map[string]string) []byte {
	t.Helper()
	var keys map[string]json.RawMessage
	if err := json.Unmarshal([]byte(tinyConfig), &keys); err != nil {
		t.Fatal(err)
	}
	for k, v := range set {
		if v == "" {
			delete(keys, k)
		} else {
			keys[k] = json.RawMessage(v)
		}
	}
	data, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRealConfigs: config.json of released models, as published
// (testdata/*.json), against what is known of them.
func TestRealConfigs(t *testing.T) {
	for _, c := range []struct {
		file                                         string
		layers, hidden, inter, heads, kv, dim, vocab int
		maxPos, bos                                  int
		eos                                          []int
		params                                       int // parameters of the published model
		eps                                          float64
		tied                                         bool
	}{
		{"llama-7b", 32, 4096, 11008, 32, 32, 128, 32000, 2048, 1, []int{2}, 6738415616, 1e-6, false},
		{"llama-2-7b", 32, 4096, 11008, 32, 32, 128, 32000, 4096, 1, []int{2}, 6738415616, 1e-5, false},
		{"llama-3-8b", 32, 4096, 14336, 32, 8, 128, 128256, 8192, 128000, []int{128001}, 8030261248, 1e-5, false},
		{"llama-3.1-8b", 32, 4096, 14336, 32, 8, 128, 128256, 131072, 128000, []int{128001, 128008, 128009}, 8030261248, 1e-5, false},
		{"llama-3.2-1b", 16, 2048, 8192, 32, 8, 64, 128256, 131072, 128000, []int{128001}, 1235814400, 1e-5, true},
		{"tinyllama-1.1b", 22, 2048, 5632, 32, 4, 64, 32000, 2048, 1, []int{2}, 1100048384, 1e-5, false},
	} {
		t.Run(c.file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", c.file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			m, err := Parse(data, nil)
			if err != nil {
				t.Fatal(err)
			}
			if m.Vocab != c.vocab || m.MaxPos != c.maxPos || m.BOS != c.bos || !cmp.Equal(m.EOS, c.eos) || m.Type != "llama" {
				t.Errorf("%+v", m)
			}
			total, params := 0, m.Graph.ParamMap()
			for _, p := range params {
				n := 1
				for _, d := range p.Shape {
					n *= d
				}
				total += n
			}
			if total != c.params {
				t.Errorf("%d parameters, want %d", total, c.params)
			}
			if _, own := params["lm_head.weight"]; own == c.tied {
				t.Errorf("lm_head.weight present: %v", own)
			}
			attentions := 0
			for _, n := range m.Graph.Nodes {
				switch op := n.Op.(type) {
				case graph.Attention:
					attentions++
					want := graph.Attention{Heads: c.heads, KVHeads: c.kv, HeadDim: c.dim, Scale: 1 / math.Sqrt(float64(c.dim)),
						Mask: graph.Mask{Kind: "causal"}, Cache: n.Name}
					if !cmp.Equal(op, want) {
						t.Errorf("%+v", op)
					}
				case graph.RMSNorm:
					if op.Eps != c.eps {
						t.Errorf("%s: eps %v", n.Name, op.Eps)
					}
				}
			}
			if attentions != c.layers {
				t.Errorf("%d attentions", attentions)
			}
			if p := params["model.layers.0.mlp.down_proj.weight"]; !cmp.Equal(p.Shape, []int{c.hidden, c.inter}) {
				t.Errorf("down_proj %v", p.Shape)
			}
			if data, err := graph.Marshal(m.Graph); err != nil || len(data) > 1<<20 {
				t.Errorf("%d bytes of JSON: %v", len(data), err)
			}
		})
	}
}

// TestRope: frequencies against testdata/llama-variants/rope.json, which torch
// computed in float32; a few units in the last place apart.
func TestRope(t *testing.T) {
	data, err := os.ReadFile("../../testdata/llama-variants/rope.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string][]float64
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	const l31 = `"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192`
	for _, c := range []struct {
		name   string
		dim    string
		length int
		set    map[string]string
	}{
		{"default-128", "128", 1, nil},
		{"default-128", "128", 1, map[string]string{"rope_scaling": `{"rope_type":"default"}`}},
		{"default-128", "128", 1, map[string]string{"rope_parameters": `{"rope_type":"default","rope_theta":10000.0}`}},
		{"llama3-8B", "128", 1, map[string]string{"rope_theta": "500000.0"}},
		{"llama3-8B", "128", 1, map[string]string{"rope_parameters": `{"rope_theta":500000,"partial_rotary_factor":1.0}`}},
		{"llama3.1-8B", "128", 1, map[string]string{"rope_theta": "500000.0", "rope_scaling": `{"rope_type":"llama3","factor":8.0,` + l31 + `}`}},
		{"llama3.2-1B", "64", 1, map[string]string{"rope_parameters": `{"rope_theta":500000.0,"rope_type":"llama3","factor":32.0,` + l31 + `}`}},
		{"linear-4", "128", 1, map[string]string{"rope_scaling": `{"type":"linear","factor":4.0}`}},
		{"linear-4", "128", 1, map[string]string{"rope_scaling": `{"type":"linear","rope_type":"linear","factor":4}`}},
		// As transformers 5 decides where the keys disagree.
		{"linear-4", "128", 1, map[string]string{"rope_scaling": `{"type":"dynamic","rope_type":"linear","factor":4}`}},
		{"linear-4", "128", 1, map[string]string{"rope_scaling": `{"type":"linear","factor":4}`, "rope_parameters": `{"rope_type":"default","rope_theta":500000.0}`}},
		{"linear-4", "128", 1, map[string]string{"rope_scaling": `{}`, "rope_parameters": `{"rope_type":"linear","factor":4.0}`}},
		{"linear-4", "128", 1, map[string]string{"rope_scaling": `{"type":"linear","factor":4,"original_max_position_embeddings":8,"low_freq_factor":null,"finetuned":true}`}},
		{"default-128", "128", 1, map[string]string{"rope_scaling": `{"factor":2}`}},
		{"default-128", "128", 1, map[string]string{"rope_theta": "500000.0", "rope_parameters": `{"rope_theta":10000.0}`}},
		{"llama3.1-8B", "128", 1, map[string]string{"rope_theta": "500000.0", "max_position_embeddings": "8192", "rope_scaling": `{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0}`}},
		{"llama3.1-8B", "128", 1, map[string]string{"rope_theta": "500000.0", "original_max_position_embeddings": "8192", "rope_scaling": `{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":16}`}},
		{"default-128", "128", 1, map[string]string{"rope_scaling": `{"type":"dynamic","factor":2.0}`, "max_position_embeddings": "2048"}},
		{"dynamic-2 at 2048", "128", 2048, map[string]string{"rope_scaling": `{"type":"dynamic","factor":2.0}`, "max_position_embeddings": "2048"}},
		{"dynamic-2 at 2049", "128", 2049, map[string]string{"rope_scaling": `{"rope_type":"dynamic","factor":2.0}`, "max_position_embeddings": "2048"}},
		{"dynamic-2 at 8000", "128", 8000, map[string]string{"rope_scaling": `{"type":"dynamic","factor":2.0}`, "max_position_embeddings": "2048"}},
	} {
		set := map[string]string{"head_dim": c.dim}
		for k, v := range c.set {
			set[k] = v
		}
		m, err := Parse(with(t, set), nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, n := range m.Graph.Nodes {
			op, ok := n.Op.(graph.RoPE)
			if !ok {
				continue
			}
			got, want := op.FreqsAt(c.length), golden[c.name]
			if len(got) != len(want) || len(want) == 0 {
				t.Fatalf("%s: %d frequencies, want %d", c.name, len(got), len(want))
			}
			for i := range got {
				if math.Abs(got[i]/want[i]-1) > 5e-7 {
					t.Errorf("%s, %s: freqs[%d] = %.9g, want %.9g", c.name, n.Name, i, got[i], want[i])
				}
			}
			break
		}
	}
}

// TestErrors: one key changed, one error by name.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		kind error
		want string
		set  map[string]string
	}{
		{ErrUnsupported, `model_type: "mamba": its layers keep a recurrent state; qconv families lists what converts`, map[string]string{"model_type": `"mamba"`}},
		{ErrConfig, "architectures: 7 is not a list", map[string]string{"architectures": "7"}},
		{ErrConfig, "hidden_size: is missing", map[string]string{"hidden_size": ""}},
		{ErrConfig, "hidden_size: is missing", map[string]string{"hidden_size": "null"}},
		{ErrConfig, `hidden_size: "8" is not an integer`, map[string]string{"hidden_size": `"8"`}},
		{ErrConfig, "hidden_size: 8.5 is not an integer", map[string]string{"hidden_size": "8.5"}},
		{ErrConfig, "hidden_size: 1e30 is not an integer", map[string]string{"hidden_size": "1e30"}},
		{ErrConfig, "hidden_size: -8 is out of range 1 to 65536", map[string]string{"hidden_size": "-8"}},
		{ErrConfig, "hidden_size: 2147483647 is out of range", map[string]string{"hidden_size": "2147483647"}},
		{ErrConfig, "vocab_size: 1000000000 is out of range", map[string]string{"vocab_size": "1000000000"}},
		{ErrConfig, "num_hidden_layers: 513 is out of range", map[string]string{"num_hidden_layers": "513"}},
		{ErrConfig, "hidden_size: 9 does not divide by num_attention_heads 4", map[string]string{"hidden_size": "9"}},
		{ErrConfig, "num_attention_heads: 4 does not divide by num_key_value_heads 3", map[string]string{"num_key_value_heads": "3"}},
		{ErrConfig, "head_dim: 3 must be even", map[string]string{"head_dim": "3"}},
		{ErrConfig, "are wider than 65536", map[string]string{"head_dim": "512", "num_attention_heads": "256"}},
		{ErrConfig, "rms_norm_eps: -1 is out of range", map[string]string{"rms_norm_eps": "-1"}},
		{ErrConfig, "rms_norm_eps: 1e999 is not a number", map[string]string{"rms_norm_eps": "1e999"}},
		{ErrConfig, "attention_bias: 1 is not true or false", map[string]string{"attention_bias": "1"}},
		{ErrUnsupported, `hidden_act: "xielu"; known: silu`, map[string]string{"hidden_act": `"xielu"`}},
		{ErrConfig, "eos_token_id: 10 is out of range 0 to 9", map[string]string{"eos_token_id": "10"}},
		{ErrConfig, "eos_token_id: 11 is out of range", map[string]string{"eos_token_id": "[2,11]"}},
		{ErrConfig, "bos_token_id: -1 is out of range", map[string]string{"bos_token_id": "-1"}},
		{ErrConfig, "pretraining_tp: 0 is out of range", map[string]string{"pretraining_tp": "0"}},
		{ErrUnsupported, "sliding_window: unknown key", map[string]string{"sliding_window": "4096"}},
		{ErrUnsupported, "a_key, b_key: unknown key", map[string]string{"b_key": "1", "a_key": "2"}},
		{ErrUnsupported, `is_causal: false; only true`, map[string]string{"is_causal": "false"}},
		{ErrUnsupported, `layer_types: "sliding_attention"; only`, map[string]string{"layer_types": `["full_attention","sliding_attention"]`}},
		{ErrUnsupported, "transformers_weights: unknown key", map[string]string{"transformers_weights": `"other.safetensors"`}},
		{ErrUnsupported, "partial_rotary_factor: 0.5", map[string]string{"partial_rotary_factor": "0.5"}},
		{ErrUnsupported, "rope_scaling: unsupported config: mrope_section: unknown key", map[string]string{"rope_scaling": `{"type":"linear","factor":2,"mrope_section":[1]}`}},
		{ErrUnsupported, "rope_interleaved: true; only false", map[string]string{"rope_interleaved": "true"}},
		{ErrUnsupported, `rope_scaling: unsupported config: rope_type: "mrope"; known`, map[string]string{"rope_scaling": `{"rope_type":"mrope","factor":2}`}},
		{ErrUnsupported, "rope_scaling: unsupported config: beta: unknown key", map[string]string{"rope_scaling": `{"rope_type":"linear","factor":2,"beta":1}`}},
		{ErrUnsupported, "partial_rotary_factor: 0.5", map[string]string{"rope_parameters": `{"partial_rotary_factor":0.5}`}},
		{ErrConfig, "rope_scaling: invalid config: factor: is missing", map[string]string{"rope_scaling": `{"type":"linear"}`}},
		{ErrConfig, "factor: 0 is out of range", map[string]string{"rope_scaling": `{"type":"dynamic","factor":0}`}},
		{ErrConfig, "rope_scaling: 4 is not an object", map[string]string{"rope_scaling": "4"}},
		{ErrConfig, "rope_theta: 0 is out of range", map[string]string{"rope_theta": "0"}},
		{ErrConfig, "high_freq_factor: 1 must be above low_freq_factor 4", map[string]string{"rope_scaling": `{"type":"llama3","factor":2,"low_freq_factor":4,"high_freq_factor":1,"original_max_position_embeddings":8}`}},
		{ErrConfig, "rope (C7)", map[string]string{"rope_scaling": `{"type":"dynamic","factor":2}`}}, // head_dim 2: d-2 = 0
	} {
		m, err := Parse(with(t, c.set), nil)
		if err == nil || m != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v\nwant %s", c.set, err, c.want)
		}
	}
	for doc, want := range map[string]string{
		"":                                     "unexpected end",
		"[]":                                   "must be a json object",
		"null":                                 "must be a json object",
		"{":                                    "unexpected end",
		"{}":                                   `model_type: is missing: it says what model this is; qconv families lists what converts`,
		`{"model_type":"llama"} x`:             "after top-level value",
		`{"hidden_size":1,"hidden_size":2}`:    `key "hidden_size" appears twice`,
		`{"rope_scaling":{"type":1,"type":2}}`: `key "rope_scaling.type" appears twice`,
	} {
		if _, err := Parse([]byte(doc), nil); err == nil || !strings.Contains(err.Error(), want) ||
			!errors.Is(err, ErrConfig) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %v, want %s", doc, err, want)
		}
	}
}

// TestDefaults: what transformers' LlamaConfig assumes for absent keys.
func TestDefaults(t *testing.T) {
	m, err := Parse(with(t, map[string]string{"num_key_value_heads": "", "max_position_embeddings": "null", "vocab_size": "100"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.MaxPos != 2048 || m.BOS != 1 || !cmp.Equal(m.EOS, []int{2}) {
		t.Errorf("%+v", m)
	}
	var b bytes.Buffer
	if err := m.Graph.Dump(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"%model.layers.1.self_attn.k_proj [T, 8] = linear(%model.layers.1.input_layernorm) {model.layers.1.self_attn.k_proj.weight [8, 8]}",
		"eps=0.000001", "func=silu", "freqs=[1]", "{lm_head.weight [100, 8]}", "%gather [R, 8] = gather(%model.layers.1.mlp_residual, %rows)",
		"%model.norm [R, 8] = rmsnorm(%gather)", "output %logits",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestGenerationConfig(t *testing.T) {
	for _, c := range []struct {
		config, generation string
		bos                int
		eos                []int
		want               string
	}{
		{`{}`, ``, 1, []int{2}, ""},
		{`{"bos_token_id":"null","eos_token_id":"null"}`, ``, -1, nil, ""},
		{`{"bos_token_id":"3","eos_token_id":"[4,5]"}`, ``, 3, []int{4, 5}, ""},
		{`{"bos_token_id":"3","eos_token_id":"4"}`, `{"eos_token_id":[6,7],"temperature":0.6,"whatever":{}}`, 3, []int{6, 7}, ""},
		{`{}`, `{"bos_token_id":8,"eos_token_id":9}`, 8, []int{9}, ""},
		{`{}`, `{"suppress_tokens":[],"guidance_scale":1,"sequence_bias":null}`, 1, []int{2}, ""},
		{`{}`, `{"eos_token_id":10}`, 0, nil, "generation_config.json: invalid config: eos_token_id: 10 is out of range"},
		{`{}`, `{"eos_token_id":1,"eos_token_id":2}`, 0, nil, `generation_config.json: invalid config: json: key "eos_token_id" appears twice`},
		{`{}`, `[]`, 0, nil, "generation_config.json: invalid config: must be a json object"},
	} {
		var set map[string]string
		if err := json.Unmarshal([]byte(c.config), &set); err != nil {
			t.Fatal(err)
		}
		var gen []byte
		if c.generation != "" {
			gen = []byte(c.generation)
		}
		m, err := Parse(with(t, set), gen)
		switch {
		case c.want != "":
			if err == nil || !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %s", c.generation, err, c.want)
			}
		case err != nil || m.BOS != c.bos || !cmp.Equal(m.EOS, c.eos):
			t.Errorf("%s %s: %+v %v", c.config, c.generation, m, err)
		}
	}
}

// TestWithoutEffect: keys that are null or change nothing, those of SmolLM2 among them.
func TestWithoutEffect(t *testing.T) {
	dump := func(config []byte) string {
		m, err := Parse(config, nil)
		if err != nil {
			t.Fatalf("%s: %v", config, err)
		}
		var b bytes.Buffer
		if err := m.Graph.Dump(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	want := dump(with(t, nil))
	for key, value := range map[string]string{
		"_model_name_or_path": `"x"`, "_name_or_path": `"x"`, "_flash_attn_2_enabled": "true", "unk_token_id": "0", "mask_token_id": "7", "pad_token_id": "-1",
		"quantization_config": "null", "sliding_window": "null", "num_experts": "null", "auto_map": "null", "rope_scaling": "null", "rope_parameters": "null",
		"layer_types": `["full_attention","full_attention"]`, "is_causal": "true", "is_decoder": "true", "use_sliding_window": "false", "rope_interleaved": "false", "is_llama_config": "true",
		"transformers.js_config": `{"dtype":"q4"}`, "torch_dtype": `"bfloat16"`, "dtype": `"float16"`, "attention_dropout": "0.1", "id2label": `{"0":"a"}`, "temperature": "0.6",
		"architectures": `["LlamaModel"]`, "tokenizer_class": `"GPT2Tokenizer"`, "head_dim": "null", "num_key_value_heads": "2", "attention_bias": "null", "max_sequence_length": "64",
		"pretraining_tp": "2", "original_max_position_embeddings": "32", "use_cache": "false", "partial_rotary_factor": "1.0",
	} {
		if got := dump(with(t, map[string]string{key: value})); got != want {
			t.Errorf("%s = %s changes the graph", key, value)
		}
	}
	smol := []byte(`{"_model_name_or_path":"x","architectures":["LlamaForCausalLM"],"attention_bias":false,"attention_dropout":0.0,"bos_token_id":1,"eos_token_id":2,"hidden_act":"silu",
		"hidden_size":576,"initializer_range":0.041666666666666664,"intermediate_size":1536,"is_llama_config":true,"max_position_embeddings":8192,"model_type":"llama","num_attention_heads":9,
		"num_hidden_layers":30,"num_key_value_heads":3,"pad_token_id":2,"pretraining_tp":1,"rms_norm_eps":1e-05,"rope_interleaved":false,"rope_scaling":null,"rope_theta":100000,
		"tie_word_embeddings":true,"torch_dtype":"bfloat16","transformers.js_config":{"kv_cache_dtype":{"q4f16":"float16"}},"transformers_version":"4.42.3","unk_token_id":0,"use_cache":true,"vocab_size":49152}`)
	if m, err := Parse(smol, nil); err != nil || m.MaxPos != 8192 || len(m.Notes) != 0 {
		t.Errorf("SmolLM2: %+v, %v", m, err)
	}
}

// TestNotes: what is not followed is told.
func TestNotes(t *testing.T) {
	for _, c := range []struct {
		set        map[string]string
		generation string
		want       string
	}{
		{map[string]string{"auto_map": `{"AutoModel":"x.Y"}`}, "", "config.json: auto_map is not followed"},
		{map[string]string{"architectures": `["LlamaForQuestionAnswering"]`}, "", `architectures says ["LlamaForQuestionAnswering"]`},
		{map[string]string{"rope_scaling": `{"type":"linear","factor":2}`, "rope_parameters": `{"rope_type":"default"}`, "head_dim": "4"}, "", "rope_scaling counts and rope_parameters does not"},
		{nil, `{"do_sample":true,"temperature":0.6,"top_p":0.9,"top_k":50,"max_new_tokens":null}`, "generation_config.json: suggests do_sample true, temperature 0.6, top_p 0.9"},
		{nil, `{"do_sample":false,"temperature":1,"top_p":1.0,"whatever":{},"transformers_version":"5"}`, ""},
	} {
		var gen []byte
		if c.generation != "" {
			gen = []byte(c.generation)
		}
		m, err := Parse(with(t, c.set), gen)
		if err != nil {
			t.Errorf("%v: %v", c.set, err)
		} else if got := strings.Join(m.Notes, "; "); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v %s: notes %q, want %q", c.set, c.generation, got, c.want)
		}
	}
}

// store is a checkpoint's tensors: shapes, and what tells values apart.
type store map[string]struct {
	shape []int
	value string
}

func (s store) Names() []string         { return slices.Sorted(maps.Keys(s)) }
func (s store) Shape(name string) []int { return s[name].shape }
func (s store) Equal(a, b string) (bool, error) {
	return s[a].value == s[b].value, nil
}

func (s store) Natural(name string) bool       { return s[name].value == "natural" }
func (s store) Idle(name string) (bool, error) { return s[name].value == "idle", nil }

func TestFit(t *testing.T) {
	tied := map[string]string{"tie_word_embeddings": "true"}
	for _, c := range []struct {
		name   string
		set    map[string]string
		change func(s store)
		want   string // ignored tensors, or part of the error
		params int
		note   string
		view   string // param=tensor
	}{
		{"as it is", tied, nil, "[]", 20, "", ""},
		{"old and repeated tensors", tied, func(s store) {
			s.put("model.layers.1.self_attn.rotary_emb.inv_freq", "", 1)
			s.put("lm_head.weight", "", 10, 8)
		}, "[lm_head.weight model.layers.1.self_attn.rotary_emb.inv_freq]", 20, "", ""},
		{"a head that differs", tied, func(s store) { s.put("lm_head.weight", "other", 10, 8) }, "[]", 21, "lm_head.weight and model.embed_tokens.weight differ", ""},
		{"the head alone", tied, func(s store) { s.rename("model.embed_tokens.weight", "lm_head.weight") }, "[]", 20, "", "model.embed_tokens.weight=lm_head.weight"},
		{"a bias of zeros", tied, func(s store) { s.put("model.layers.0.mlp.up_proj.bias", "idle", 12) }, "[model.layers.0.mlp.up_proj.bias]", 20, "", ""},
		{"a head of another shape", tied, func(s store) { s.put("lm_head.weight", "", 9, 8) }, "[lm_head.weight]", 20, "", ""},
		{"no prefix", tied, func(s store) {
			for _, name := range s.Names() {
				s.rename(name, strings.TrimPrefix(name, "model."))
			}
			s.put("layers.0.self_attn.rotary_emb.inv_freq", "", 1)
		}, "[layers.0.self_attn.rotary_emb.inv_freq]", 20, "", "model.layers.1.mlp.up_proj.weight=layers.1.mlp.up_proj.weight"},
		{"no prefix here and there, with a head", nil, func(s store) {
			s.rename("model.norm.weight", "norm.weight")
			s.rename("lm_head.weight", "model.lm_head.weight")
		}, "[]", 21, "", "model.norm.weight=norm.weight"},
		{"another prefix", tied, func(s store) {
			for _, name := range s.Names() {
				s.rename(name, "language_model."+name)
			}
		}, `names begin with "language_model."`, 0, "", ""},
		{"GPTQ", tied, func(s store) {
			for _, name := range s.Names() {
				if strings.HasSuffix(name, "_proj.weight") {
					s.rename(name, strings.TrimSuffix(name, "weight")+"qweight")
				}
			}
		}, `the tensor "model.layers.0.mlp.down_proj.qweight" tells that the checkpoint is quantized by GPTQ or AWQ, but nothing says how`, 0, "", ""},
		{"an adapter", tied, func(s store) {
			clear(s)
			s.put("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "", 4, 8)
		}, "an adapter (LoRA)", 0, "", ""},
		{"wrong ones", tied, func(s store) {
			s.put("model.layers.2.input_layernorm.weight", "", 8)
			s.put("model.norm.weight", "", 9)
			delete(s, "model.layers.0.mlp.up_proj.weight")
		}, `tensor "model.layers.0.mlp.up_proj.weight" [12 8] is missing; tensor "model.norm.weight" has shape [9], must be [8]; tensor "model.layers.2.input_layernorm.weight" is not part of a llama model`, 0, "", ""},
		{"nothing", tied, func(s store) { clear(s) }, "and 12 more", 0, "", ""},
		{"strangers", tied, func(s store) { clear(s); s.put("a.b", "", 1); s.put("c", "", 1) }, `the checkpoint has "a.b" and 1 more`, 0, "", ""},
		{"no head", nil, func(s store) { delete(s, "lm_head.weight") }, `tensor "lm_head.weight" [10 8] is missing; the head alone is missing`, 0, "", ""},
	} {
		m, err := Parse(with(t, c.set), nil)
		if err != nil {
			t.Fatal(err)
		}
		s := store{}
		for _, p := range m.Graph.Params {
			s.put(p.Name, "", p.Shape...)
		}
		if c.change != nil {
			c.change(s)
		}
		ignored, err := m.Fit(s)
		if !strings.HasPrefix(c.want, "[") {
			if !errors.Is(err, ErrTensors) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			continue
		}
		if err != nil || fmt.Sprint(ignored) != c.want || len(m.Graph.Params) != c.params || !strings.Contains(strings.Join(m.Notes, ""), c.note) {
			t.Errorf("%s: ignored %v, %d params, notes %q, %v", c.name, ignored, len(m.Graph.Params), m.Notes, err)
			continue
		}
		if err := m.Graph.Verify(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if param, of, ok := strings.Cut(c.view, "="); ok {
			p := m.Graph.ParamMap()[param]
			if name, _ := p.Stored(); name != of {
				t.Errorf("%s: %s is read from %s, want %s", c.name, param, name, of)
			}
		}
	}
}

func (s store) put(name, value string, shape ...int) {
	s[name] = struct {
		shape []int
		value string
	}{shape, value}
}

func (s store) rename(from, to string) {
	x := s[from]
	delete(s, from)
	s[to] = x
}

func TestLoad(t *testing.T) {
	m, err := Load("../../testdata/stories260K")
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "stories260K" || m.MaxPos != 512 || m.Vocab != 512 {
		t.Errorf("%+v", m)
	}
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("config.json", bytes.Repeat([]byte(" "), maxConfig+1))
	if _, err := Load(dir); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
	write("config.json", with(t, nil))
	write("generation_config.json", []byte("{"))
	if _, err := Load(dir); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "generation_config.json") || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
}

// FuzzParse: no panic, every error of a known class, every graph marshals.
func FuzzParse(f *testing.F) {
	f.Add([]byte(tinyConfig), []byte(`{"eos_token_id":[1,2]}`))
	layers := regexp.MustCompile(`"num_hidden_layers": \d+`) // one layer is as good and faster
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(layers.ReplaceAll(data, []byte(`"num_hidden_layers": 1`)), []byte("{}"))
	}
	for _, s := range []string{`{"type":"linear","factor":4}`, `{"type":"dynamic","factor":1e6}`,
		`{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}`} {
		f.Add(with(f, map[string]string{"rope_scaling": s, "head_dim": "4", "tie_word_embeddings": "true", "attention_bias": "true"}), []byte("null"))
	}
	f.Fuzz(func(t *testing.T, config, generation []byte) {
		m, err := Parse(config, generation)
		if err != nil {
			if !errors.Is(err, ErrConfig) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("error of no class: %v", err)
			}
			return
		}
		if _, err := graph.Marshal(m.Graph); err != nil {
			t.Fatal(err)
		}
	})
}

// TestNatural: a matrix whose rows are outputs takes the place of one that the model has turned, in a stack too.
func TestNatural(t *testing.T) {
	for _, c := range []struct{ config, tensor, param, want string }{
		{`{"model_type":"gpt2","n_embd":8,"n_layer":1,"n_head":2,"vocab_size":10,"n_positions":16}`, "transformer.h.0.attn.c_attn.weight", "transformer.h.0.attn.c_attn.k.weight", "[24 8] false 8"},
		{`{"model_type":"gpt_oss","hidden_size":32,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":16,"vocab_size":10,"num_local_experts":2,"num_experts_per_tok":1,"eos_token_id":1}`,
			"model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.experts.1.up.weight", "[2 32 32] false 1"},
		// Turned for what is computed: the model's own is [N, K] too.
		{`{"model_type":"deepseek_v3","hidden_size":32,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":2,"vocab_size":10,"kv_lora_rank":8,"q_lora_rank":null,"qk_nope_head_dim":4,"qk_rope_head_dim":2,"v_head_dim":4,"first_k_dense_replace":1}`,
			"model.layers.0.self_attn.kv_b_proj", "model.layers.0.self_attn.kv_b_proj.1.key.weight", "[16 8] true 8"},
	} {
		m, err := Parse([]byte(c.config), nil)
		if err != nil {
			t.Fatal(err)
		}
		s := store{}
		for _, p := range m.Graph.Params {
			of, shape := p.Stored()
			if value := ""; of == c.tensor+".weight" {
				value = "natural"
				s.put(of, value, shape...)
				continue
			} else if of == c.tensor {
				n := len(shape)
				shape = append(slices.Clone(shape[:n-2]), shape[n-1], shape[n-2])
				value = "natural"
				s.put(of, value, shape...)
				continue
			}
			s.put(of, "", shape...)
		}
		if _, err := m.Fit(s); err != nil {
			t.Error(err)
			continue
		}
		v := m.Graph.ParamMap()[c.param].View
		if v == nil {
			t.Errorf("%s has no view", c.param)
		} else if got := fmt.Sprint(v.Shape, v.Transpose, v.From); got != c.want {
			t.Errorf("%s: %s, want %s", c.param, got, c.want)
		}
	}
}

// TestFitParts: tensors that are read in parts are told once, and known behind a wrapper's prefix.
func TestFitParts(t *testing.T) {
	parse := func() *Model {
		m, err := Parse([]byte(`{"model_type":"gpt2","n_embd":8,"n_layer":1,"n_head":2,"vocab_size":10,"n_positions":16}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	s := store{}
	for _, p := range parse().Graph.Params {
		name, shape := p.Stored()
		s.put("_orig_mod."+name, "", shape...)
	}
	if _, err := parse().Fit(s); err == nil || !strings.Contains(err.Error(), `the tensors' names begin with "_orig_mod."`) {
		t.Errorf("of a wrapper: %v", err)
	}
	const fused = `"transformer.h.0.attn.c_attn.weight" [8 24] is missing`
	if _, err := parse().Fit(store{}); err == nil || strings.Count(err.Error(), fused) != 1 {
		t.Errorf("nothing there: %v, want %s once", err, fused)
	}
}
