package hf

import (
	"fmt"
	"math"
)

// hunyuanDense: HunYuanDenseV1ForCausalLM. Norms of q and k behind the rotation, whose base a fixed alpha may stretch.
func hunyuanDense(c *config) *Model {
	s := c.shape(defaults{epsKey: "rms_norm_eps", eps: 1e-5})
	p := ropeObject(c)
	if alpha := p.float("alpha", 0, 0, 1e9); alpha != 0 && p.string("rope_type", p.string("type", "")) == "dynamic" && s.headDim > 2 {
		theta := p.float("rope_theta", c.float("rope_theta", 10000, 1e-3, 1e12), 1e-3, 1e12)
		p.keys["rope_type"], p.keys["rope_theta"] = []byte(`"default"`), fmt.Append(nil, theta*math.Pow(alpha, float64(s.headDim)/float64(s.headDim-2)))
	}
	rope := ropeFrom(c, p, s.rotary())
	s.attnBias = c.bool("attention_bias", false)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			a := &d.blocks[i].attn
			a.normQK(s.eps, 0)
			a.qNorm.name, a.kNorm.name = a.name+".query_layernorm", a.name+".key_layernorm"
			a.turnFirst = true
		}
		return d
	})
}
