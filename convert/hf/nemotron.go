package hf

// nemotron: NemotronForCausalLM, Minitron. Layer norms times 1 + weight, half of each head turns, an MLP without gate.
func nemotron(c *config) *Model {
	s := c.shape(defaults{positions: 4096, epsKey: "norm_eps", eps: 1e-5, act: "relu2", bos: 2, eos: []int{3}})
	r := s.rotary()
	r.partial = 0.5
	rope := ropeOf(c, r)
	s.attnBias, s.mlpBias = c.bool("attention_bias", false), c.bool("mlp_bias", false)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for _, n := range d.norms() {
			n.rms, n.bias, n.offset = false, true, 1
		}
		for i := range d.blocks {
			b := &d.blocks[i]
			b.mlp = s.plainMLP(b.at+".mlp.up_proj", b.at+".mlp.down_proj", s.mlpBias)
		}
		return d
	})
}
