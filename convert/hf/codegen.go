package hf

import (
	"fmt"
	"strings"

	"qpt/format/graph"
)

// codeGen: CodeGenForCausalLM. GPT-J whose q, v and k are one matrix in four parts.
func codeGen(c *config) *Model {
	s := c.shape(defaults{positions: 2048, epsKey: "layer_norm_epsilon", eps: 1e-5, actKey: "activation_function", act: "gelu_new", bos: 50256, eos: []int{50256}, sizes: gptSizes})
	const parts = 4
	if s.hidden%parts != 0 {
		c.bad("n_embd", "%d does not divide into %d parts", s.hidden, parts)
	}
	rope := c.gptjRope(&s)
	c.int("n_ctx", s.positions, 1, maxPos)
	for _, key := range []string{"summary_type", "summary_use_proj", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "gradient_checkpointing", "scale_attn_weights"} {
		c.read[key] = true // of heads that are not this one, and what transformers does not read
	}
	m := s.model(c, func() *decoder {
		d := s.gptj(&rope)
		for i := range d.blocks {
			a := &d.blocks[i].attn
			part := func(which string, at int) linear {
				n := s.hidden / parts
				return fused(a.name+".qkv_proj", which, 3*s.hidden, s.hidden, false, false, graph.View{From: at * n, Block: n, Stride: 3 * n})
			}
			a.q, a.v, a.k = part("q", 0), part("v", 1), part("k", 2)
		}
		return d
	})
	if m != nil {
		m.ignorable = func(tensor string) bool { return strings.HasSuffix(tensor, ".attn.causal_mask") || ignorable(tensor) }
	}
	return m
}

// gptj is the decoder of GPT-J.
func (s *shape) gptj(rope *graph.RoPE) *decoder {
	d := &decoder{
		vocab: s.vocab, hidden: s.hidden, embed: "transformer.wte.weight", head: s.head("lm_head", "transformer.wte.weight"), final: s.layer("transformer.ln_f"),
	}
	d.head.bias = "lm_head.bias"
	for l := range s.layers {
		at := fmt.Sprintf("transformer.h.%d", l)
		a := s.attention(at+".attn", rope, false)
		a.o = plain(at+".attn.out_proj", false)
		d.blocks = append(d.blocks, block{at: at, parallel: true, attnNorm: s.layer(at + ".ln_1"), attn: a, mlp: s.plainMLP(at+".mlp.fc_in", at+".mlp.fc_out", true)})
	}
	return d
}

// gptjRope reads the rotation: interleaved, of the first rotary_dim values.
func (c *config) gptjRope(s *shape) graph.RoPE {
	r := s.rotary()
	if _, ok := c.keys["rotary_dim"]; ok && !c.has("rotary_dim") {
		c.unsupported("rotary_dim", "null; say how many values of a head turn")
	}
	r.interleaved, r.rotated = true, c.int("rotary_dim", 64, 2, s.headDim)
	return ropeOf(c, r)
}
