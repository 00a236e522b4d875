package hf

import (
	"math"
	"strings"
)

// afmoe: AfmoeForCausalLM, Arcee Trinity. What attention gives is gated; four norms a layer; positions only in layers with a window.
func afmoe(c *config) *Model {
	s := c.shape(defaults{headDim: 128, positions: 16384, epsKey: "rms_norm_eps", eps: 1e-5, bos: -1, eos: []int{}})
	rope := ropeOf(c, s.rotary())
	s.attnBias = c.bool("attention_bias", false)
	every := c.int("global_attn_every_n_layers", 4, 1, maxLayers)
	windows := c.windows(s.layers, c.window(1024), func(l int) bool { return (l+1)%every != 0 })
	c.rename("num_shared_experts", "n_shared_experts")
	m := s.deepseekMoE(c, expertDefaults{64, 6, 1408}, 2)
	m.score, m.correction, m.renormalize, m.scale = "sigmoid", ".expert_bias", true, c.float("route_scale", 1, 0, 1e6)
	dense, scaled := c.int("num_dense_layers", 1, 0, maxLayers), c.bool("mup_enabled", false)
	for _, key := range strings.Fields("n_group topk_group num_expert_groups num_limited_groups score_func route_norm load_balance_coeff use_grouped_mm") {
		c.read[key] = true // which transformers does not read
	}
	return s.model(c, func() *decoder {
		d := s.mixtures(s.decoder(&rope).windowed(windows), m, from(dense), false)
		if scaled {
			d.embedScale = math.Sqrt(float64(s.hidden))
		}
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.normQK(s.eps, 0)
			b.attn.gateBy(plain(b.attn.name+".gate_proj", false), "sigmoid", b.attn.heads*b.attn.dim)
			if windows[i] == 0 {
				b.attn.rope = nil
			}
			b.attnOut, b.mlpNorm, b.mlpOut = s.rms(b.at+".post_attention_layernorm"), s.rms(b.at+".pre_mlp_layernorm"), s.rms(b.at+".post_mlp_layernorm")
			if of, ok := b.mlp.(*moe); ok {
				of.router = plain(b.at+".mlp.router.gate", false)
			}
		}
		return d
	})
}
