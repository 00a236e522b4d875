package hf

// mixtral: MixtralForCausalLM. Experts have w1 (gate), w3 (up), w2 (down), or lie in stacks.
func mixtral(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, positions: 4096 * 32, epsKey: "rms_norm_eps", eps: 1e-5})
	r := s.rotary()
	r.theta = 1e6
	rope := ropeOf(c, r)
	windows := c.slides(s.layers, c.window(0))
	n := c.int("num_local_experts", 8, 1, maxExperts)
	top := c.int("num_experts_per_tok", 2, 1, n)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for i := range d.blocks {
			b := &d.blocks[i]
			at := b.at + ".block_sparse_moe"
			b.mlp = &moe{
				router: plain(at+".gate", false), experts: n, top: top, score: "softmax", renormalize: true, inter: s.inter, act: s.act,
				expert: mixtralExperts(at),
			}
		}
		return d
	})
}
