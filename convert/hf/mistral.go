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
