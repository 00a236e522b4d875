package hf

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// mpt: MptForCausalLM. ALiBi, layer norms without bias, q, k and v in one matrix.
func mpt(c *config) *Model {
	s := c.shape(defaults{positions: 2048, epsKey: "layer_norm_epsilon", eps: 1e-5, tied: true, bos: -1, eos: []int{}, sizes: map[string]string{
		"hidden_size": "d_model", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads", "max_position_embeddings": "max_seq_len", "num_key_value_heads": ""}})
	s.inter, s.act = 4*s.hidden, "gelu" // whatever else is said
	for _, key := range strings.Fields("expansion_ratio learned_pos_emb logit_scale no_bias norm_type init_device embedding_fraction verbose init_config tokenizer_name emb_pdrop") {
		c.read[key] = true // of training, and what transformers does not read
	}
	attn := c.object("attn_config")
	for _, key := range strings.Fields("attn_type attn_pdrop attn_impl prefix_lm qk_ln attn_uses_sequence_id alibi_bias_max model_type") {
		attn.read[key] = true // which transformers does not read
	}
	if !attn.bool("alibi", true) {
		c.note("attn_config: alibi false does not count, as in transformers")
	}
	clip, scale := attn.cap("clip_qkv", 0), attn.float("softmax_scale", 1/math.Sqrt(float64(s.headDim)), 1e-9, 1e9)
	attn.finish()
	if c.err == nil {
		c.err = attn.err
	}
	norm := func(name string) *norm { return &norm{name: name, eps: s.eps} }
	return s.model(c, func() *decoder {
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: "transformer.wte.weight", head: s.head("lm_head", "transformer.wte.weight"), final: norm("transformer.norm_f"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("transformer.blocks.%d", l)
			a := s.attention(at+".attn", nil, false)
			a.fusedQKV(at+".attn.Wqkv", &s, false, false)
			a.o, a.clip, a.scale, a.slopes = plain(at+".attn.out_proj", false), clip, scale, mptSlopes(s.heads)
			d.blocks = append(d.blocks, block{at: at, attnNorm: norm(at + ".norm_1"), attn: a, mlpNorm: norm(at + ".norm_2"), mlp: s.plainMLP(at+".ffn.up_proj", at+".ffn.down_proj", false)})
		}
		return d
	})
}

// mptSlopes are ALiBi's of n heads: 2^(-8i/p) for the power of two p that is not below n; of more than n every second one comes first.
func mptSlopes(n int) (slopes []float64) {
	p := 1 << bits.Len(uint(n-1))
	of := func(i int) float64 { return float64(float32(math.Pow(2, -8*float64(i)/float64(p)))) }
	if p == n {
		for i := range n {
			slopes = append(slopes, of(i+1))
		}
		return slopes
	}
	for _, first := range []int{2, 1} {
		for i := first; i <= p; i += 2 {
			slopes = append(slopes, of(i))
		}
	}
	return slopes[:n]
}
