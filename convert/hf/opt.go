package hf

import "fmt"

// opt: OPTForCausalLM. Learned positions, whose table begins with two rows that are not used.
func opt(c *config) *Model {
	s := c.shape(defaults{positions: 2048, actKey: "activation_function", act: "relu", tied: true, bos: 2, eos: []int{2}, sizes: map[string]string{"intermediate_size": "ffn_dim"}})
	s.eps = 1e-5
	width := c.int("word_embed_proj_dim", s.hidden, 1, maxWidth)
	bias, affine := c.bool("enable_bias", true), c.bool("layer_norm_elementwise_affine", true)
	before := c.bool("do_layer_norm_before", true)
	final := before && !c.bool("_remove_final_layer_norm", false)
	norm := func(name string) *norm { return &norm{name: name, eps: s.eps, bare: !affine, bias: affine} }
	return s.model(c, func() *decoder {
		const at = "model.decoder"
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: at + ".embed_tokens.weight", head: s.head("lm_head", at+".embed_tokens.weight"),
			positions: table(at+".embed_positions", s.positions, 2, s.hidden),
		}
		if final {
			d.final = norm(at + ".final_layer_norm")
		}
		if width != s.hidden {
			in, out := plain(at+".project_in", false), plain(at+".project_out", false)
			d.embedDim, d.projIn, d.projOut = width, &in, &out
		}
		for l := range s.layers {
			at := fmt.Sprintf("%s.layers.%d", at, l)
			a := s.attention(at+".self_attn", nil, bias)
			a.o = plain(at+".self_attn.out_proj", bias)
			d.blocks = append(d.blocks, block{
				at: at, after: !before, attnNorm: norm(at + ".self_attn_layer_norm"), attn: a,
				mlpNorm: norm(at + ".final_layer_norm"), mlp: s.plainMLP(at+".fc1", at+".fc2", bias),
			})
		}
		return d
	})
}
