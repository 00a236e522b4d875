package hf

import "slices"

// laguna: LagunaForCausalLM. What attention gives is gated, by head or by value; layers differ in heads and in how far they turn.
func laguna(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, headDim: 128, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-6, bos: -1, eos: []int{}})
	s.attnBias = c.bool("attention_bias", false)
	windows := c.windows(s.layers, c.window(512), nil)
	wide, near := c.partialRopes(&s, 0.5)
	heads := slices.Repeat([]int{s.heads}, s.layers)
	if list, ok := get[[]int](c, "num_attention_heads_per_layer", "a list of integers"); ok {
		if heads = list; len(list) != s.layers {
			c.bad("num_attention_heads_per_layer", "%d of them for %d layers", len(list), s.layers)
		}
		for _, n := range list {
			if n < 1 || n%s.kvHeads != 0 || n*s.headDim > maxWidth {
				c.bad("num_attention_heads_per_layer", "%d heads do not go with %d of keys", n, s.kvHeads)
			}
		}
	}
	each := s.headDim // values that one gate is for
	switch raw := string(c.keys["gating"]); raw {
	case `"per-element"`, "false":
		each = 1
	case "", "null", "true", `"per-head"`:
	default:
		c.unsupported("gating", "%.60s; known: true, per-head, per-element", raw)
	}
	c.read["gating"] = true
	c.only("moe_apply_router_weight_on_input", "false")
	n := c.int("num_experts", 256, 1, maxExperts)
	m := &moe{
		experts: n, top: c.int("num_experts_per_tok", 8, 1, n), inter: c.int("moe_intermediate_size", 512, 1, 1<<20), act: s.act, cap: c.float("moe_router_logit_softcapping", 0, 0, 1e6), score: "sigmoid", correction: ".gate.e_score_correction_bias",
		renormalize: true, scale: c.float("moe_routed_scaling_factor", 1, 0, 1e6), shared: &mlp{inter: c.int("shared_expert_intermediate_size", 512, 1, 1<<20)},
	}
	sparse := s.sparse(c, from(1))
	model := s.model(c, func() *decoder {
		d := s.mixtures(s.decoder(&wide).windowed(windows), m, sparse, false)
		for i := range d.blocks {
			a := &d.blocks[i].attn
			if a.heads = heads[i]; windows[i] > 0 {
				a.rope = &near
			}
			a.normQK(s.eps, 0)
			a.gateBy(plain(a.name+".g_proj", false), "softplus", a.heads*a.dim/each)
		}
		return d
	})
	if model != nil {
		model.aliases = [][2]string{{".mlp.gate.e_score_correction_bias", ".mlp.experts.e_score_correction_bias"}}
		for _, part := range []string{"gate_proj.weight", "up_proj.weight", "down_proj.weight"} {
			model.aliases = append(model.aliases, [2]string{".shared_experts." + part, ".shared_expert." + part})
		}
	}
	return model
}

// mellum: MellumForCausalLM, Mellum 2. Qwen 3 MoE with windows, and a rotation for them.
func mellum(c *config) *Model {
	s := c.shape(defaults{kvHeads: 4, headDim: 128, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-6, bos: -1, eos: []int{}})
	s.attnBias = c.bool("attention_bias", false)
	windows := c.windows(s.layers, c.window(1024), nil)
	wide, near := c.partialRopes(&s, 1)
	c.rename("num_local_experts", "num_experts")
	n := c.int("num_experts", 64, 1, maxExperts)
	m := &moe{
		experts: n, top: c.int("num_experts_per_tok", 8, 1, n), inter: c.int("moe_intermediate_size", 896, 1, 1<<20), act: s.act, score: "softmax", renormalize: c.bool("norm_topk_prob", true),
	}
	sparse := s.sparse(c, from(0))
	for _, key := range []string{"mtp_layer_types", "mtp_mlp_layer_types"} {
		c.read[key] = true
	}
	return s.furtherTokens(c, s.model(c, func() *decoder {
		d := s.mixtures(s.decoder(&wide).windowed(windows), m, sparse, false)
		for i := range d.blocks {
			a := &d.blocks[i].attn
			if a.normQK(s.eps, 0); windows[i] > 0 {
				a.rope = &near
			}
		}
		return d
	}))
}
