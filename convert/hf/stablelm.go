package hf

// stableLM: StableLmForCausalLM.
func stableLM(c *config) *Model {
	s := c.shape(defaults{positions: 4096, epsKey: "layer_norm_eps", eps: 1e-5, bos: 0, eos: []int{0}})
	r := s.rotary()
	r.partial = 0.25
	rope := ropeOf(c, r)
	bias, qk, parallel := c.bool("use_qkv_bias", false), c.bool("qk_layernorm", false), c.bool("use_parallel_residual", false)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for _, n := range d.norms() {
			n.rms, n.bias = false, true
		}
		for i := range d.blocks {
			b := &d.blocks[i]
			if bias {
				b.attn.biasQKV()
			}
			if qk {
				of := func(name string) *headNorm {
					return &headNorm{norm: norm{name: b.attn.name + name, eps: s.eps}, apart: true}
				}
				b.attn.qNorm, b.attn.kNorm = of(".q_layernorm.norms"), of(".k_layernorm.norms")
			}
			if b.parallel = parallel; parallel {
				b.mlpNorm = nil
			}
		}
		return d
	})
}
