package hf

import (
	"math"

	"qpt/format/graph"
)

// The Gemma family: rms norms times 1 + weight, the embedding times sqrt(hidden), a tied head.

// gemmaShape reads the sizes; the activation is under actKey, and what other versions call it says nothing.
func gemmaShape(c *config, actKey string, d defaults) shape {
	d.epsKey, d.eps, d.tied, d.bos, d.eos = "rms_norm_eps", 1e-6, true, 2, []int{1}
	d.actKey, d.act = actKey, "gelu_pytorch_tanh"
	c.read["hidden_act"], c.read["hidden_activation"] = true, true
	return c.shape(d)
}

// gemma makes the norms and the embedding of d those of the family.
func (d *decoder) gemma(s *shape) *decoder {
	d.embedScale = math.Sqrt(float64(s.hidden))
	for _, n := range d.norms() {
		n.offset = 1
	}
	return d
}

// norms are those that d has so far, but of heads.
func (d *decoder) norms() (list []*norm) {
	add := func(n *norm) {
		if n != nil {
			list = append(list, n)
		}
	}
	add(d.embedNorm)
	for i := range d.blocks {
		b := &d.blocks[i]
		add(b.attnNorm)
		add(b.attnOut)
		add(b.mlpNorm)
		add(b.mlpOut)
	}
	add(d.final)
	return list
}

// gemma1: GemmaForCausalLM.
func gemma1(c *config) *Model {
	if c.string("hidden_act", "") == "gelu" { // older files mean its tanh form
		c.keys["hidden_act"] = []byte(`"gelu_pytorch_tanh"`)
	}
	s := gemmaShape(c, "hidden_act", defaults{headDim: 256, kvHeads: 16, positions: 8192})
	rope := ropeOf(c, s.rotary())
	s.attnBias = c.bool("attention_bias", false)
	return s.model(c, func() *decoder {
		return s.decoder(&rope).gemma(&s)
	})
}

// fourNorms puts a norm before and behind attention and MLP.
func (b *block) fourNorms(s *shape) {
	b.attnOut = s.rms(b.at + ".post_attention_layernorm")
	b.mlpNorm, b.mlpOut = s.rms(b.at+".pre_feedforward_layernorm"), s.rms(b.at+".post_feedforward_layernorm")
}

// gemma2: Gemma2ForCausalLM. Soft caps of scores and logits; even layers see a window.
func gemma2(c *config) *Model { return gemma2Of(c, true) }

func gemma2Of(c *config, four bool) *Model {
	s := gemmaShape(c, "hidden_activation", defaults{headDim: 256, kvHeads: 4, positions: 8192})
	rope := ropeOf(c, s.rotary())
	s.attnBias = c.bool("attention_bias", false)
	scale := 1 / math.Sqrt(c.float("query_pre_attn_scalar", 256, 1e-3, 1e6))
	softcap, final := c.cap("attn_logit_softcapping", 50), c.cap("final_logit_softcapping", 30)
	windows := c.windows(s.layers, c.window(4096), func(l int) bool { return l%2 == 0 })
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		d.logitCap = final
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.scale, b.attn.softcap = scale, softcap
			if b.fourNorms(&s); !four {
				b.attnOut, b.mlpOut = nil, nil
			}
		}
		return d.windowed(windows).gemma(&s)
	})
}

// vaultGemma: VaultGemmaForCausalLM. Gemma 2 without norms behind attention and MLP.
func vaultGemma(c *config) *Model { return gemma2Of(c, false) }

// cap reads a soft cap; null is none.
func (c *config) cap(key string, def float64) float64 {
	if _, ok := c.keys[key]; ok {
		def = 0
	}
	return c.float(key, def, 0, 1e6)
}

// gemma3: Gemma3ForCausalLM. Norms of q and k; layers with a window have a RoPE of their own.
func gemma3(c *config) *Model {
	s := gemmaShape(c, "hidden_activation", defaults{headDim: 256, kvHeads: 4, positions: 131072})
	s.attnBias = c.bool("attention_bias", false)
	scale := 1 / math.Sqrt(c.float("query_pre_attn_scalar", 256, 1e-3, 1e6))
	final := c.cap("final_logit_softcapping", 0)
	c.cap("attn_logit_softcapping", 0) // without effect, as in transformers
	pattern := c.int("sliding_window_pattern", 6, 1, maxLayers)
	window, both := c.window(4096), c.bool("use_bidirectional_attention", false)
	if both { // as EmbeddingGemma: a token sees as many on either side together
		window = window/2 + 1
	}
	windows := c.windows(s.layers, window, func(l int) bool { return (l+1)%pattern != 0 })
	wide, near := c.twoRopes(&s, 1e6, 10000, "rope_local_base_freq")
	return s.model(c, func() *decoder {
		d := s.decoder(&wide)
		d.logitCap = final
		for i := range d.blocks {
			b := &d.blocks[i]
			if windows[i] > 0 {
				b.attn.rope = &near
			}
			b.attn.scale, b.attn.both = scale, both
			b.attn.normQK(s.eps, 1)
			b.fourNorms(&s)
		}
		return d.windowed(windows).gemma(&s)
	})
}

// twoRopes are the rotary embeddings of layers that see all and of those with a window: in transformers 5 two objects
// in rope_parameters, before rope_theta and rope_scaling for the one, a base alone for the other, under localKey if there is one.
func (c *config) twoRopes(s *shape, theta, base float64, localKey string) (wide, near graph.RoPE) {
	r, local := s.rotary(), s.rotary()
	r.theta, local.theta = theta, base
	if localKey != "" {
		local.theta = c.float(localKey, base, 1e-3, 1e12)
	}
	if wide, near, ok := c.ropesByKind(r, local); ok {
		return wide, near
	}
	none := func() *config { return &config{where: c.where, read: map[string]bool{}} }
	return ropeOf(c, r), ropeFrom(none(), none(), local)
}

// ropesByKind reads those of rope_parameters by kinds of layers, if it has them.
func (c *config) ropesByKind(r, local rotary) (wide, near graph.RoPE, ok bool) {
	p := c.object("rope_parameters")
	if !p.has("full_attention") && !p.has("sliding_attention") {
		return wide, near, false
	}
	wide, near = ropeFrom(c, p.object("full_attention"), r), ropeFrom(c, p.object("sliding_attention"), local)
	p.finish()
	if c.err == nil {
		c.err = p.err
	}
	return wide, near, true
}

// partialRopes are ropes by kinds of layers, each of a part of the head if it says so; where there are none at all a share of the head turns in
// layers that see all.
func (c *config) partialRopes(s *shape, share float64) (wide, near graph.RoPE) {
	r := s.rotary()
	r.partial = 1
	if wide, near, ok := c.ropesByKind(r, r); ok {
		return wide, near
	}
	if c.has("rope_parameters") || c.has("rope_scaling") {
		c.bad("rope_parameters", "has neither full_attention nor sliding_attention, which this model_type needs")
	}
	local := r
	r.theta, r.partial = 500000, share
	return ropeOf(c, r), ropeOf(c, local)
}
