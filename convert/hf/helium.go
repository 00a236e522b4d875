package hf

// helium: HeliumForCausalLM. Llama with interleaved RoPE.
func helium(c *config) *Model {
	s := c.shape(defaults{kvHeads: 20, headDim: 128, positions: 4096, epsKey: "rms_norm_eps", eps: 1e-8})
	r := s.rotary()
	r.theta, r.interleaved = 100000, true
	rope := ropeOf(c, r)
	bias := c.bool("attention_bias", false)
	s.mlpBias = c.bool("mlp_bias", false)
	return s.model(c, func() *decoder { return s.decoder(&rope).biased(bias, false) })
}

// biased gives q, k and v biases, or the output of attention.
func (d *decoder) biased(qkv, out bool) *decoder {
	for i := range d.blocks {
		a := &d.blocks[i].attn
		if qkv {
			a.biasQKV()
		}
		a.o = plain(a.o.name, out)
	}
	return d
}
