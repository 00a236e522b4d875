package hf

import "fmt"

// persimmon: PersimmonForCausalLM. Norms of q and k, fused per head, half of each head turns.
func persimmon(c *config) *Model {
	s := c.shape(defaults{positions: 16384, epsKey: "layer_norm_eps", eps: 1e-5, act: "relu2", sizes: map[string]string{"num_key_value_heads": ""}})
	r := s.rotary()
	r.partial = 0.5
	rope := ropeOf(c, r)
	normed := c.bool("qk_layernorm", true)
	return s.model(c, func() *decoder {
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: "model.embed_tokens.weight", head: s.head("lm_head", "model.embed_tokens.weight"), final: s.layer("model.final_layernorm"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("model.layers.%d", l)
			a := s.attention(at+".self_attn", &rope, true)
			a.perHead(a.name+".query_key_value", &s, true)
			a.o = plain(a.name+".dense", true)
			if normed {
				a.qNorm, a.kNorm = &headNorm{norm: *s.layer(a.name + ".q_layernorm")}, &headNorm{norm: *s.layer(a.name + ".k_layernorm")}
			}
			d.blocks = append(d.blocks, block{
				at: at, attnNorm: s.layer(at + ".input_layernorm"), attn: a, mlpNorm: s.layer(at + ".post_attention_layernorm"), mlp: s.plainMLP(at+".mlp.dense_h_to_4h", at+".mlp.dense_4h_to_h", true),
			})
		}
		return d
	})
}
