package hf

// bitNet: BitNetForCausalLM. Norms of what the last layers of attention and MLP read.
func bitNet(c *config) *Model {
	s := c.shape(defaults{kvHeads: 5, epsKey: "rms_norm_eps", eps: 1e-5, act: "relu2", bos: 128000, eos: []int{128001}})
	r := s.rotary()
	r.theta = 500000
	rope := ropeOf(c, r)
	s.attnBias = c.bool("attention_bias", false)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.outNorm = s.rms(b.attn.name + ".attn_sub_norm")
			mlp := s.gated(b.at+".mlp", s.inter, false)
			mlp.downNorm = s.rms(b.at + ".mlp.ffn_sub_norm")
			b.mlp = mlp
		}
		return d
	})
}
