package hf

import (
	"strconv"
	"strings"
)

// miniMaxM2: MiniMaxM2ForCausalLM. Norms of the whole q and k, of each head a part turns, experts as Mixtral's weighed by a sigmoid.
func miniMaxM2(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, headDim: 128, positions: 196608, epsKey: "rms_norm_eps", eps: 1e-6, bos: 200034, eos: []int{200020}})
	r := s.rotary()
	r.theta, r.partial = 5e6, 1
	if c.has("rotary_dim") {
		r.partial = float64(c.int("rotary_dim", -1, 2, s.headDim)) / float64(s.headDim)
	}
	rope := ropeOf(c, r)
	c.rename("num_experts", "num_local_experts")
	n := c.int("num_local_experts", 256, 1, maxExperts)
	top := c.int("num_experts_per_tok", 8, 1, n)
	for _, key := range strings.Fields("attn_type_list layernorm_full_attention_beta layernorm_linear_attention_beta layernorm_mlp_beta mlp_intermediate_size mtp_transformer_layers num_mtp_modules qk_norm_type scoring_func shared_intermediate_size shared_moe_mode sliding_window use_mtp use_qk_norm use_routing_bias") {
		c.read[key] = true // which transformers does not read
	}
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.normWhole(s.eps)
			at := b.at + ".block_sparse_moe"
			b.mlp = &moe{
				router: plain(at+".gate", false), experts: n, top: top, score: "sigmoid", correction: at + ".e_score_correction_bias", renormalize: true, inter: s.inter, act: s.act,
				expert: mixtralExperts(at),
			}
		}
		return d
	})
}

// mixtralExperts are named at.experts.E.w1 (gate), w3 (up), w2 (down).
func mixtralExperts(at string) func(e int) (gate, up, down linear) {
	return func(e int) (gate, up, down linear) {
		x := at + ".experts." + strconv.Itoa(e)
		return plain(x+".w1", false), plain(x+".w3", false), plain(x+".w2", false)
	}
}
