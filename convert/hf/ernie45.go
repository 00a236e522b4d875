package hf

// ernie45: Ernie4_5ForCausalLM. Llama with interleaved RoPE.
func ernie45(c *config) *Model {
	s := c.shape(defaults{kvHeads: 2, headDim: 128, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-5, tied: true})
	r := s.rotary()
	r.theta, r.interleaved = 500000, true
	rope := ropeOf(c, r)
	s.attnBias = c.bool("use_bias", false)
	s.mlpBias = s.attnBias
	return s.model(c, func() *decoder { return s.decoder(&rope) })
}
