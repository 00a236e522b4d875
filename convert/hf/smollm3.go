package hf

// smolLM3: SmolLM3ForCausalLM. Some layers know no positions.
func smolLM3(c *config) *Model {
	s := c.shape(defaults{kvHeads: 4, positions: 32768, epsKey: "rms_norm_eps", eps: 1e-6, tied: true, bos: 128000, eos: []int{128001}})
	r := s.rotary()
	r.theta = 2e6
	rope := ropeOf(c, r)
	s.attnBias, s.mlpBias = c.bool("attention_bias", false), c.bool("mlp_bias", false)
	interval := c.int("no_rope_layer_interval", 4, 1, maxLayers)
	rotates, ok := get[[]int](c, "no_rope_layers", "a list of integers") // 1: it does
	if ok && len(rotates) != s.layers {
		c.bad("no_rope_layers", "%d of them for %d layers", len(rotates), s.layers)
	}
	if !ok || len(rotates) != s.layers {
		rotates = nil
		for l := range s.layers {
			rotates = append(rotates, min((l+1)%interval, 1))
		}
	}
	window := c.window(0)
	use := c.bool("use_sliding_window", false)
	windows := c.windows(s.layers, window, func(l int) bool { return use && window > 0 && rotates[l] == 0 })
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			if rotates[i] == 0 {
				b.attn.rope = nil
			}
		}
		return d.windowed(windows)
	})
}
