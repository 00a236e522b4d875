package hf

import (
	"fmt"
	"math"
)

// bioGPT: BioGptForCausalLM. Learned positions, whose table begins with two rows that are not used; the embedding times sqrt(hidden) if told.
func bioGPT(c *config) *Model {
	s := c.shape(defaults{positions: 1024, epsKey: "layer_norm_eps", eps: 1e-12, act: "gelu", tied: true, bos: tokenZero})
	s.eps = 1e-5 // whatever the config says
	scaled := c.bool("scale_embedding", true)
	return s.model(c, func() *decoder {
		const name = "biogpt"
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: name + ".embed_tokens.weight", head: s.head("output_projection", name+".embed_tokens.weight"),
			positions: table(name+".embed_positions", s.positions, 2, s.hidden), final: s.layer(name + ".layer_norm"),
		}
		if scaled {
			d.embedScale = math.Sqrt(float64(s.hidden))
		}
		for l := range s.layers {
			at := fmt.Sprintf("%s.layers.%d", name, l)
			a := s.attention(at+".self_attn", nil, true)
			a.o = plain(at+".self_attn.out_proj", true)
			d.blocks = append(d.blocks, block{
				at: at, attnNorm: s.layer(at + ".self_attn_layer_norm"), attn: a, mlpNorm: s.layer(at + ".final_layer_norm"), mlp: s.plainMLP(at+".fc1", at+".fc2", true),
			})
		}
		return d
	})
}
