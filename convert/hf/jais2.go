package hf

// jais2: Jais2ForCausalLM. Layer norms, an MLP without gate, biases everywhere.
func jais2(c *config) *Model {
	s := c.shape(defaults{positions: 8192, epsKey: "layer_norm_eps", eps: 1e-5, act: "relu2", bos: tokenZero, eos: []int{150024}})
	rope := ropeOf(c, s.rotary())
	s.attnBias, s.mlpBias = c.bool("attention_bias", true), c.bool("mlp_bias", true)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for _, n := range d.norms() {
			n.rms, n.bias = false, true
		}
		for i := range d.blocks {
			b := &d.blocks[i]
			b.mlp = s.plainMLP(b.at+".mlp.up_proj", b.at+".mlp.down_proj", s.mlpBias)
		}
		return d
	})
}
