package hf

import (
	"fmt"

	"qpt/internal/num"
)

// falcon: FalconForCausalLM. Three layouts: 7B (one key head), 40B and 11B (new_decoder_architecture), RW (neither), with ALiBi in place of positions.
func falcon(c *config) *Model {
	sizes := map[string]string{"intermediate_size": "ffn_hidden_size", "num_key_value_heads": ""}
	for usual, old := range map[string]string{"num_hidden_layers": "n_layer", "num_attention_heads": "n_head"} {
		if !c.has(usual) {
			sizes[usual] = old
		}
	}
	newer, single := c.bool("new_decoder_architecture", false), c.bool("multi_query", true)
	s := c.shape(defaults{epsKey: "layer_norm_epsilon", eps: 1e-5, actKey: "activation", act: "gelu", tied: true, bos: 11, eos: []int{11}, sizes: sizes})
	kv := c.int("num_kv_heads", c.int("n_head_kv", s.heads, 1, maxHeads), 1, maxHeads)
	switch {
	case newer:
		s.kvHeads = kv
	case single:
		s.kvHeads = 1
	}
	if s.heads%s.kvHeads != 0 {
		c.bad("num_kv_heads", "%d heads do not divide by %d", s.heads, s.kvHeads)
	}
	rotary := ropeOf(c, s.rotary())
	rope, slopes := &rotary, []float64(nil)
	if c.bool("alibi", false) {
		rope, slopes = nil, alibi(s.heads)
		for i, x := range slopes {
			slopes[i] = float64(num.FromBF16(num.BF16(float32(x))))
		}
	}
	parallel, bias := c.bool("parallel_attn", true) || newer, c.bool("bias", false)
	norms := c.int("num_ln_in_parallel_attn", 2, 1, 2)
	return s.model(c, func() *decoder {
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: "transformer.word_embeddings.weight", head: s.head("lm_head", "transformer.word_embeddings.weight"), final: s.layer("transformer.ln_f"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("transformer.h.%d", l)
			a := s.attention(at+".self_attention", rope, bias)
			if !newer && single {
				a.fusedQKV(at+".self_attention.query_key_value", &s, bias, false)
			} else {
				a.perHead(at+".self_attention.query_key_value", &s, bias)
			}
			a.o, a.slopes, a.rounded = plain(at+".self_attention.dense", bias), slopes, slopes != nil
			b := block{at: at, parallel: parallel, attnNorm: s.layer(at + ".input_layernorm"), attn: a, mlp: s.plainMLP(at+".mlp.dense_h_to_4h", at+".mlp.dense_4h_to_h", bias)}
			switch {
			case newer && norms == 2:
				b.attnNorm, b.mlpNorm = s.layer(at+".ln_attn"), s.layer(at+".ln_mlp")
			case !parallel:
				b.mlpNorm = s.layer(at + ".post_attention_layernorm")
			}
			d.blocks = append(d.blocks, b)
		}
		return d
	})
}
