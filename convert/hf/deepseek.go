package hf

import (
	"fmt"
	"math"
	"strings"
)

// deepseekV2: DeepseekV2ForCausalLM. A softmax weighs experts; they come from the groups with the best ones, if told.
func deepseekV2(c *config) *Model {
	s := c.shape(defaults{headDim: 1, epsKey: "rms_norm_eps", eps: 1e-6})
	attn := s.latentAttention(c, true, deepseekLatent)
	m := s.deepseekMoE(c, expertDefaults{64, -1, 1407}, 2)
	m.score, m.scale = "softmax", c.float("routed_scaling_factor", 1, 0, 1e6)
	switch method := c.string("topk_method", "greedy"); method {
	case "greedy":
		c.int("n_group", 1, 1, maxExperts)
		c.int("topk_group", 1, 1, maxExperts)
	case "group_limited_greedy":
		m.groupsBy(c, "max", -1, -1)
	default:
		c.unsupported("topk_method", "%.60q; known: greedy, group_limited_greedy", method)
	}
	c.only("scoring_func", `"softmax"`)
	c.bool("norm_topk_prob", false) // without effect, as in transformers
	return s.deepseek(c, attn, m, c.int("first_k_dense_replace", 0, 0, maxLayers), c.bool("mlp_bias", false))
}

// deepseekV3: DeepseekV3ForCausalLM and R1. A sigmoid weighs experts, which a correction besides helps to choose, from
// the groups whose two best give most.
func deepseekV3(c *config) *Model {
	s := c.shape(defaults{headDim: 1, positions: 4096, epsKey: "rms_norm_eps", eps: 1e-6, bos: tokenZero, eos: []int{1}})
	attn := s.latentAttention(c, c.bool("rope_interleave", true), deepseekLatent)
	m := s.sigmoidMoE(c, expertDefaults{256, 8, 2048}, 1, 8, 4, 2.5, true)
	return s.furtherTokens(c, s.deepseek(c, attn, m, c.int("first_k_dense_replace", 3, 0, maxLayers), false))
}

// sigmoidMoE reads experts as DeepSeek V3 weighs them.
func (s *shape) sigmoidMoE(c *config, def expertDefaults, shared, groups, top int, scale float64, renormalize bool) *moe {
	m := s.deepseekMoE(c, def, shared)
	m.score, m.correction, m.scale = "sigmoid", ".gate.e_score_correction_bias", c.float("routed_scaling_factor", scale, 0, 1e6)
	m.renormalize = c.bool("norm_topk_prob", renormalize)
	m.groupsBy(c, "top2", groups, top)
	c.only("scoring_func", `"sigmoid"`)
	c.only("topk_method", `"noaux_tc"`)
	return m
}

// furtherTokens leaves out layers behind the last, which predict further tokens (MTP) and are no part of the model.
func (s *shape) furtherTokens(c *config, model *Model) *Model {
	more := c.int("num_nextn_predict_layers", c.int("num_mtp_layers", 1, 0, 64), 0, 64)
	if model != nil {
		model.ignorable = func(tensor string) bool {
			for l := range more {
				if strings.HasPrefix(tensor, fmt.Sprintf("model.layers.%d.", s.layers+l)) {
					return true
				}
			}
			return ignorable(tensor)
		}
	}
	return model
}

// deepseekLatent are the sizes where a config says nothing.
var deepseekLatent = latent{rank: 512, nope: 128, rope: 64, value: 128, qRank: 1536}

// latentAttention reads the attention; what is without a name differs by layer.
func (s *shape) latentAttention(c *config, interleaved bool, def latent) attention {
	l := &latent{
		rank: c.int("kv_lora_rank", def.rank, 1, maxWidth), nope: c.int("qk_nope_head_dim", def.nope, 1, maxHead), rope: c.int("qk_rope_head_dim", def.rope, 2, maxHead),
		value: c.int("v_head_dim", def.value, 1, maxHead), bias: c.bool("attention_bias", false), qRank: def.qRank,
	}
	if _, ok := c.keys["q_lora_rank"]; ok {
		l.qRank = 0 // null
	}
	l.qRank = c.int("q_lora_rank", l.qRank, 0, maxWidth)
	if s.heads != s.kvHeads {
		c.unsupported("num_key_value_heads", "%d; only num_attention_heads %d is supported", s.kvHeads, s.heads)
	}
	if wide := s.heads * max(l.rank, l.nope+l.rope, l.value); wide > maxWidth {
		c.bad("num_attention_heads", "%d heads are %d wide together, at most %d will do", s.heads, wide, maxWidth)
	}
	p := ropeObject(c)
	rope := ropeFrom(c, p, rotary{dim: l.rope, positions: s.positions, interleaved: interleaved})
	a := attention{heads: s.heads, rope: &rope, latent: l, scale: 1 / math.Sqrt(float64(l.nope+l.rope))}
	if kind := p.string("rope_type", p.string("type", "default")); kind != "default" {
		if all := p.float("mscale_all_dim", 0, 0, 1e3); all != 0 {
			m := yarnScale(p.float("factor", 1, 1e-6, 1e6), all)
			a.scale *= m * m
		}
	}
	return a
}

// at is the attention of a layer.
func (a attention) at(name string) attention {
	l := *a.latent
	query := name + ".q_proj"
	if l.qRank > 0 {
		qA := plain(name+".q_a_proj", l.bias)
		l.qA, l.qNorm, query = &qA, &norm{name: name + ".q_a_layernorm", rms: true, eps: 1e-6}, name+".q_b_proj"
	}
	l.q, l.kvA, l.kvB = query, name+".kv_a_proj_with_mqa", name+".kv_b_proj"
	l.norm = &norm{name: name + ".kv_a_layernorm", rms: true, eps: 1e-6}
	a.name, a.latent, a.o = name, &l, plain(name+".o_proj", l.bias)
	return a
}

// deepseekMoE reads the experts; shared is how many there are besides for every token, of the same width.
func (s *shape) deepseekMoE(c *config, def expertDefaults, shared int) *moe {
	n := c.int("n_routed_experts", c.int("num_experts", def.experts, 1, maxExperts), 1, maxExperts)
	inter := c.int("moe_intermediate_size", def.inter, 1, 1<<20)
	m := &moe{experts: n, top: c.int("num_experts_per_tok", def.top, 1, n), inter: inter, act: s.act}
	if k := c.int("n_shared_experts", shared, 0, maxExperts); k > 0 {
		m.shared = &mlp{inter: k * inter}
	}
	c.only("moe_layer_freq", "1")
	for _, key := range []string{"qk_head_dim", "ep_size", "aux_loss_alpha", "seq_aux"} { // a sum, and of training
		c.read[key] = true
	}
	return m
}

// groupsBy reads the groups of experts.
func (m *moe) groupsBy(c *config, score string, groups, top int) {
	m.groups = c.int("n_group", groups, 1, m.experts)
	m.topGroups = c.int("topk_group", top, 1, m.groups)
	m.groupScore = score
	switch each := m.experts / m.groups; {
	case m.experts%m.groups != 0:
		c.bad("n_group", "%d experts do not divide into %d groups", m.experts, m.groups)
	case m.top > m.topGroups*each:
		c.bad("topk_group", "%d groups of %d experts are fewer than num_experts_per_tok %d", m.topGroups, each, m.top)
	case score == "top2" && each < 2:
		c.bad("n_group", "groups of one expert have no two best")
	}
}

// deepseek is the decoder: dense layers first, then mixtures.
func (s *shape) deepseek(c *config, attn attention, experts *moe, dense int, mlpBias bool) *Model {
	return s.model(c, func() *decoder {
		d := s.decoder(nil)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn = attn.at(b.attn.name)
		}
		return s.mixtures(d, experts, from(dense), mlpBias)
	})
}

// from are the layers from first on.
func from(first int) func(layer int) bool { return func(layer int) bool { return layer >= first } }

// sparse says which layers have experts: by mlp_layer_types, or else by def.
func (s *shape) sparse(c *config, def func(layer int) bool) func(layer int) bool {
	kinds, ok := get[[]string](c, "mlp_layer_types", "a list of strings")
	if ok && len(kinds) != s.layers {
		c.bad("mlp_layer_types", "%d of them for %d layers", len(kinds), s.layers)
	}
	for _, kind := range kinds {
		if kind != "dense" && kind != "sparse" {
			c.unsupported("mlp_layer_types", "%.60q; known: dense, sparse", kind)
		}
	}
	if !ok {
		return def
	}
	return func(layer int) bool { return kinds[layer] == "sparse" }
}

// mixtures gives the layers that sparse names their experts.
func (s *shape) mixtures(d *decoder, experts *moe, sparse func(layer int) bool, mlpBias bool) *decoder {
	for i := range d.blocks {
		b := &d.blocks[i]
		at := b.at + ".mlp"
		if !sparse(i) {
			b.mlp = s.gated(at, s.inter, mlpBias)
			continue
		}
		m := *experts
		m.router, m.expert = plain(at+".gate", false), s.experts(at)
		if m.shared != nil {
			m.shared = s.gated(at+".shared_experts", m.shared.inter, mlpBias)
		}
		if m.correction != "" {
			m.correction = at + m.correction
		}
		b.mlp = &m
	}
	return d
}
