package hf

import (
	"strings"

	"qpt/format/graph"
)

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
	rope := ropeOf(c, s.rotary())
	return s.graniteMoE(c, &rope, c.int("num_local_experts", 8, 1, maxExperts), 0)
}

// graniteMoEShared: GraniteMoeSharedForCausalLM. Besides an MLP for every token.
func graniteMoEShared(c *config) *Model {
	s := c.shape(defaults{epsKey: "rms_norm_eps", eps: 1e-6})
	rope := ropeOf(c, s.rotary())
	return s.graniteMoE(c, &rope, c.int("num_local_experts", 8, 1, maxExperts), c.int("shared_intermediate_size", 0, 0, 1<<20))
}

// graniteHybrid: GraniteMoeHybridForCausalLM, Granite 4, all of whose layers are attention: the same, perhaps without experts or positions.
func graniteHybrid(c *config) *Model {
	s := c.shape(defaults{epsKey: "rms_norm_eps", eps: 1e-6})
	turn := ropeOf(c, s.rotary())
	var rope *graph.RoPE
	switch kind := c.string("position_embedding_type", ""); kind {
	case "rope":
		rope = &turn
	case "", "nope":
	default:
		c.unsupported("position_embedding_type", "%.60q; known: rope, nope", kind)
	}
	types, ok := get[[]string](c, "layer_types", "a list of strings")
	if !ok {
		types, ok = get[[]string](c, "layers_block_type", "a list of strings")
	}
	c.read["layers_block_type"] = true
	if ok && len(types) != s.layers {
		c.bad("layer_types", "%d of them for %d layers", len(types), s.layers)
	}
	if !ok {
		c.unsupported("layer_types", "absent, which means mamba; only layers of attention are supported")
	}
	for _, kind := range types {
		if kind != "attention" && kind != "full_attention" {
			c.unsupported("layer_types", "%.60q; only layers of attention are supported", kind)
		}
	}
	for key := range c.keys { // of layers that are not there
		if strings.HasPrefix(key, "mamba_") {
			c.read[key] = true
		}
	}
	c.read["time_step_limit"], c.read["normalization_function"], c.read["init_method"] = true, true, true
	return s.graniteMoE(c, rope, c.int("num_local_experts", 8, 0, maxExperts), c.int("shared_intermediate_size", 1024, 1, 1<<20))
}

// graniteMoE is the decoder with n experts, 0 for none, and an MLP of that width for every token, 0 for none.
func (s *shape) graniteMoE(c *config, rope *graph.RoPE, n, shared int) *Model {
	m := c.multipliers()
	s.attnBias = c.bool("attention_bias", false)
	top := c.int("num_experts_per_tok", 2, 0, maxExperts)
	if n > 0 && (top < 1 || top > n) {
		c.bad("num_experts_per_tok", "%d of %d experts", top, n)
	}
	return s.model(c, func() *decoder {
		d := s.decoder(rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			var always *mlp
			if shared > 0 {
				in := b.at + ".shared_mlp.input_linear"
				always = &mlp{
					gate: fused(in, "gate", 2*shared, s.hidden, false, false, graph.View{}), up: fused(in, "up", 2*shared, s.hidden, false, false, graph.View{From: shared}),
					down: plain(b.at+".shared_mlp.output_linear", false), inter: shared, act: s.act,
				}
			}
			if n == 0 {
				b.mlp = always
				continue
			}
			at := b.at + ".block_sparse_moe"
			b.mlp = &moe{
				router: plain(at+".router.layer", false), experts: n, top: top, score: "top-softmax", inter: s.inter, act: s.act, shared: always,
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
