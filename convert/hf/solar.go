package hf

// solarOpen: SolarOpenForCausalLM. Experts as DeepSeek V3's in every layer.
func solarOpen(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, headDim: 128, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-5, bos: -1, eos: []int{}})
	r := s.rotary()
	r.theta = 1e6
	rope, bias := ropeOf(c, r), c.bool("attention_bias", false)
	c.rename("num_local_experts", "n_routed_experts")
	m := s.sigmoidMoE(c, expertDefaults{128, 8, 1280}, 1, 1, 1, 1, true)
	c.read["first_k_dense_replace"], c.read["use_qk_norm"] = true, true // without effect, as in transformers
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			if bias {
				d.blocks[i].attn.biasQKV()
			}
		}
		return s.mixtures(d, m, from(0), false)
	})
}
