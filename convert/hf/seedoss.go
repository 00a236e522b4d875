package hf

// seedOSS: SeedOssForCausalLM. Llama with biases on q, k, v.
func seedOSS(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, headDim: 128, positions: 524288, epsKey: "rms_norm_eps", eps: 1e-6, bos: tokenZero})
	rope := ropeOf(c, s.rotary())
	bias, out := c.bool("attention_bias", true), c.bool("attention_out_bias", false)
	s.mlpBias = c.bool("mlp_bias", false)
	return s.model(c, func() *decoder { return s.decoder(&rope).biased(bias, out) })
}
