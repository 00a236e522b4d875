package hf

// llama: LlamaForCausalLM, Llama 1 to 3.3 and those that copy them.
func llama(c *config) *Model { return llamaOf(c, defaults{epsKey: "rms_norm_eps", eps: 1e-6}) }

func llamaOf(c *config, def defaults) *Model {
	s := c.shape(def)
	rope := ropeOf(c, s.rotary())
	s.attnBias, s.mlpBias = c.bool("attention_bias", false), c.bool("mlp_bias", false)
	c.only("rope_interleaved", "false")
	c.windows(s.layers, -1, nil)
	return s.model(c, func() *decoder { return s.decoder(&rope) })
}
