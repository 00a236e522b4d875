package hf

import "qpt/format/graph"

// gptOSS: GptOssForCausalLM. Sinks; experts in stacks stored as [E, K, N], gate and up interleaved, with biases.
func gptOSS(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, headDim: 64, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-5, bos: -1, eos: []int{200002}})
	r := s.rotary()
	r.theta = 150000
	if !c.has("rope_scaling") && !c.has("rope_parameters") {
		c.keys["rope_scaling"] = []byte(`{"rope_type":"yarn","factor":32.0,"beta_fast":32.0,"beta_slow":1.0,"truncate":false,"original_max_position_embeddings":4096}`)
	}
	rope := ropeOf(c, r)
	s.attnBias = c.bool("attention_bias", true)
	windows := c.windows(s.layers, c.window(128), func(l int) bool { return l%2 == 0 })
	n := c.int("num_local_experts", 128, 1, maxExperts)
	top := c.int("num_experts_per_tok", c.int("experts_per_token", 4, 1, n), 1, n)
	limit := c.float("swiglu_limit", 7, 1e-3, 1e6)
	alpha := c.float("swiglu_alpha", 1.702, 1e-3, 1e3)
	c.int("initial_context_length", 0, 0, maxPos)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.sinks = b.attn.name + ".sinks"
			at := b.at + ".mlp.experts"
			part := func(e int, name, stack string, n2, n1, k int, v graph.View) linear { // n1 of the n2 rows of [E, k, n2]
				w := v
				w.Transpose = true
				l := stackedTensor(at+"."+stack, at, e, name, []int{n, k, n2}, w)
				v.Of, v.Shape, v.Index = at+"."+stack+"_bias", []int{n, n2}, e
				l.bias, l.biasView = l.name+".bias", &v
				return l
			}
			b.mlp = &moe{
				router: plain(b.at+".mlp.router", true), experts: n, top: top, score: "top-softmax",
				inter: s.inter, act: "quick_gelu", bias: true, limit: limit, alpha: alpha,
				expert: func(e int) (gate, up, down linear) {
					gate = part(e, "gate", "gate_up_proj", 2*s.inter, s.inter, s.hidden, graph.View{Block: 1, Stride: 2})
					up = part(e, "up", "gate_up_proj", 2*s.inter, s.inter, s.hidden, graph.View{From: 1, Block: 1, Stride: 2})
					return gate, up, part(e, "down", "down_proj", s.hidden, s.hidden, s.inter, graph.View{})
				},
			}
		}
		return d.windowed(windows)
	})
}
