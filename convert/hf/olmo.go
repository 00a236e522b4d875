package hf

import "qpt/format/graph"

// olmo: OlmoForCausalLM. Layer norms without weights.
func olmo(c *config) *Model {
	s := c.shape(defaults{bos: -1, eos: []int{50279}})
	s.eps = 1e-5
	rope := ropeOf(c, s.rotary())
	s.attnBias = c.bool("attention_bias", false)
	clip := c.cap("clip_qkv", 0)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for _, n := range d.norms() {
			n.rms, n.bare = false, true
		}
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.clip = clip
		}
		return d
	})
}

// olmo2: Olmo2ForCausalLM. Norms only of what a sublayer gives, and of the whole q and k.
func olmo2(c *config) *Model {
	s := c.olmoShape()
	rope := ropeOf(c, s.rotary())
	return s.model(c, func() *decoder { return s.olmo2(&rope) })
}

func (c *config) olmoShape() shape {
	s := c.shape(defaults{epsKey: "rms_norm_eps", eps: 1e-5, bos: -1, eos: []int{50279}})
	s.attnBias = c.bool("attention_bias", false)
	return s
}

func (s *shape) olmo2(rope *graph.RoPE) *decoder {
	d := s.decoder(rope)
	for i := range d.blocks {
		b := &d.blocks[i]
		b.attn.normWhole(s.eps)
		b.normsAfter(s)
	}
	return d
}

// olmo3: Olmo3ForCausalLM. Three windowed layers, then a full one, whose RoPE alone is scaled.
func olmo3(c *config) *Model {
	s := c.olmoShape()
	window := c.window(4096)
	windows := c.windows(s.layers, window, func(l int) bool { return (l+1)%4 != 0 })
	theta := c.float("rope_theta", 500000, 1e-3, 1e12)
	wide, near := c.twoRopes(&s, theta, theta, "")
	return s.model(c, func() *decoder {
		d := s.olmo2(&wide)
		for i := range d.blocks {
			if windows[i] > 0 {
				d.blocks[i].attn.rope = &near
			}
		}
		return d.windowed(windows)
	})
}

// normWhole gives q and k an rms norm over all heads together.
func (a *attention) normWhole(eps float64) {
	a.normQK(eps, 0)
	a.qNorm.whole, a.kNorm.whole = true, true
}

// normsAfter has norms of what attention and MLP give alone.
func (b *block) normsAfter(s *shape) {
	b.attnNorm, b.mlpNorm = nil, nil
	b.attnOut, b.mlpOut = s.rms(b.at+".post_attention_layernorm"), s.rms(b.at+".post_feedforward_layernorm")
}

// olmoe: OlmoeForCausalLM.
func olmoe(c *config) *Model {
	return olmoExperts(c, defaults{positions: 4096, epsKey: "rms_norm_eps", eps: 1e-5, bos: -1, eos: []int{50279}}, 0, expertDefaults{64, 8, 0}, c.cap("clip_qkv", 0), func(*shape, *block) {})
}

// flexOlmo: FlexOlmoForCausalLM. Norms only of what a sublayer gives.
func flexOlmo(c *config) *Model {
	return olmoExperts(c, defaults{positions: 4096, epsKey: "rms_norm_eps", eps: 1e-6, bos: -1, eos: []int{100257}}, 500000, expertDefaults{7, 5, 0}, 0, func(s *shape, b *block) { b.normsAfter(s) })
}

func olmoExperts(c *config, d defaults, theta float64, def expertDefaults, clip float64, change func(s *shape, b *block)) *Model {
	s := c.shape(d)
	r := s.rotary()
	r.theta = theta
	rope := ropeOf(c, r)
	s.attnBias = c.bool("attention_bias", false)
	n := c.int("num_experts", def.experts, 1, maxExperts)
	top, renormalize := c.int("num_experts_per_tok", def.top, 1, n), c.bool("norm_topk_prob", false)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.normWhole(s.eps)
			b.attn.clip = clip
			change(&s, b)
			at := b.at + ".mlp"
			b.mlp = &moe{
				router: plain(at+".gate", false), experts: n, top: top, score: "softmax", renormalize: renormalize,
				inter: s.inter, act: s.act, expert: s.experts(at),
			}
		}
		return d
	})
}
