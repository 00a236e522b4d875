package hf

import "math"

// miniCPM3: MiniCPM3ForCausalLM. DeepSeek's latent attention, and what layers add, the embedding and the logits scaled.
func miniCPM3(c *config) *Model {
	s := c.shape(defaults{headDim: 1, kvHeads: 40, positions: 32768, epsKey: "rms_norm_eps", eps: 1e-5, tied: true})
	attn := s.latentAttention(c, false, latent{rank: 256, nope: 64, rope: 32, value: max(1, s.hidden/s.heads), qRank: 768})
	scale, depth, base := c.float("scale_emb", 12, 1e-9, 1e9), c.orNone("scale_depth", 1.4, math.Sqrt(float64(s.layers))), c.orNone("dim_model_base", 256, float64(s.hidden))
	c.read["qk_head_dim"] = true // a sum
	s.mlpBias = c.bool("mlp_bias", false)
	return s.model(c, func() *decoder {
		d := s.decoder(nil)
		d.embedScale, d.logitScale = scale, base/float64(s.hidden)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn, b.residual = attn.at(b.attn.name), depth/math.Sqrt(float64(s.layers))
		}
		return d
	})
}

// orNone reads a number that is def where it is absent and none where it is null.
func (c *config) orNone(key string, def, none float64) float64 {
	if _, ok := c.keys[key]; ok && !c.has(key) {
		def = none
	}
	return c.float(key, def, 1e-9, 1e9)
}
