package hf

import "qpt/format/graph"

// multipliers are Granite's: of the embedding, of what layers add, of scores; logits are divided.
type multipliers struct{ embedding, residual, attention, logits float64 }

func (c *config) multipliers() multipliers {
	f := func(key string) float64 { return c.float(key, 1, 1e-9, 1e9) }
	return multipliers{f("embedding_multiplier"), f("residual_multiplier"), f("attention_multiplier"), f("logits_scaling")}
}

func (m multipliers) apply(d *decoder) *decoder {
	d.embedScale, d.logitScale = m.embedding, 1/m.logits
	for i := range d.blocks {
		d.blocks[i].residual, d.blocks[i].attn.scale = m.residual, m.attention
	}
	return d
}

// granite: GraniteForCausalLM.
func granite(c *config) *Model {
	s := c.shape(defaults{epsKey: "rms_norm_eps", eps: 1e-6})
	rope, m := ropeOf(c, s.rotary()), c.multipliers()
	s.attnBias, s.mlpBias = c.bool("attention_bias", false), c.bool("mlp_bias", false)
	return s.model(c, func() *decoder { return m.apply(s.decoder(&rope)) })
}

// graniteMoE: GraniteMoeForCausalLM. Experts lie in stacks: input_linear [E, 2I, H], gates first, and output_linear [E, H, I].
func graniteMoE(c *config) *Model {
	s := c.shape(defaults{epsKey: "rms_norm_eps", eps: 1e-6})
	rope, m := ropeOf(c, s.rotary()), c.multipliers()
	s.attnBias = c.bool("attention_bias", false)
	n := c.int("num_local_experts", 8, 1, maxExperts)
	top := c.int("num_experts_per_tok", 2, 1, n)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			at := b.at + ".block_sparse_moe"
			b.mlp = &moe{
				router: plain(at+".router.layer", false), experts: n, top: top, score: "top-softmax", inter: s.inter, act: s.act,
				expert: func(e int) (gate, up, down linear) {
					in := at + ".input_linear"
					return stacked(in, e, "gate", []int{n, 2 * s.inter, s.hidden}, graph.View{}),
						stacked(in, e, "up", []int{n, 2 * s.inter, s.hidden}, graph.View{From: s.inter}),
						stacked(at+".output_linear", e, "", []int{n, s.hidden, s.inter}, graph.View{})
				},
			}
		}
		return m.apply(d)
	})
}
