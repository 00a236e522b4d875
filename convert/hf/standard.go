package hf

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"qpt/format/graph"
)

// Bounds of sizes. The widest real Llama (405B) has hidden 16384, intermediate
// 53248, 126 layers; int8 sums stay exact to K = 65536 (numerics).
const (
	maxWidth   = 1 << 16
	maxVocab   = 1 << 22
	maxLayers  = 512
	maxHeads   = 1024
	maxHead    = 512
	maxPos     = 1 << 26
	maxExperts = 1024
)

// shape is the sizes of a decoder as most configs spell them, and its tokens.
type shape struct {
	hidden, inter, layers, heads, kvHeads, headDim, vocab, positions int

	eps  float64
	act  string
	tied bool
	bos  int
	eos  []int

	attnBias, mlpBias bool // of all projections; a family sets them
}

// defaults are what a family's configuration class has for keys that are absent.
type defaults struct {
	kvHeads   int // 0: as many as heads
	headDim   int // 0: hidden / heads
	positions int // 0: 2048
	epsKey    string
	eps       float64
	actKey    string // "": hidden_act
	act       string // "": silu
	tied      bool
	bos       int // 0: 1; -1: none; tokenZero
	eos       []int
	sizes     map[string]string // other names of keys, by the usual one
}

// tokenZero is a default of 0.
const tokenZero = -2

// key is the name that a size has in this family.
func (d *defaults) key(name string) string {
	if k, ok := d.sizes[name]; ok {
		return k
	}
	return name
}

// shape reads the sizes.
func (c *config) shape(d defaults) shape {
	var s shape
	num := func(name string, def, most int) int {
		if d.key(name) == "" {
			return def
		}
		return c.int(d.key(name), def, 1, most)
	}
	or := func(n, def int) int {
		if n == 0 {
			return def
		}
		return n
	}
	s.hidden = num("hidden_size", -1, maxWidth)
	s.layers = num("num_hidden_layers", -1, maxLayers)
	s.heads = num("num_attention_heads", -1, maxHeads)
	s.inter = c.int(d.key("intermediate_size"), 4*s.hidden, 1, 1<<20)
	derived := func(key string, def int) int { // null says what an absent key of Llama does
		if _, ok := c.keys[key]; ok && !c.has(key) {
			return 0
		}
		return def
	}
	s.kvHeads = num("num_key_value_heads", or(derived(d.key("num_key_value_heads"), d.kvHeads), s.heads), maxHeads)
	s.vocab = num("vocab_size", -1, maxVocab)
	s.positions = num("max_position_embeddings", or(d.positions, 2048), maxPos)
	if d.epsKey != "" {
		s.eps = c.float(d.epsKey, d.eps, 0, 1)
	}
	actKey, act := d.actKey, d.act
	if actKey == "" {
		actKey = "hidden_act"
	}
	if act == "" {
		act = "silu"
	}
	s.act = activation(c, actKey, c.string(actKey, act))
	s.tied = c.bool("tie_word_embeddings", d.tied)
	s.headDim = c.int("head_dim", derived("head_dim", d.headDim), 0, maxHead)
	if s.headDim == 0 && s.hidden%s.heads != 0 {
		c.bad(d.key("hidden_size"), "%d does not divide by %s %d", s.hidden, d.key("num_attention_heads"), s.heads)
	} else if s.headDim == 0 {
		s.headDim = s.hidden / s.heads
	}
	switch {
	case s.heads%s.kvHeads != 0:
		c.bad(d.key("num_attention_heads"), "%d does not divide by %s %d", s.heads, d.key("num_key_value_heads"), s.kvHeads)
	case s.headDim < 1 || s.headDim > maxHead:
		c.bad("head_dim", "%d must be 1 to %d", s.headDim, maxHead)
	case s.heads*s.headDim > maxWidth:
		c.bad(d.key("num_attention_heads"), "%d heads of %d are wider than %d", s.heads, s.headDim, maxWidth)
	}
	eos := d.eos
	if eos == nil {
		eos = []int{2}
	}
	bos := or(d.bos, 1)
	if bos == tokenZero {
		bos = 0
	}
	s.bos, s.eos = c.tokens(s.vocab, bos, eos)
	c.int("pretraining_tp", 1, 1, maxHeads) // only splits the same sums
	return s
}

// rotary is the usual rotary embedding of these sizes.
func (s *shape) rotary() rotary { return rotary{dim: s.headDim, positions: s.positions} }

// decoder is the plain decoder of these sizes under the names that most checkpoints use: attention
// and a gated MLP, each after an rms norm. rope may be nil.
func (s *shape) decoder(rope *graph.RoPE) *decoder {
	d := &decoder{vocab: s.vocab, hidden: s.hidden, embed: "model.embed_tokens.weight", final: s.rms("model.norm"), head: s.head("lm_head", "model.embed_tokens.weight")}
	for l := range s.layers {
		at := fmt.Sprintf("model.layers.%d", l)
		d.blocks = append(d.blocks, block{
			at:       at,
			attnNorm: s.rms(at + ".input_layernorm"),
			attn:     s.attention(at+".self_attn", rope, s.attnBias),
			mlpNorm:  s.rms(at + ".post_attention_layernorm"),
			mlp:      s.gated(at+".mlp", s.inter, s.mlpBias),
		})
	}
	return d
}

func (s *shape) rms(name string) *norm { return &norm{name: name, rms: true, eps: s.eps} }

// head is the output layer of that name, or the table.
func (s *shape) head(name, table string) linear {
	l := plain(name, false)
	if s.tied {
		l.weight = table
	}
	return l
}

// attention with projections q_proj, k_proj, v_proj, o_proj.
func (s *shape) attention(at string, rope *graph.RoPE, bias bool) attention {
	return attention{
		name: at, q: plain(at+".q_proj", bias), k: plain(at+".k_proj", bias), v: plain(at+".v_proj", bias), o: plain(at+".o_proj", bias),
		heads: s.heads, kvHeads: s.kvHeads, dim: s.headDim, rope: rope, scale: 1 / math.Sqrt(float64(s.headDim)),
	}
}

// gated is an MLP with gate_proj, up_proj, down_proj.
func (s *shape) gated(at string, inter int, bias bool) *mlp {
	return &mlp{gate: plain(at+".gate_proj", bias), up: plain(at+".up_proj", bias), down: plain(at+".down_proj", bias), inter: inter, act: s.act}
}

// model makes the graph of what build says, with the head tied to the table as s.tied has it.
func (s *shape) model(c *config, build func() *decoder) *Model {
	if c.err != nil {
		return nil
	}
	if m := s.reads(c, build); m != nil || c.err != nil {
		return m
	}
	if a, ok := get[[]string](c, "architectures", "a list of strings"); ok && len(a) > 0 && !slices.ContainsFunc(a, func(name string) bool {
		return strings.HasSuffix(name, "ForCausalLM") || strings.HasSuffix(name, "LMHeadModel")
	}) {
		c.note("architectures says %.100q; it is read as a language model, as model_type says", a)
	}
	if c.read["auto_map"] = true; c.has("auto_map") {
		c.note("auto_map is not followed: code of the checkpoint does not run")
	}
	if c.err != nil {
		return nil
	}
	d := build()
	graphOf := func(d *decoder) *graph.Graph {
		g, err := d.graph(nil)
		if err != nil {
			c.bad("graph", "%v", err)
		}
		return g
	}
	m := (&Model{Graph: graphOf(d), BOS: s.bos, EOS: s.eos, MaxPos: s.positions, Vocab: s.vocab, ignorable: ignorable}).withPrefix(d)
	if s.tied {
		s.tied = false
		apart := build()
		m.tied = &tie{table: d.embed, head: apart.head.weight, apart: func() *graph.Graph { return graphOf(apart) }}
	}
	return m
}

// withPrefix notes the prefix of the model's tensors, which those of the model without its head may lack.
func (m *Model) withPrefix(d *decoder) *Model {
	if i := strings.Index(d.embed, "."); i > 0 {
		m.prefix = d.embed[:i+1]
	}
	return m
}

// ignorable are tensors of old checkpoints that say nothing: tables that are computed.
func ignorable(tensor string) bool {
	return strings.HasSuffix(tensor, ".rotary_emb.inv_freq") || strings.HasSuffix(tensor, ".attn.bias") || strings.HasSuffix(tensor, ".attn.masked_bias") ||
		strings.HasSuffix(tensor, ".attention.bias") || strings.HasSuffix(tensor, ".attention.masked_bias")
}

// windows says for each layer how many positions it sees, 0 for all: by layer_types, or else by sliding. window is
// the size of those that slide, -1 in a family that has none.
func (c *config) windows(layers, window int, sliding func(layer int) bool) []int {
	list := make([]int, layers)
	types, ok := get[[]string](c, "layer_types", "a list of strings")
	if ok && len(types) != layers {
		c.bad("layer_types", "%d of them for %d layers", len(types), layers)
		ok = false
	}
	for l := range list {
		is := sliding != nil && sliding(l)
		if ok {
			switch types[l] {
			case "full_attention":
				is = false
			case "sliding_attention":
				is = true
			default:
				c.unsupported("layer_types", "%.60q; known: full_attention, sliding_attention", types[l])
			}
		}
		if is {
			if window < 0 {
				c.unsupported("layer_types", "%q; only full_attention is supported for this model_type", "sliding_attention")
			} else if window == 0 {
				c.bad("sliding_window", "layer %d has a window, whose size is missing", l)
			}
			list[l] = window
		}
	}
	return list
}

// slides is windows of a family in which every layer has one, if there is any, whatever layer_types says.
func (c *config) slides(layers, window int) []int {
	if c.read["layer_types"] = true; c.has("layer_types") {
		c.note("layer_types does not count for this model_type: all layers have the same window, as in transformers")
	}
	return slices.Repeat([]int{window}, layers)
}

// window reads sliding_window; 0 for none.
func (c *config) window(def int) int {
	if _, ok := c.keys["sliding_window"]; ok {
		def = 0 // null
	}
	return c.int("sliding_window", def, 0, maxPos)
}
