package hf

import "qpt/format/graph"

// phi: PhiForCausalLM, Phi-1 and 2. Attention and MLP in parallel on one layer norm, biases everywhere.
func phi(c *config) *Model {
	s := c.shape(defaults{epsKey: "layer_norm_eps", eps: 1e-5, act: "gelu_new", bos: 1, eos: []int{2}})
	r := s.rotary()
	r.partial = 0.5
	rope := ropeOf(c, r)
	qk := c.bool("qk_layernorm", false)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		d.final = s.layer("model.final_layernorm")
		d.head.bias = "lm_head.bias"
		for i := range d.blocks {
			b := &d.blocks[i]
			b.parallel, b.attnNorm, b.mlpNorm = true, s.layer(b.at+".input_layernorm"), nil
			b.attn = s.attention(b.attn.name, &rope, true)
			b.attn.o = plain(b.attn.name+".dense", true)
			if qk {
				b.attn.qNorm = &headNorm{norm: *s.layer(b.attn.name + ".q_layernorm")}
				b.attn.kNorm = &headNorm{norm: *s.layer(b.attn.name + ".k_layernorm")}
			}
			b.mlp = s.plainMLP(b.at+".mlp.fc1", b.at+".mlp.fc2", true)
		}
		return d
	})
}

// layer is a layer norm with weight and bias.
func (s *shape) layer(name string) *norm { return &norm{name: name, eps: s.eps, bias: true} }

// plainMLP is an MLP without a gate.
func (s *shape) plainMLP(up, down string, bias bool) *mlp {
	return &mlp{up: plain(up, bias), down: plain(down, bias), inter: s.inter, act: s.act}
}

// phi3: Phi3ForCausalLM, Phi-3 to 4. Fused qkv_proj and gate_up_proj.
func phi3(c *config) *Model {
	s := c.shape(defaults{positions: 4096, epsKey: "rms_norm_eps", eps: 1e-5, eos: []int{32000}})
	r := s.rotary()
	r.partial = 1
	p := ropeObject(c)
	if kind := p.string("rope_type", p.string("type", "")); kind == "su" || kind == "yarn" { // as the first files say
		p.keys["rope_type"] = []byte(`"longrope"`)
	}
	rope := ropeFrom(c, p, r)
	windows := c.slides(s.layers, c.window(0))
	return s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.fusedQKV(b.attn.name+".qkv_proj", &s, false, false)
			b.mlp = s.fusedGate(b.at+".mlp", s.inter)
		}
		return d
	})
}

// fusedQKV makes q, k and v the parts of one projection, one after the other.
func (a *attention) fusedQKV(name string, s *shape, bias, turned bool) {
	q, k := s.heads*s.headDim, s.kvHeads*s.headDim
	rows := q + 2*k
	a.q = fused(name, "q", rows, s.hidden, bias, turned, graph.View{})
	a.k = fused(name, "k", rows, s.hidden, bias, turned, graph.View{From: q})
	a.v = fused(name, "v", rows, s.hidden, bias, turned, graph.View{From: q + k})
}

// fusedGate is an MLP with gate_up_proj, the gate first, and down_proj.
func (s *shape) fusedGate(at string, inter int) *mlp {
	return &mlp{
		gate: fused(at+".gate_up_proj", "gate", 2*inter, s.hidden, false, false, graph.View{}),
		up:   fused(at+".gate_up_proj", "up", 2*inter, s.hidden, false, false, graph.View{From: inter}),
		down: plain(at+".down_proj", false), inter: inter, act: s.act,
	}
}
