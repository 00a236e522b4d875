package hf

// starcoder2: Starcoder2ForCausalLM.
func starcoder2(c *config) *Model {
	s := c.shape(defaults{kvHeads: 2, positions: 4096, epsKey: "norm_epsilon", eps: 1e-5, act: "gelu_pytorch_tanh", tied: true, bos: 50256, eos: []int{50256}})
	rope := ropeOf(c, s.rotary())
	s.attnBias = c.bool("use_bias", true)
	windows := c.slides(s.layers, c.window(0))
	return s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for _, n := range d.norms() {
			n.rms, n.bias = false, true
		}
		for i := range d.blocks {
			b := &d.blocks[i]
			b.mlp = s.plainMLP(b.at+".mlp.c_fc", b.at+".mlp.c_proj", s.attnBias)
		}
		return d
	})
}
