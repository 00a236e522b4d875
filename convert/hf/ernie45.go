package hf

import "strings"

// ernie45MoE: Ernie4_5_MoeForCausalLM. Besides experts, which a correction helps to choose, and an MLP for every token.
func ernie45MoE(c *config) *Model {
	s := c.shape(defaults{kvHeads: 4, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-5, tied: true})
	r := s.rotary()
	r.theta, r.interleaved = 500000, true
	rope := ropeOf(c, r)
	s.attnBias = c.bool("use_bias", false)
	n := c.int("moe_num_experts", 64, 1, maxExperts)
	m := &moe{experts: n, top: c.int("moe_k", 6, 1, n), score: "softmax", renormalize: true, inter: c.int("moe_intermediate_size", 1536, 1, 1<<20), act: s.act}
	if k := c.int("moe_num_shared_experts", 2, 0, maxExperts); k > 0 {
		m.shared = &mlp{inter: k * m.inter}
	}
	c.float("moe_norm_min", 1e-12, 0, 1e-6) // less than any sum
	first, last, every := c.int("moe_layer_start_index", 1, 0, maxLayers), c.int("moe_layer_end_index", -1, -1, maxLayers), c.int("moe_layer_interval", 1, 1, maxLayers)
	if last < 0 {
		last = s.layers - 1
	}
	for _, key := range []string{"moe_capacity", "moe_gate", "moe_use_aux_free", "num_nextn_predict_layers"} {
		c.read[key] = true // of training, and of code that is not transformers'
	}
	model := s.model(c, func() *decoder {
		d := s.decoder(&rope)
		if s.attnBias {
			d.head.bias = "lm_head.bias"
		}
		s.mixtures(d, m, func(l int) bool { return l >= first && l <= last && (l+1)%every == 0 }, s.attnBias)
		for i := range d.blocks {
			if m, ok := d.blocks[i].mlp.(*moe); ok {
				m.correction, m.wide = d.blocks[i].at+".mlp.moe_statics.e_score_correction_bias", true
			}
		}
		return d
	})
	if model != nil {
		model.ignorable = func(tensor string) bool { return strings.HasPrefix(tensor, "model.mtp") || ignorable(tensor) } // which predict further tokens
	}
	return model
}

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
