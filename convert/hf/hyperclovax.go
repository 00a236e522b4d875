package hf

import (
	"math"
	"strconv"
)

// hyperCLOVAX: HyperCLOVAXForCausalLM. Granite's multipliers, but logits are multiplied, and norms of what layers add if told.
func hyperCLOVAX(c *config) *Model {
	s := c.shape(defaults{epsKey: "rms_norm_eps", eps: 1e-6})
	rope := ropeOf(c, s.rotary())
	if !c.has("attention_multiplier") {
		c.keys["attention_multiplier"] = strconv.AppendFloat(nil, 1/math.Sqrt(float64(s.headDim)), 'g', -1, 64)
	}
	m := c.multipliers()
	m.logits = 1 / m.logits
	s.attnBias, s.mlpBias = c.bool("attention_bias", false), c.bool("mlp_bias", false)
	post := c.bool("use_post_norm", true)
	return s.model(c, func() *decoder {
		d := m.apply(s.decoder(&rope))
		for i := range d.blocks {
			if b := &d.blocks[i]; post {
				b.attnOut, b.mlpOut = s.rms(b.at+".post_norm1"), s.rms(b.at+".post_norm2")
			}
		}
		return d
	})
}
