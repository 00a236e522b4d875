package hf

import (
	"fmt"

	"qpt/format/graph"
)

// gptNeoX: GPTNeoXForCausalLM, Pythia.
func gptNeoX(c *config) *Model {
	s := c.shape(defaults{epsKey: "layer_norm_eps", eps: 1e-5, act: "gelu", bos: tokenZero})
	r := s.rotary()
	r.partial, r.theta = c.float("rotary_pct", 0.25, 0, 1), c.float("rotary_emb_base", 10000, 1e-3, 1e12)
	r.odd = true
	rope := ropeOf(c, r)
	parallel, bias := c.bool("use_parallel_residual", true), c.bool("attention_bias", true)
	return s.model(c, func() *decoder {
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: "gpt_neox.embed_in.weight", head: s.head("embed_out", "gpt_neox.embed_in.weight"), final: s.layer("gpt_neox.final_layer_norm"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("gpt_neox.layers.%d", l)
			a := s.attention(at+".attention", &rope, bias)
			a.perHead(at+".attention.query_key_value", &s, bias)
			a.o = plain(at+".attention.dense", bias)
			d.blocks = append(d.blocks, block{
				at: at, parallel: parallel, attnNorm: s.layer(at + ".input_layernorm"), attn: a,
				mlpNorm: s.layer(at + ".post_attention_layernorm"), mlp: s.plainMLP(at+".mlp.dense_h_to_4h", at+".mlp.dense_4h_to_h", true),
			})
		}
		return d
	})
}

// perHead makes q, k and v the parts of one projection that lie head by head: for each key head
// its query heads, then k, then v.
func (a *attention) perHead(name string, s *shape, bias bool) {
	group := s.heads / s.kvHeads
	dim, stride := s.headDim, (group+2)*s.headDim
	rows := s.kvHeads * stride
	part := func(which string, from, block int) linear {
		return fused(name, which, rows, s.hidden, bias, false, graph.View{From: from, Block: block, Stride: stride})
	}
	a.q, a.k, a.v = part("q", 0, group*dim), part("k", group*dim, dim), part("v", (group+1)*dim, dim)
}
