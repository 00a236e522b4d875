package hf

import "strings"

// exaoneMoE: ExaoneMoeForCausalLM, K-EXAONE. EXAONE 4's attention behind norms, experts as DeepSeek V3's.
func exaoneMoE(c *config) *Model {
	s := c.shape(defaults{kvHeads: 32, positions: 2048, epsKey: "rms_norm_eps", eps: 1e-5, eos: []int{53}})
	rope := ropeOf(c, s.rotary())
	window := c.window(4096)
	windows := c.windows(s.layers, window, c.pattern(s.layers, window))
	c.rename("num_shared_experts", "n_shared_experts")
	m := s.sigmoidMoE(c, expertDefaults{64, 8, 1024}, 1, 1, 1, 2.5, true)
	sparse := s.sparse(c, from(c.int("first_k_dense_replace", 1, 0, maxLayers)))
	model := s.furtherTokens(c, s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for i := range d.blocks {
			a := &d.blocks[i].attn
			if a.normQK(s.eps, 0); window > 0 && windows[i] == 0 {
				a.rope = nil
			}
		}
		return s.mixtures(d, m, sparse, false)
	}))
	if model != nil {
		model.aliases = [][2]string{{".gate.e_score_correction_bias", ".e_score_correction_bias"}}
		known := model.ignorable
		model.ignorable = func(tensor string) bool { return strings.HasPrefix(tensor, "mtp.") || known(tensor) }
	}
	return model
}
