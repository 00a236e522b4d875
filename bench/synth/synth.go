// Package synth writes checkpoints in the HuggingFace layout with random
// weights: for measuring speed and memory on the shapes of real models, and for
// tests. Command mkmodel is its command line.
//
//	err := synth.Write(dir, synth.Shapes["tiny"], synth.Options{})
package synth

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"qpt/convert/safetensors"
)

// Shape says how large a Llama model is.
type Shape struct {
	Hidden, Layers, Heads, KVHeads, HeadDim, FFN, Vocab int

	Context   int     // max_position_embeddings
	RopeTheta float64 // base of the rotary embedding
	Scaling   float64 // factor of rope_scaling "llama3", 0 for none
	Tied      bool    // the head is the embedding
	ByteLevel bool    // tokenizer as Llama 3; otherwise as Llama 2
}

// Shapes are the known shapes by name. tiny is for tests: one of each family.
var Shapes = map[string]Shape{
	"tinyllama-1.1b": {Hidden: 2048, Layers: 22, Heads: 32, KVHeads: 4, HeadDim: 64, FFN: 5632, Vocab: 32000, Context: 2048, RopeTheta: 1e4},
	"llama-3.2-1b":   {Hidden: 2048, Layers: 16, Heads: 32, KVHeads: 8, HeadDim: 64, FFN: 8192, Vocab: 128256, Context: 131072, RopeTheta: 5e5, Scaling: 32, Tied: true, ByteLevel: true},
	"llama-3.2-3b":   {Hidden: 3072, Layers: 28, Heads: 24, KVHeads: 8, HeadDim: 128, FFN: 8192, Vocab: 128256, Context: 131072, RopeTheta: 5e5, Scaling: 32, Tied: true, ByteLevel: true},
	"llama-3.1-8b":   {Hidden: 4096, Layers: 32, Heads: 32, KVHeads: 8, HeadDim: 128, FFN: 14336, Vocab: 128256, Context: 131072, RopeTheta: 5e5, Scaling: 8, ByteLevel: true},
	"tiny":           {Hidden: 64, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16, FFN: 160, Vocab: 512, Context: 256, RopeTheta: 1e4},
	"tiny-llama3":    {Hidden: 64, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16, FFN: 160, Vocab: 1024, Context: 16384, RopeTheta: 5e5, Scaling: 8, Tied: true, ByteLevel: true},
}

// Options are the options of Write; the zero value is good.
type Options struct {
	Seed   uint64
	Shards int               // files that the weights are spread over, 0 means 1
	DType  safetensors.DType // BF16 (also for 0), F16 or F32
}

// Write writes a checkpoint to dir, which must be empty or not yet there. The
// same shape, seed and dtype give the same weights, for any number of shards.
func Write(dir string, s Shape, opt Options) error {
	opt.Shards = max(opt.Shards, 1)
	if opt.DType == 0 {
		opt.DType = safetensors.BF16
	}
	if err := emptyDir(dir); err != nil {
		return err
	}
	w, err := newWeights(opt.Seed, opt.DType)
	if err != nil {
		return err
	}
	metadata := map[string]string{"format": "pt"}
	if err := safetensors.WriteSharded(dir, opt.Shards, s.tensors(opt.DType), metadata, w.fill); err != nil {
		return err
	}
	return writeTexts(dir, s, opt.DType)
}

// WriteHollow writes a checkpoint whose weights are a hole in its file, zeros that take no room on the disk: for what reads
// headers only.
func WriteHollow(dir string, s Shape) error {
	if err := emptyDir(dir); err != nil {
		return err
	}
	var header bytes.Buffer
	header.Write(make([]byte, 8))
	sep, end := "{", int64(0)
	for _, t := range s.tensors(safetensors.BF16) {
		size, err := t.Size()
		if err != nil {
			return err
		}
		shape, _ := json.Marshal(t.Shape)
		fmt.Fprintf(&header, `%s%q:{"dtype":"BF16","shape":%s,"data_offsets":[%d,%d]}`, sep, t.Name, shape, end, end+size)
		sep, end = ",", end+size
	}
	header.WriteByte('}')
	binary.LittleEndian.PutUint64(header.Bytes(), uint64(header.Len()-8))
	path := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(path, header.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.Truncate(path, int64(header.Len())+end); err != nil {
		return err
	}
	return writeTexts(dir, s, safetensors.BF16)
}

// writeTexts writes everything but the weights.
func writeTexts(dir string, s Shape, d safetensors.DType) error {
	tokenizer, tokenizerConfig := s.tokenizer()
	bos, eos := s.specials()
	for name, v := range map[string]any{
		"config.json":            s.config(d),
		"generation_config.json": map[string]any{"_from_model_config": true, "bos_token_id": bos, "eos_token_id": eos},
		"tokenizer.json":         tokenizer,
		"tokenizer_config.json":  tokenizerConfig,
	} {
		b, err := json.MarshalIndent(v, "", " ")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), append(b, '\n'), 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tensors returns the model's tensors in the order of the layers.
func (s Shape) tensors(d safetensors.DType) []safetensors.Spec {
	var specs []safetensors.Spec
	add := func(name string, shape ...int) {
		specs = append(specs, safetensors.Spec{Name: name + ".weight", DType: d, Shape: shape})
	}
	add("model.embed_tokens", s.Vocab, s.Hidden)
	for l := range s.Layers {
		at := fmt.Sprintf("model.layers.%d.", l)
		add(at+"input_layernorm", s.Hidden)
		add(at+"self_attn.q_proj", s.Heads*s.HeadDim, s.Hidden)
		add(at+"self_attn.k_proj", s.KVHeads*s.HeadDim, s.Hidden)
		add(at+"self_attn.v_proj", s.KVHeads*s.HeadDim, s.Hidden)
		add(at+"self_attn.o_proj", s.Hidden, s.Heads*s.HeadDim)
		add(at+"post_attention_layernorm", s.Hidden)
		add(at+"mlp.gate_proj", s.FFN, s.Hidden)
		add(at+"mlp.up_proj", s.FFN, s.Hidden)
		add(at+"mlp.down_proj", s.Hidden, s.FFN)
	}
	add("model.norm", s.Hidden)
	if !s.Tied {
		add("lm_head", s.Vocab, s.Hidden)
	}
	return specs
}

// Params returns the number of parameters.
func (s Shape) Params() int {
	n := 0
	for _, spec := range s.tensors(safetensors.U8) { // a byte each
		size, _ := spec.Size()
		n += int(size)
	}
	return n
}

func (s Shape) config(d safetensors.DType) map[string]any {
	var scaling map[string]any
	if s.Scaling != 0 {
		scaling = map[string]any{
			"rope_type": "llama3", "factor": s.Scaling, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
			"original_max_position_embeddings": 8192,
		}
	}
	bos, eos := s.specials()
	return map[string]any{
		"architectures":           []string{"LlamaForCausalLM"},
		"model_type":              "llama",
		"hidden_size":             s.Hidden,
		"num_hidden_layers":       s.Layers,
		"num_attention_heads":     s.Heads,
		"num_key_value_heads":     s.KVHeads,
		"head_dim":                s.HeadDim,
		"intermediate_size":       s.FFN,
		"vocab_size":              s.Vocab,
		"max_position_embeddings": s.Context,
		"rope_theta":              s.RopeTheta,
		"rope_scaling":            scaling,
		"tie_word_embeddings":     s.Tied,
		"hidden_act":              "silu",
		"rms_norm_eps":            1e-5,
		"attention_bias":          false,
		"mlp_bias":                false,
		"initializer_range":       std,
		"bos_token_id":            bos,
		"eos_token_id":            eos,
		"torch_dtype":             map[safetensors.DType]string{safetensors.BF16: "bfloat16", safetensors.F16: "float16", safetensors.F32: "float32"}[d],
		"use_cache":               true,
	}
}

// specials returns the ids that begin and end a text.
func (s Shape) specials() (bos, eos int) {
	if s.ByteLevel {
		return s.Vocab - reserved, s.Vocab - reserved + 1
	}
	return 1, 2
}
