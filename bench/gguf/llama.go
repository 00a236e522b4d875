package gguf

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qpt/convert/safetensors"
	"qpt/internal/par"
)

// config is what config.json says; keys that do not matter here are skipped,
// since convert/hf has judged the checkpoint when it is compared.
type config struct {
	Type      string  `json:"model_type"`
	Hidden    int     `json:"hidden_size"`
	Layers    int     `json:"num_hidden_layers"`
	Heads     int     `json:"num_attention_heads"`
	KVHeads   int     `json:"num_key_value_heads"`
	HeadDim   int     `json:"head_dim"`
	FFN       int     `json:"intermediate_size"`
	Vocab     int     `json:"vocab_size"`
	Context   int     `json:"max_position_embeddings"`
	RopeTheta float64 `json:"rope_theta"`
	Eps       float64 `json:"rms_norm_eps"`
	Tied      bool    `json:"tie_word_embeddings"`
	BOS       int     `json:"bos_token_id"`
	EOS       int     `json:"eos_token_id"`
	Scaling   *rope   `json:"rope_scaling"`
	Rope      *rope   `json:"rope_parameters"` // in place of rope_theta and rope_scaling
}

// rope is how frequencies are scaled; Theta stands there in rope_parameters only.
type rope struct {
	Type     string  `json:"rope_type"`
	Factor   float64 `json:"factor"`
	Low      float64 `json:"low_freq_factor"`
	High     float64 `json:"high_freq_factor"`
	Original float64 `json:"original_max_position_embeddings"`
	Theta    float64 `json:"rope_theta"`
}

// Convert writes the Llama checkpoint in dir as a GGUF file whose matrices have type t.
func Convert(dir, path string, t Type) error {
	var c config
	if err := readJSON(dir, "config.json", &c); err != nil {
		return err
	}
	if c.Type != "llama" {
		return fmt.Errorf("%s: model_type %q: only llama can be written", dir, c.Type)
	}
	if c.Heads < 1 || c.Hidden < 1 || c.Layers < 1 || c.FFN < 1 {
		return fmt.Errorf("%s: config.json lacks hidden_size, num_hidden_layers, num_attention_heads or intermediate_size", dir)
	}
	if c.Rope != nil {
		c.Scaling, c.RopeTheta = c.Rope, c.Rope.Theta
	}
	if c.RopeTheta == 0 {
		c.RopeTheta = 10000
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	if block := types[t].numbers; c.Hidden%block != 0 || c.FFN%block != 0 || c.Heads*c.HeadDim%block != 0 {
		return fmt.Errorf("%s: rows of %d, %d and %d weights do not divide into blocks of %d: %s cannot hold them", dir, c.Hidden, c.FFN, c.Heads*c.HeadDim, block, t)
	}
	meta := c.metadata(filepath.Base(filepath.Clean(dir)), t)
	tokens, err := c.tokenizer(dir)
	if err != nil {
		return err
	}
	ckpt, err := safetensors.Open(dir)
	if err != nil {
		return err
	}
	defer ckpt.Close()
	tensors, err := c.tensors(ckpt, t)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return write(path, append(meta, tokens...), tensors)
}

func readJSON(dir, name string, v any) error {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (c *config) metadata(name string, t Type) []entry {
	return []entry{
		{"general.architecture", "llama"},
		{"general.name", name},
		{"general.file_type", types[t].generalType},
		{"general.quantization_version", uint32(2)},
		{"llama.vocab_size", uint32(c.Vocab)},
		{"llama.context_length", uint32(c.Context)},
		{"llama.embedding_length", uint32(c.Hidden)},
		{"llama.block_count", uint32(c.Layers)},
		{"llama.feed_forward_length", uint32(c.FFN)},
		{"llama.rope.dimension_count", uint32(c.HeadDim)},
		{"llama.rope.freq_base", float32(c.RopeTheta)},
		{"llama.attention.head_count", uint32(c.Heads)},
		{"llama.attention.head_count_kv", uint32(c.KVHeads)},
		{"llama.attention.key_length", uint32(c.HeadDim)},
		{"llama.attention.value_length", uint32(c.HeadDim)},
		{"llama.attention.layer_norm_rms_epsilon", float32(c.Eps)},
	}
}

// names maps the modules of a layer to those of llama.cpp.
var names = []struct{ hf, gguf string }{
	{"input_layernorm", "attn_norm"},
	{"self_attn.q_proj", "attn_q"},
	{"self_attn.k_proj", "attn_k"},
	{"self_attn.v_proj", "attn_v"},
	{"self_attn.o_proj", "attn_output"},
	{"post_attention_layernorm", "ffn_norm"},
	{"mlp.gate_proj", "ffn_gate"},
	{"mlp.up_proj", "ffn_up"},
	{"mlp.down_proj", "ffn_down"},
}

// tensors lists what the file holds, in the order of the layers.
func (c *config) tensors(ckpt *safetensors.Checkpoint, t Type) (list []tensor, err error) {
	add := func(name, source string) {
		src, ok := ckpt.Tensor(source + ".weight")
		if !ok {
			err = fmt.Errorf("tensor %q is missing", source+".weight")
			return
		}
		typ := F32
		if len(src.Shape) == 2 {
			typ = t
		}
		head := 0 // rows of a head whose order changes
		if strings.HasSuffix(source, ".q_proj") || strings.HasSuffix(source, ".k_proj") {
			head = c.HeadDim
		}
		dims := slices.Clone(src.Shape)
		slices.Reverse(dims)
		list = append(list, tensor{name + ".weight", typ, dims, func(w io.Writer) error { return copyRows(w, src, typ, head) }})
	}
	add("token_embd", "model.embed_tokens")
	for l := range c.Layers {
		for _, n := range names {
			add(fmt.Sprintf("blk.%d.%s", l, n.gguf), fmt.Sprintf("model.layers.%d.%s", l, n.hf))
		}
	}
	add("output_norm", "model.norm")
	if !c.Tied { // without one, llama.cpp takes the embedding
		add("output", "lm_head")
	}
	if f := c.ropeFactors(); f != nil {
		list = append(list, tensor{"rope_freqs.weight", F32, []int{len(f)}, func(w io.Writer) error {
			_, err := w.Write(F32.put(nil, f))
			return err
		}})
	}
	return list, err
}

// ropeFactors are the divisors of the rotary frequencies that rope_scaling
// "llama3" stands for, nil without it: 1 for short wavelengths, Factor for long
// ones, and smooth in between.
func (c *config) ropeFactors() []float32 {
	s := c.Scaling
	if s == nil || s.Type != "llama3" {
		return nil
	}
	f := make([]float32, c.HeadDim/2)
	for i := range f {
		wavelength := 2 * math.Pi * math.Pow(c.RopeTheta, float64(2*i)/float64(c.HeadDim))
		smooth := (s.Original/wavelength - s.Low) / (s.High - s.Low)
		smooth = min(max(smooth, 0), 1)
		f[i] = float32(1 / ((1-smooth)/s.Factor + smooth))
	}
	return f
}

// chunk is about how many numbers are read at a time.
const chunk = 8 << 20

// copyRows writes src as typ. With head > 0 the rows of each head of so many
// are put in the order of llama.cpp's rotation, which pairs neighbours:
// row j*head/2+i becomes row 2i+j, for j = 0, 1.
func copyRows(w io.Writer, src *safetensors.Tensor, typ Type, head int) error {
	k, n := src.RowLen(), src.NumRows()
	at := func(row int) int { return row }
	step := max(chunk/k, 1)
	if head > 0 {
		at = func(row int) int {
			r := row % head
			return row - r + r%2*(head/2) + r/2
		}
		step = max(step/head, 1) * head
	}
	step = min(step, n)
	x := make([]float32, step*k)
	blocks := make([][]byte, step)
	for r0 := 0; r0 < n; r0 += step {
		rows := min(step, n-r0)
		if err := src.ReadRows(r0, r0+rows, x[:rows*k]); err != nil {
			return err
		}
		par.For(0, rows, func(_, i int) {
			blocks[i] = typ.put(blocks[i][:0], x[at(i)*k:][:k])
		})
		for _, b := range blocks[:rows] {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	}
	return nil
}
