package hf

// youtu: YoutuForCausalLM. DeepSeek's latent attention, with an MLP in every layer.
func youtu(c *config) *Model {
	s := c.shape(defaults{headDim: 1, kvHeads: 16, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-6, tied: true, bos: 128000, eos: []int{128001}})
	attn := s.latentAttention(c, c.bool("rope_interleave", true), deepseekLatent)
	for _, key := range []string{"qk_head_dim", "embedding_initializer_range", "mlp_bias"} { // a sum, of training, and without effect
		c.read[key] = true
	}
	return s.model(c, func() *decoder {
		d := s.decoder(nil)
		for i := range d.blocks {
			d.blocks[i].attn = attn.at(d.blocks[i].attn.name)
		}
		return d
	})
}
