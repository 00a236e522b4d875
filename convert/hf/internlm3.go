package hf

// internLM3: Llama's layers; its own code calls the biases qkv_bias and bias.
func internLM3(c *config) *Model {
	s := c.shape(defaults{kvHeads: 2, headDim: 128, positions: 32768, epsKey: "rms_norm_eps", eps: 1e-5})
	rope := ropeOf(c, s.rotary())
	s.attnBias, s.mlpBias = c.bool("attention_bias", c.bool("qkv_bias", false)), c.bool("mlp_bias", c.bool("bias", false))
	if s.attnBias != s.mlpBias {
		c.unsupported("qkv_bias", "%v beside bias %v: they must be equal, as in transformers 5", s.attnBias, s.mlpBias)
	}
	return s.model(c, func() *decoder { return s.decoder(&rope) })
}
