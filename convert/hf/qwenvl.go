package hf

import "qpt/format/graph"

// Text parts of Qwen's models of pictures and text. Positions of a picture have three numbers, those of text three equal ones, so that
// sections of the rotary embedding say nothing here.

// sections is ropeOf for them.
func (c *config) sections(r rotary) graph.RoPE {
	p := ropeObject(c)
	if p.string("rope_type", p.string("type", "")) == "mrope" {
		p.keys["rope_type"] = []byte(`"default"`)
	}
	p.read["mrope_section"], p.read["mrope_interleaved"] = true, true
	return ropeFrom(c, p, r)
}

// qwen2VL: Qwen2VLTextModel and Qwen2_5_VLTextModel, as Qwen 2.
func qwen2VL(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, positions: 32768, epsKey: "rms_norm_eps", eps: 1e-5, bos: 151643, eos: []int{151645}})
	r := s.rotary()
	r.theta = 1e6
	rope := c.sections(r)
	window, from := c.window(4096), c.int("max_window_layers", 80, 0, maxPos)
	if !c.bool("use_sliding_window", false) {
		window = 0
	}
	windows := c.windows(s.layers, window, func(l int) bool { return window > 0 && l >= from })
	return s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for i := range d.blocks {
			d.blocks[i].attn.biasQKV()
		}
		return d
	})
}

// qwen3VL: Qwen3VLTextModel, as Qwen 3.
func qwen3VL(c *config) *Model {
	s := c.shape(defaults{kvHeads: 32, headDim: 128, positions: 128000, epsKey: "rms_norm_eps", eps: 1e-6, bos: -1, eos: []int{}})
	return s.qwen3VL(c, func(int, *block) {})
}

// qwen3VL is the text part, where change has been at each layer.
func (s *shape) qwen3VL(c *config, change func(layer int, b *block)) *Model {
	r := s.rotary()
	r.theta = 500000
	rope := c.sections(r)
	s.attnBias = c.bool("attention_bias", false)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			d.blocks[i].attn.normQK(s.eps, 0)
			change(i, &d.blocks[i])
		}
		return d
	})
}

// qwen3VLMoE: Qwen3VLMoeTextModel, as Qwen 3 MoE with experts in stacks, in published files turned.
func qwen3VLMoE(c *config) *Model {
	s := c.shape(defaults{kvHeads: 16, positions: 128000, epsKey: "rms_norm_eps", eps: 1e-6, tied: true, bos: -1, eos: []int{}})
	sparse, experts := s.qwenMoE(c, expertDefaults{60, 4, 1408})
	model := s.qwen3VL(c, func(layer int, b *block) {
		if !sparse[layer] {
			return
		}
		m, at := experts(b.at+".mlp"), b.at+".mlp.experts"
		m.renormalize = true
		stack := func(e int, name, part string, n, k int, v graph.View) linear {
			return stackedTensor(at+"."+name, at, e, part, []int{m.experts, n, k}, v)
		}
		m.expert = func(e int) (gate, up, down linear) {
			gate = stack(e, "gate_up_proj", "gate", 2*m.inter, s.hidden, graph.View{})
			up = stack(e, "gate_up_proj", "up", 2*m.inter, s.hidden, graph.View{From: m.inter})
			return gate, up, stack(e, "down_proj", "down", s.hidden, m.inter, graph.View{})
		}
		b.mlp = m
	})
	if model != nil {
		model.eitherWay = true
	}
	return model
}
