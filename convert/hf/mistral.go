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

// windowed gives each layer its window.
func (d *decoder) windowed(windows []int) *decoder {
	for i := range d.blocks {
		d.blocks[i].attn.window = windows[i]
	}
	return d
}
