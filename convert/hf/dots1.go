package hf

// dots1: Dots1ForCausalLM. Experts as DeepSeek V3's, plain attention with norms of q and k.
func dots1(c *config) *Model {
	s := c.shape(defaults{kvHeads: 32, positions: 2048, epsKey: "rms_norm_eps", eps: 1e-6, bos: -1, eos: []int{}})
	rope := ropeOf(c, s.rotary())
	s.attnBias = c.bool("attention_bias", false)
	window := c.window(4096)
	full := c.int("max_window_layers", 62, 0, maxLayers)
	windows := c.windows(s.layers, window, func(l int) bool { return window > 0 && l >= full })
	if !c.has("n_routed_experts") || !c.has("num_experts_per_tok") {
		c.bad("n_routed_experts", "it and num_experts_per_tok must be given")
	}
	m := s.sigmoidMoE(c, expertDefaults{1, 1, 1408}, 0, 1, 1, 1, false)
	dense := c.int("first_k_dense_replace", 0, 0, maxLayers)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for i := range d.blocks {
			d.blocks[i].attn.normQK(s.eps, 0)
		}
		return s.mixtures(d, m, from(dense), false)
	})
}
