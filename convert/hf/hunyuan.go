package hf

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// hunyuanDense: HunYuanDenseV1ForCausalLM. Norms of q and k behind the rotation, whose base a fixed alpha may stretch.
func hunyuanDense(c *config) *Model { return hunyuan(c, func(*shape, int, *block) {}) }

// hunyuanMoE: HunYuanMoEV1ForCausalLM. Besides experts, and an MLP for every token.
func hunyuanMoE(c *config) *Model {
	n := c.int("num_experts", 1, 1, maxExperts)
	tops, ok := []int(nil), strings.HasPrefix(string(c.keys["moe_topk"]), "[") // for each layer
	if ok {
		tops, _ = get[[]int](c, "moe_topk", "a list of integers")
	} else {
		tops = slices.Repeat([]int{c.int("moe_topk", 1, 1, n)}, max(1, c.int("num_hidden_layers", -1, 1, maxLayers)))
	}
	for _, top := range tops {
		if top < 1 || top > n {
			c.bad("moe_topk", "%d of %d experts", top, n)
		}
	}
	if layers := c.int("num_hidden_layers", -1, 1, maxLayers); len(tops) < layers {
		c.bad("moe_topk", "%d of them for %d layers", len(tops), layers)
	}
	for _, key := range strings.Fields("moe_intermediate_size num_shared_expert use_mixed_mlp_moe moe_layer_num_skipped moe_drop_tokens moe_random_routing_dropped_token capacity_factor use_qk_norm norm_type mlp_bias use_rotary_pos_emb use_cla cla_share_factor attention_head_dim kv_lora_rank q_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim org_vocab_size group_limited_greedy n_group topk_group num_media_embeds") {
		c.read[key] = true // which transformers does not read
	}
	return hunyuan(c, func(s *shape, layer int, b *block) {
		at := b.at + ".mlp"
		b.mlp = &moe{router: plain(at+".gate.wg", false), experts: n, top: tops[layer], score: "softmax", renormalize: true, inter: s.inter, act: s.act,
			expert: s.experts(at), shared: s.gated(at+".shared_mlp", s.inter, false)}
	})
}

func hunyuan(c *config, change func(s *shape, layer int, b *block)) *Model {
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
			change(&s, i, &d.blocks[i])
		}
		return d
	})
}
