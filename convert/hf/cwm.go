package hf

// cwm: CwmForCausalLM. Llama with windows, but for every fourth layer from the first on.
func cwm(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, headDim: 128, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-5, bos: 128000, eos: []int{128001, 128008, 128009}})
	if !c.has("rope_parameters") && !c.has("rope_scaling") {
		c.keys["rope_parameters"] = []byte(`{"rope_theta":1e6,"rope_type":"llama3","factor":16,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}`)
	}
	r := s.rotary()
	r.theta = 1e6
	rope := ropeOf(c, r)
	s.mlpBias = c.bool("mlp_bias", false)
	window := c.window(8192)
	windows := c.windows(s.layers, window, func(l int) bool { return window > 0 && l%4 != 0 })
	return s.model(c, func() *decoder { return s.decoder(&rope).windowed(windows) })
}
