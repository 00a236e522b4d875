package hf

import (
	"fmt"
	"math"

	"qpt/format/graph"
)

// gptSizes are the names that GPT-2's config gives to sizes.
var gptSizes = map[string]string{
	"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head", "max_position_embeddings": "n_positions", "intermediate_size": "n_inner",
}

// gpt2: GPT2LMHeadModel. Learned positions; matrices stored as [K, N] (Conv1D).
func gpt2(c *config) *Model {
	s := c.shape(defaults{positions: 1024, epsKey: "layer_norm_epsilon", eps: 1e-5, actKey: "activation_function", act: "gelu_new", tied: true, bos: 50256, eos: []int{50256}, sizes: gptSizes})
	scaled, inverse := c.bool("scale_attn_weights", true), c.bool("scale_attn_by_inverse_layer_idx", false)
	c.bool("reorder_and_upcast_attn", false) // the same in real numbers
	c.int("n_ctx", s.positions, 1, maxPos)
	for _, key := range []string{"summary_type", "summary_use_proj", "summary_activation", "summary_first_dropout", "summary_proj_to_labels"} {
		c.read[key] = true // of heads that are not this one
	}
	return s.model(c, func() *decoder {
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: "transformer.wte.weight", head: s.head("lm_head", "transformer.wte.weight"),
			positions: table("transformer.wpe", s.positions, 0, s.hidden), final: s.layer("transformer.ln_f"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("transformer.h.%d", l)
			b := s.gpt2Layer(at)
			if !scaled {
				b.attn.scale = 1
			}
			if inverse {
				b.attn.scale /= float64(l + 1)
			}
			d.blocks = append(d.blocks, b)
		}
		return d
	})
}

// gpt2Layer is a layer, whose matrices are stored as [k, n].
func (s *shape) gpt2Layer(at string) block {
	turned := func(name string, n, k int) linear {
		return linear{name: name, weight: name + ".weight.turned", bias: name + ".bias", view: &graph.View{Of: name + ".weight", Shape: []int{k, n}, Transpose: true}}
	}
	a := attention{name: at + ".attn", heads: s.heads, kvHeads: s.heads, dim: s.headDim, scale: 1 / math.Sqrt(float64(s.headDim))}
	a.fusedQKV(at+".attn.c_attn", s, true, true)
	a.o = turned(at+".attn.c_proj", s.hidden, s.hidden)
	return block{
		at: at, attnNorm: s.layer(at + ".ln_1"), attn: a, mlpNorm: s.layer(at + ".ln_2"),
		mlp: &mlp{up: turned(at+".mlp.c_fc", s.inter, s.hidden), down: turned(at+".mlp.c_proj", s.hidden, s.inter), inter: s.inter, act: s.act},
	}
}

// table is a table of positions with n rows, after skip that are not used.
func table(name string, n, skip, width int) *linear {
	return &linear{name: name, weight: name + ".weight", view: &graph.View{Of: name + ".weight", Shape: []int{n + skip, width}, From: skip}}
}

// gptj: GPTJForCausalLM. Attention and MLP in parallel on one norm; interleaved rotation of the first rotary_dim values.
func gptj(c *config) *Model {
	s := c.shape(defaults{positions: 2048, epsKey: "layer_norm_epsilon", eps: 1e-5, actKey: "activation_function", act: "gelu_new", bos: 50256, eos: []int{50256}, sizes: gptSizes})
	rope := c.gptjRope(&s)
	return s.model(c, func() *decoder { return s.gptj(&rope) })
}
