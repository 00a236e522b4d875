package hf

// arcee: ArceeForCausalLM. Llama whose MLP has no gate.
func arcee(c *config) *Model {
	s := c.shape(defaults{positions: 4096, epsKey: "rms_norm_eps", eps: 1e-5, act: "relu2", bos: 128000, eos: []int{128001}})
	rope := ropeOf(c, s.rotary())
	s.attnBias, s.mlpBias = c.bool("attention_bias", false), c.bool("mlp_bias", false)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.mlp = s.plainMLP(b.at+".mlp.up_proj", b.at+".mlp.down_proj", s.mlpBias)
		}
		return d
	})
}
