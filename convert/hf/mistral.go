package hf

// mistral: MistralForCausalLM.
func mistral(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, positions: 4096 * 32, epsKey: "rms_norm_eps", eps: 1e-6})
	rope := ropeOf(c, s.rotary())
	windows := c.slides(s.layers, c.window(4096))
	return s.model(c, func() *decoder {
		return s.decoder(&rope).windowed(windows)
	})
}

// ministral: MinistralForCausalLM. Mistral in which layer_types counts.
func ministral(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, positions: 4096 * 32, epsKey: "rms_norm_eps", eps: 1e-6})
	rope := ropeOf(c, s.rotary())
	window := c.window(4096)
	windows := c.windows(s.layers, window, func(int) bool { return window > 0 })
	return s.model(c, func() *decoder { return s.decoder(&rope).windowed(windows) })
}

// windowed gives each layer its window.
func (d *decoder) windowed(windows []int) *decoder {
	for i := range d.blocks {
		d.blocks[i].attn.window = windows[i]
	}
	return d
}

// ministral3: Ministral3ForCausalLM. Mistral by yarn, whose queries grow with their position from the original length on: contexts end there.
func ministral3(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, headDim: 128, positions: 262144, epsKey: "rms_norm_eps", eps: 1e-5})
	if !c.has("rope_parameters") && !c.has("rope_scaling") && !c.has("rope_theta") {
		c.keys["rope_parameters"] = []byte(`{"rope_type":"yarn","rope_theta":1e6,"factor":16,"original_max_position_embeddings":16384,"beta_fast":32,"beta_slow":1,"mscale":1,"mscale_all_dim":1,"llama_4_scaling_beta":0.1}`)
	}
	p := ropeObject(c)
	p.read["max_position_embeddings"] = true // of the model
	grows, end := p.float("llama_4_scaling_beta", 0, -1e3, 1e3) != 0, p.int("original_max_position_embeddings", s.positions, 1, maxPos)
	rope := ropeFrom(c, p, s.rotary())
	if grows && end < s.positions {
		c.note("contexts end at %d of %d positions: queries beyond are scaled (llama_4_scaling_beta), which is not supported", end, s.positions)
		s.positions = end
	}
	windows := c.slides(s.layers, c.window(0))
	return s.model(c, func() *decoder { return s.decoder(&rope).windowed(windows) })
}
