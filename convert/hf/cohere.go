package hf

// cohere: attention and MLP in parallel on one layer norm without bias, logits times logit_scale.
func (d *decoder) cohere(s *shape, scale float64) *decoder {
	d.logitScale = scale
	for _, n := range d.norms() {
		n.rms = false
	}
	for i := range d.blocks {
		d.blocks[i].parallel, d.blocks[i].mlpNorm = true, nil
	}
	return d
}

// cohere: CohereForCausalLM, Command R.
func cohere(c *config) *Model {
	s := c.shape(defaults{positions: 8192, epsKey: "layer_norm_eps", eps: 1e-5, tied: true, bos: 5, eos: []int{255001}})
	r := s.rotary()
	r.theta, r.interleaved = 500000, true
	rope := ropeOf(c, r)
	s.attnBias = c.bool("attention_bias", false)
	qk, scale := c.bool("use_qk_norm", false), c.float("logit_scale", 0.0625, 1e-9, 1e9)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			if qk {
				of := func(name string) *headNorm {
					return &headNorm{norm: norm{name: b.attn.name + name, eps: s.eps}, own: true}
				}
				b.attn.qNorm, b.attn.kNorm = of(".q_norm"), of(".k_norm")
			}
		}
		return d.cohere(&s, scale)
	})
}

// cohere2: Cohere2ForCausalLM, Command R7B, A. Layers with a window rotate, the others know no positions.
func cohere2(c *config) *Model {
	s := c.shape(defaults{positions: 8192, epsKey: "layer_norm_eps", eps: 1e-5, tied: true, bos: 5, eos: []int{255001}})
	r := s.rotary()
	r.interleaved = true
	rope := ropeOf(c, r)
	s.attnBias = c.bool("attention_bias", false)
	scale := c.float("logit_scale", 0.0625, 1e-9, 1e9)
	pattern := c.int("sliding_window_pattern", 4, 1, maxLayers)
	windows := c.windows(s.layers, c.window(4096), func(l int) bool { return (l+1)%pattern != 0 })
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			if windows[i] == 0 {
				b.attn.rope = nil
			}
		}
		return d.windowed(windows).cohere(&s, scale)
	})
}
