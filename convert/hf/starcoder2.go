package hf

// starcoder2: Starcoder2ForCausalLM.
func starcoder2(c *config) *Model {
	s := c.shape(defaults{kvHeads: 2, positions: 4096, epsKey: "norm_epsilon", eps: 1e-5, act: "gelu_pytorch_tanh", tied: true, bos: 50256, eos: []int{50256}})
	rope, bias := ropeOf(c, s.rotary()), c.bool("use_bias", true)
	window := c.window(0)
	windows := c.windows(s.layers, window, func(int) bool { return window > 0 })
	return s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for _, n := range d.norms() {
			n.rms, n.bias = false, true
		}
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn = s.attention(b.attn.name, &rope, bias)
			b.mlp = s.plainMLP(b.at+".mlp.c_fc", b.at+".mlp.c_proj", bias)
		}
		return d.windowed(windows)
	})
}
