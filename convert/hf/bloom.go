package hf

import (
	"fmt"
	"math"
	"math/bits"
)

// bloom: BloomForCausalLM. ALiBi in place of positions, a norm of the embedding.
func bloom(c *config) *Model {
	sizes := map[string]string{"num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
	for usual, old := range map[string]string{"hidden_size": "n_embed", "num_hidden_layers": "num_layers", "num_attention_heads": "num_attention_heads"} {
		if _, ok := sizes[usual]; c.has(old) && (!ok || !c.has(sizes[usual])) && !c.has(usual) {
			sizes[usual] = old
		} else if usual == "num_attention_heads" && c.has(usual) && !c.has("n_head") {
			sizes[usual] = usual
		}
	}
	s := c.shape(defaults{positions: 1 << 20, epsKey: "layer_norm_epsilon", eps: 1e-5, act: "gelu_new", tied: true, sizes: sizes})
	if c.bool("slow_but_exact", false) && c.int("pretraining_tp", 1, 1, maxHeads) > 1 {
		c.unsupported("slow_but_exact", "true with pretraining_tp above 1: transformers leaves biases out then")
	}
	post := c.bool("apply_residual_connection_post_layernorm", false)
	return s.model(c, func() *decoder {
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: "transformer.word_embeddings.weight", head: s.head("lm_head", "transformer.word_embeddings.weight"),
			embedNorm: s.layer("transformer.word_embeddings_layernorm"), final: s.layer("transformer.ln_f"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("transformer.h.%d", l)
			a := s.attention(at+".self_attention", nil, true)
			a.perHead(at+".self_attention.query_key_value", &s, true)
			a.o, a.slopes = plain(at+".self_attention.dense", true), alibi(s.heads)
			d.blocks = append(d.blocks, block{
				at: at, fromNorm: post, attnNorm: s.layer(at + ".input_layernorm"), attn: a,
				mlpNorm: s.layer(at + ".post_attention_layernorm"), mlp: s.plainMLP(at+".mlp.dense_h_to_4h", at+".mlp.dense_4h_to_h", true),
			})
		}
		return d
	})
}

// alibi is the slopes of n heads (arXiv 2108.12409): 2^(-8i/p) for the power of two p that is not above n,
// then every second one of twice that power.
func alibi(n int) (slopes []float64) {
	p := 1 << (bits.Len(uint(n)) - 1)
	of := func(p, i int) float64 { return float64(float32(math.Pow(2, -8*float64(i)/float64(p)))) }
	for i := 1; i <= p; i++ {
		slopes = append(slopes, of(p, i))
	}
	for i := 1; len(slopes) < n; i += 2 {
		slopes = append(slopes, of(2*p, i))
	}
	return slopes
}
