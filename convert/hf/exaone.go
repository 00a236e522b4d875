package hf

import (
	"fmt"

	"qpt/format/graph"
)

// exaone: EXAONE 3.0 and 3.5, Llama's layers under GPT-2's names. Its own code spells some keys otherwise.
func exaone(c *config) *Model {
	d := defaults{kvHeads: 8, positions: 4096, epsKey: "rms_norm_eps", eps: 1e-5, eos: []int{361}, sizes: map[string]string{}}
	if c.has("num_layers") {
		d.sizes["num_hidden_layers"] = "num_layers"
	}
	if c.has("layer_norm_epsilon") {
		d.epsKey = "layer_norm_epsilon"
	}
	if c.has("activation_function") {
		d.actKey = "activation_function"
	}
	s := c.shape(d)
	r := s.rotary()
	r.theta = 500000
	rope := ropeOf(c, r)
	s.attnBias, s.mlpBias = c.bool("attention_bias", false), c.bool("mlp_bias", false)
	return s.model(c, func() *decoder { return s.exaone(&rope) })
}

func (s *shape) exaone(rope *graph.RoPE) *decoder {
	d := &decoder{vocab: s.vocab, hidden: s.hidden, embed: "transformer.wte.weight", final: s.rms("transformer.ln_f"), head: s.head("lm_head", "transformer.wte.weight")}
	for l := range s.layers {
		at := fmt.Sprintf("transformer.h.%d", l)
		a := s.attention(at+".attn.attention", rope, s.attnBias)
		a.o = plain(at+".attn.attention.out_proj", s.attnBias)
		d.blocks = append(d.blocks, block{
			at: at, attnNorm: s.rms(at + ".ln_1"), attn: a, mlpNorm: s.rms(at + ".ln_2"),
			mlp: &mlp{gate: plain(at+".mlp.c_fc_0", s.mlpBias), up: plain(at+".mlp.c_fc_1", s.mlpBias), down: plain(at+".mlp.c_proj", s.mlpBias), inter: s.inter, act: s.act},
		})
	}
	return d
}
