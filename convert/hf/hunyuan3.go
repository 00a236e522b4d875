package hf

// hunyuan3: HYV3ForCausalLM. Norms of q and k, experts as DeepSeek V3's.
func hunyuan3(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, headDim: 128, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-5, bos: -1, eos: []int{}})
	r := s.rotary()
	r.theta = 11158840
	rope := ropeOf(c, r)
	s.attnBias, s.mlpBias = c.bool("attention_bias", false), c.bool("mlp_bias", false)
	c.rename("num_local_experts", "num_experts")
	c.rename("num_shared_experts", "n_shared_experts")
	m := s.deepseekMoE(c, expertDefaults{192, 8, 1536}, 1)
	m.score, m.correction, m.renormalize, m.scale = "sigmoid", ".e_score_correction_bias", true, c.float("router_scaling_factor", 2.826, 0, 1e6)
	sparse := s.sparse(c, from(1))
	c.read["enable_moe_fp32_combine"] = true // precision of a sum
	model := s.furtherTokens(c, s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			d.blocks[i].attn.normQK(s.eps, 0)
		}
		return s.mixtures(d, m, sparse, s.mlpBias)
	}))
	if model != nil {
		model.aliases = [][2]string{{".mlp.gate.weight", ".mlp.router.gate.weight"}, {".mlp.e_score_correction_bias", ".mlp.expert_bias"}}
		for _, part := range []string{"gate_proj.weight", "up_proj.weight", "down_proj.weight", "gate_proj.bias", "up_proj.bias", "down_proj.bias"} {
			model.aliases = append(model.aliases, [2]string{".shared_experts." + part, ".shared_mlp." + part})
		}
	}
	return model
}
