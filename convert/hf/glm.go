package hf

// glm: GlmForCausalLM, GLM-4 9B of 2024. Half of each head turns, interleaved.
func glm(c *config) *Model { return glmOf(c, nil) }

// glm4: Glm4ForCausalLM, GLM-4-0414: two more norms a layer.
func glm4(c *config) *Model {
	return glmOf(c, func(s *shape, b *block) {
		b.attnOut, b.mlpOut = s.rms(b.at+".post_self_attn_layernorm"), s.rms(b.at+".post_mlp_layernorm")
	})
}

func glmOf(c *config, more func(s *shape, b *block)) *Model {
	s := c.shape(defaults{kvHeads: 2, headDim: 128, positions: 131072, epsKey: "rms_norm_eps", eps: 0.00000015625, bos: -1, eos: []int{151329, 151336, 151338}})
	r := s.rotary()
	r.partial, r.interleaved, r.odd = 0.5, true, true
	rope, bias := ropeOf(c, r), c.bool("attention_bias", true)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			if bias {
				b.attn.biasQKV()
			}
			b.mlp = s.fusedGate(b.at+".mlp", s.inter)
			if more != nil {
				more(&s, b)
			}
		}
		return d
	})
}

// glm4MoELite: Glm4MoeLiteForCausalLM, GLM-4.7 Flash. DeepSeek V3's attention and experts.
func glm4MoELite(c *config) *Model {
	s := c.shape(defaults{headDim: 1, positions: 202752, epsKey: "rms_norm_eps", eps: 1e-5, bos: tokenZero, eos: []int{1}})
	attn := s.latentAttention(c, c.bool("rope_interleave", true), latent{rank: 512, nope: 192, rope: 64, value: 256, qRank: 768})
	m := s.sigmoidMoE(c, expertDefaults{64, 4, 1536}, 1, 1, 1, 1.8, true)
	sparse := s.sparse(c, from(1))
	c.read["first_k_dense_replace"] = true // without effect, as in transformers
	return s.furtherTokens(c, s.model(c, func() *decoder {
		d := s.decoder(nil)
		for i := range d.blocks {
			d.blocks[i].attn = attn.at(d.blocks[i].attn.name)
		}
		return s.mixtures(d, m, sparse, false)
	}))
}

// glm4MoE: Glm4MoeForCausalLM, GLM-4.5 to 4.7. Experts as DeepSeek V3's, half of each head turns.
func glm4MoE(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-5, bos: -1, eos: []int{}})
	r := s.rotary()
	r.partial = 0.5
	rope, bias, norms := ropeOf(c, r), c.bool("attention_bias", false), c.bool("use_qk_norm", false)
	m := s.sigmoidMoE(c, expertDefaults{128, 8, 1408}, 1, 1, 1, 1, true)
	dense := c.int("first_k_dense_replace", 1, 0, maxLayers)
	return s.furtherTokens(c, s.model(c, func() *decoder {
		d := s.decoder(&rope).biased(bias, false)
		for i := range d.blocks {
			if norms {
				d.blocks[i].attn.normQK(s.eps, 0)
			}
		}
		return s.mixtures(d, m, from(dense), false)
	}))
}
