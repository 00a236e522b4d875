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
	maxWidth  = 1 << 16
	maxVocab  = 1 << 22
	maxLayers = 512
	maxHeads  = 1024
	maxHead   = 512
	maxPos    = 1 << 26
)

// llama reads a LlamaForCausalLM: Llama 1, 2, 3, 3.1, 3.2 and those that copy
// them. Defaults are those of transformers' LlamaConfig.
func llama(c *config) *Model {
	// model_type decides, as in transformers; LLaMA is the spelling of early 2023.
	if a, ok := get[[]string](c, "architectures", "a list of strings"); ok && !slices.Contains(a, "LlamaForCausalLM") && !slices.Contains(a, "LLaMAForCausalLM") {
		c.note("architectures says %.100q; it is read as a LlamaForCausalLM, as model_type says", a)
	}
	if c.read["auto_map"] = true; c.has("auto_map") {
		c.note("auto_map is not followed: code of the checkpoint does not run, the model is read as a llama")
	}
	hidden := c.int("hidden_size", -1, 1, maxWidth)
	inter := c.int("intermediate_size", -1, 1, maxWidth)
	layers := c.int("num_hidden_layers", -1, 1, maxLayers)
	heads := c.int("num_attention_heads", -1, 1, maxHeads)
	kvHeads := c.int("num_key_value_heads", heads, 1, maxHeads)
	vocab := c.int("vocab_size", -1, 1, maxVocab)
	positions := c.int("max_position_embeddings", 2048, 1, maxPos)
	eps := c.float("rms_norm_eps", 1e-6, 0, 1)
	act := activation(c, c.string("hidden_act", "silu"))
	attnBias, mlpBias := c.bool("attention_bias", false), c.bool("mlp_bias", false)
	tied := c.bool("tie_word_embeddings", false)

	headDim := c.int("head_dim", 0, 0, maxHead)
	if headDim == 0 && hidden%heads != 0 {
		c.bad("hidden_size", "%d does not divide by num_attention_heads %d", hidden, heads)
	} else if headDim == 0 {
		headDim = hidden / heads
	}
	switch {
	case heads%kvHeads != 0:
		c.bad("num_attention_heads", "%d does not divide by num_key_value_heads %d", heads, kvHeads)
	case headDim%2 != 0 || headDim < 2 || headDim > maxHead:
		c.bad("head_dim", "%d must be even, 2 to %d", headDim, maxHead)
	case heads*headDim > maxWidth:
		c.bad("num_attention_heads", "%d heads of %d are wider than %d", heads, headDim, maxWidth)
	}
	rope := ropeOf(c, headDim, positions)
	bos, eos := c.tokens(vocab, 1, []int{2})

	c.int("pretraining_tp", 1, 1, maxHeads) // only splits the same sums
	c.only("rope_interleaved", "false")
	if types, ok := get[[]string](c, "layer_types", "a list of strings"); ok {
		if i := slices.IndexFunc(types, func(s string) bool { return s != "full_attention" }); i >= 0 {
			c.unsupported("layer_types", "%.60q; only full_attention is supported", types[i])
		}
	}
	if c.err != nil {
		return nil
	}

	g := func(tied bool) *graph.Graph {
		g, err := llamaGraph(&llamaShape{hidden, inter, layers, heads, kvHeads, headDim, vocab, eps, act, attnBias, mlpBias, tied, rope})
		if err != nil {
			c.bad("graph", "%v", err)
		}
		return g
	}
	m := &Model{Graph: g(tied), BOS: bos, EOS: eos, MaxPos: positions, Vocab: vocab, prefix: "model.", ignorable: func(tensor string) bool {
		// Old checkpoints carry the RoPE table.
		return strings.HasPrefix(tensor, "model.layers.") && strings.HasSuffix(tensor, ".self_attn.rotary_emb.inv_freq")
	}}
	if tied {
		m.tied = &tie{table: "model.embed_tokens.weight", head: "lm_head.weight", apart: func() *graph.Graph { return g(false) }}
	}
	return m
}

type llamaShape struct {
	hidden, inter, layers, heads, kvHeads, headDim, vocab int

	eps               float64
	act               string
	attnBias, mlpBias bool
	tied              bool
	rope              graph.RoPE
}

func llamaGraph(s *llamaShape) (*graph.Graph, error) {
	b := graph.NewBuilder()
	t, r := b.Symbol("T"), b.Symbol("R")
	ids, pos, rows := b.Input("ids", graph.Int, t), b.Input("pos", graph.Int, t), b.Input("rows", graph.Int, r)
	linear := func(name, x string, n, k int, bias bool) string {
		w, bb := b.Param(name+".weight", n, k), ""
		if bias {
			bb = b.Param(name+".bias", n)
		}
		return b.Linear(name, x, w, bb)
	}
	norm := func(name, x string) string {
		return b.Node(name, graph.RMSNorm{Eps: s.eps}, []string{x}, b.Param(name+".weight", s.hidden))
	}
	embed := b.Param("model.embed_tokens.weight", s.vocab, s.hidden)
	h := b.Node("model.embed_tokens", graph.Embedding{}, []string{ids}, embed) // [T, hidden]
	b.Hidden(h)
	for l := range s.layers {
		at := fmt.Sprintf("model.layers.%d.", l)
		n := norm(at+"input_layernorm", h)
		q := linear(at+"self_attn.q_proj", n, s.heads*s.headDim, s.hidden, s.attnBias)
		k := linear(at+"self_attn.k_proj", n, s.kvHeads*s.headDim, s.hidden, s.attnBias)
		v := linear(at+"self_attn.v_proj", n, s.kvHeads*s.headDim, s.hidden, s.attnBias)
		q = b.Node(at+"self_attn.q_rope", s.rope, []string{q, pos})
		k = b.Node(at+"self_attn.k_rope", s.rope, []string{k, pos})
		a := b.Node(at+"self_attn", graph.Attention{
			Heads: s.heads, KVHeads: s.kvHeads, HeadDim: s.headDim, Scale: 1 / math.Sqrt(float64(s.headDim)),
			Mask: graph.Mask{Kind: "causal"}, Cache: at + "self_attn",
		}, []string{q, k, v, pos})
		o := linear(at+"self_attn.o_proj", a, s.hidden, s.heads*s.headDim, s.attnBias)
		h = b.Binary(at+"attn_residual", "add", h, o)

		n = norm(at+"post_attention_layernorm", h)
		gate := linear(at+"mlp.gate_proj", n, s.inter, s.hidden, s.mlpBias)
		up := linear(at+"mlp.up_proj", n, s.inter, s.hidden, s.mlpBias)
		gate = b.Node(at+"mlp.act_fn", graph.Unary{Func: s.act}, []string{gate})
		m := b.Binary(at+"mlp.gated", "mul", gate, up)
		down := linear(at+"mlp.down_proj", m, s.hidden, s.inter, s.mlpBias)
		h = b.Binary(at+"mlp_residual", "add", h, down)
		b.Hidden(h)
	}
	h = b.Node("gather", graph.Gather{}, []string{h, rows}) // [R, hidden]
	h = norm("model.norm", h)
	b.Hidden(h)
	head := "lm_head.weight"
	if s.tied {
		head = embed
	}
	b.Output("logits", b.Linear("lm_head", h, b.Param(head, s.vocab, s.hidden), "")) // [R, V]
	return b.Graph()
}

// activation maps hidden_act to the unary op of the same meaning.
func activation(c *config, name string) string {
	switch name {
	case "silu", "swish":
		return "silu"
	case "gelu", "relu":
		return name
	case "gelu_new", "gelu_pytorch_tanh":
		return "gelu_tanh"
	}
	c.unsupported("hidden_act", "%q; known: silu, gelu, gelu_new, gelu_pytorch_tanh, relu", name)
	return "silu"
}
