package hf

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"qpt/format/graph"
)

// gemma4: Gemma4ForCausalLM. Heads of full layers have sizes of their own; the last layers take keys and values of earlier ones; each layer reads a narrow
// embedding of its own; experts beside the MLP if told.
func gemma4(c *config) *Model {
	s := gemmaShape(c, "hidden_activation", defaults{headDim: 256, kvHeads: 4, positions: 131072})
	bias := c.bool("attention_bias", false)
	s.attnBias = bias
	if both := string(c.keys["use_bidirectional_attention"]); both == `"vision"` { // of pictures
		c.read["use_bidirectional_attention"] = true
	} else {
		c.only("use_bidirectional_attention", "null")
	}
	windows := c.windows(s.layers, c.int("sliding_window", 512, 1, maxPos), func(l int) bool { return (l+1)%6 != 0 })
	windows[s.layers-1] = 0 // whatever layer_types says, as in transformers
	sizes := c.gemma4Heads(&s, windows)
	ropes := c.gemma4Ropes(&s, sizes, windows)
	shared := c.int("num_kv_shared_layers", 0, 0, s.layers-1)
	source := func(l int) int { // the layer whose keys and values l has
		if l < s.layers-shared {
			return l
		}
		for i := s.layers - shared - 1; i >= 0; i-- {
			if (windows[i] > 0) == (windows[l] > 0) {
				return i
			}
		}
		c.bad("num_kv_shared_layers", "%d: no layer of layer %d's kind keeps keys and values", shared, l)
		return l
	}
	wide, keysToo, final := c.bool("use_double_wide_mlp", false), c.bool("attention_k_eq_v", false), c.cap("final_logit_softcapping", 0)
	narrow, words := c.int("hidden_size_per_layer_input", 256, 0, maxWidth), c.int("vocab_size_per_layer_input", 262144, 1, maxVocab)
	if narrow > 0 && narrow*s.layers > maxWidth {
		c.bad("hidden_size_per_layer_input", "%d of %d layers are wider than %d", narrow, s.layers, maxWidth)
	}
	experts, top, inter := c.int("num_experts", 1, 1, maxExperts), c.int("top_k_experts", 1, 1, maxExperts), c.int("moe_intermediate_size", 1, 1, 1<<20)
	mixed := c.bool("enable_moe_block", false)
	if mixed && top > experts {
		c.bad("top_k_experts", "%d of %d experts", top, experts)
	}
	m := s.model(c, func() *decoder {
		d := s.decoder(nil)
		d.embedScale, d.logitCap = math.Sqrt(float64(s.hidden)), final
		inputs := make([]string, s.layers) // [T, narrow] of each layer
		if narrow > 0 {
			d.begin = func(b *builder, h string) { s.layerInputs(b, h, words, narrow, inputs) }
		}
		for i := range d.blocks {
			b := &d.blocks[i]
			from, full := source(i), windows[i] == 0
			of := s
			of.headDim, of.kvHeads = sizes[i][0], sizes[i][1]
			b.attn = of.attention(b.attn.name, &ropes[i], bias)
			b.attn.scale, b.attn.window = 1, windows[i]
			b.attn.normQK(s.eps, 0)
			b.attn.vNorm = &headNorm{norm: norm{name: b.attn.name + ".v_norm", rms: true, bare: true, eps: s.eps}}
			b.attn.keysToo = keysToo && full
			width := s.inter
			if from != i {
				if b.attn.shared = d.blocks[from].attn.name; wide {
					width *= 2
				}
			}
			b.fourNorms(&s)
			mlp := s.gated(b.at+".mlp", width, false)
			b.mlp = mlp
			if mixed {
				b.mlp = &besides{mlp: mlp, s: &s, experts: experts, top: top, inter: inter}
			}
			b.end = func(b *builder, h string) string { return s.gemma4End(b, d.blocks[i].at, h, narrow, inputs[i]) }
		}
		return d
	})
	if m != nil {
		m.ignorable = func(tensor string) bool { // of layers that have keys and values of others
			for i := range s.layers {
				for _, part := range []string{"k_proj", "v_proj", "k_norm", "v_norm"} {
					if source(i) != i && tensor == fmt.Sprintf("model.layers.%d.self_attn.%s.weight", i, part) {
						return true
					}
				}
			}
			return ignorable(tensor)
		}
	}
	return m
}

// gemma4Heads are the width and number of key heads of each layer: by layer in per_layer_config, or else by the keys of full layers.
func (c *config) gemma4Heads(s *shape, windows []int) (sizes [][2]int) {
	type size struct {
		Dim *int `json:"head_dim"`
		KV  *int `json:"num_key_value_heads"`
	}
	wide, kv := c.int("global_head_dim", 512, 1, maxHead), c.int("num_global_key_value_heads", s.kvHeads, 1, maxHeads)
	if !c.bool("attention_k_eq_v", false) {
		kv = s.kvHeads
	}
	layers, given := get[map[string]json.RawMessage](c, "per_layer_config", "an object")
	for l, window := range windows {
		n := [2]int{s.headDim, s.kvHeads}
		if given {
			var of size
			if raw, ok := layers[strconv.Itoa(l)]; ok && json.Unmarshal(raw, &of) != nil {
				c.bad("per_layer_config", "layer %d: %.60s is not an object with head_dim, num_key_value_heads", l, raw)
			}
			if of.Dim != nil {
				n[0] = *of.Dim
			}
			if of.KV != nil {
				n[1] = *of.KV
			}
		} else if window == 0 {
			n = [2]int{wide, kv}
		}
		if n[0] < 2 || n[0] > maxHead || n[1] < 1 || s.heads%n[1] != 0 || s.heads*n[0] > maxWidth {
			c.bad("per_layer_config", "layer %d: %d heads of %d on %d", l, s.heads, n[0], n[1])
			n = [2]int{2, s.heads}
		}
		sizes = append(sizes, n)
	}
	return sizes
}

// gemma4Ropes are the rotary embeddings of the layers: those of full ones may turn the first part of each head's pairs alone.
func (c *config) gemma4Ropes(s *shape, sizes [][2]int, windows []int) (ropes []graph.RoPE) {
	p := c.object("rope_parameters")
	kinds := [2]*config{p.object("full_attention"), p.object("sliding_attention")}
	if len(kinds[0].keys) == 0 {
		kinds[0].keys = map[string]json.RawMessage{"rope_type": []byte(`"proportional"`), "partial_rotary_factor": []byte("0.25"), "rope_theta": []byte("1e6")}
	}
	for l, window := range windows {
		r := rotary{dim: sizes[l][0], positions: s.positions}
		of := kinds[min(window, 1)]
		if of.string("rope_type", "default") != "proportional" {
			ropes = append(ropes, ropeFrom(c, of, r))
			continue
		}
		theta, share, factor := of.float("rope_theta", 10000, 1e-3, 1e12), of.float("partial_rotary_factor", 1, 0, 1), of.float("factor", 1, 1e-6, 1e6)
		rope := graph.RoPE{HeadDim: r.dim, Rotary: r.dim, Pairing: "half", Scale: 1, Freqs: make([]float64, r.dim/2)}
		for i := range int(math.Floor(share * float64(r.dim) / 2)) {
			rope.Freqs[i] = float64(float32(math.Pow(theta, -float64(2*i)/float64(r.dim)) / factor))
		}
		ropes = append(ropes, rope)
	}
	p.finish()
	if c.err == nil {
		c.err = p.err
	}
	return ropes
}

// layerInputs fills in what each layer reads besides: rows of a table by token, and a projection of the embedding h, in equal parts.
func (s *shape) layerInputs(b *builder, h string, words, narrow int, inputs []string) {
	all := s.layers * narrow
	rows := b.Scalar("model.embed_tokens_per_layer.scaled", "mul",
		b.Node("model.embed_tokens_per_layer", graph.Embedding{}, []string{b.ids}, b.Param("model.embed_tokens_per_layer.weight", words, all)), math.Sqrt(float64(narrow)))
	const project = "model.per_layer_model_projection"
	x := b.Scalar(project+".scaled", "mul", b.linear(plain(project, false), h, all, s.hidden), 1/math.Sqrt(float64(s.hidden)))
	x = b.Node(project+".layers", graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(s.layers), graph.Dim(narrow)}}, []string{x}) // symbol T
	x = b.norm(s.rms("model.per_layer_projection_norm"), x, narrow)
	x = b.Node(project+".flat", graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(all)}}, []string{x})
	x = b.Scalar(project+".inputs", "mul", b.Binary(project+".added", "add", x, rows), 1/math.Sqrt2)
	for i := range inputs {
		inputs[i] = b.Node(fmt.Sprintf("model.layers.%d.input", i), graph.Slice{Axis: 1, From: i * narrow, To: (i + 1) * narrow}, []string{x})
	}
}

// gemma4End adds what a layer makes of its input, and scales the sum.
func (s *shape) gemma4End(b *builder, at, h string, narrow int, input string) string {
	if narrow > 0 {
		x := b.unary(at+".input_act", s.act, b.linear(plain(at+".per_layer_input_gate", false), h, narrow, s.hidden))
		x = b.linear(plain(at+".per_layer_projection", false), b.Binary(at+".input_gated", "mul", x, input), s.hidden, narrow)
		h = b.Binary(at+".input_residual", "add", h, b.norm(s.rms(at+".post_per_layer_input_norm"), x, s.hidden))
	}
	return b.Binary(at+".scaled", "mul", h, b.Node(at+".layer_scalar", graph.Constant{}, nil, b.Param(at+".layer_scalar", 1)))
}

// besides is an MLP with experts beside it, which read the stream before the MLP's norm.
type besides struct {
	mlp                 *mlp
	s                   *shape
	experts, top, inter int
}

func (g *besides) build(b *builder, at, x string) string {
	h := b.stream
	y := b.norm(g.s.rms(at+".post_feedforward_layernorm_1"), g.mlp.build(b, at, x), b.hidden)

	router := at + ".router"
	r := b.Binary(router+".times", "mul", b.bareRMS(router+".norm", g.s.eps, h, 1), b.Node(router+".scale", graph.Constant{}, nil, b.Param(router+".scale", b.hidden)))
	r = b.Scalar(router+".scaled", "mul", r, 1/math.Sqrt(float64(b.hidden)))
	scores := b.Node(router+".scores", graph.Softmax{}, []string{b.linear(plain(router+".proj", false), r, g.experts, b.hidden)})
	w, idx := router+".weights", router+".chosen"
	b.Nodes(router+".topk", graph.TopK{K: g.top}, []string{scores}, nil, w, idx)
	w = b.Binary(router+".normalized", "div", w, b.Node(router+".sum", graph.Reduce{Func: "sum", Axis: 1}, []string{w}))
	scales := b.Binary(router+".scales", "add", b.Scalar(router+".zero", "mul", scores, 0), b.Node(router+".per_expert_scale", graph.Constant{}, nil, b.Param(router+".per_expert_scale", g.experts)))
	w = b.Binary(router+".final", "mul", w, b.Node(router+".taken", graph.Take{}, []string{scales, idx}))

	m := &moe{experts: g.experts, top: g.top, inter: g.inter, act: g.mlp.act, expert: func(e int) (gate, up, down linear) {
		both, name := []int{g.experts, 2 * g.inter, b.hidden}, at+".experts.gate_up_proj"
		return stackedTensor(name, name, e, "gate", both, graph.View{}), stackedTensor(name, name, e, "up", both, graph.View{From: g.inter}),
			stackedTensor(at+".experts.down_proj", at+".experts.down_proj", e, "", []int{g.experts, b.hidden, g.inter}, graph.View{})
	}}
	z := m.mixture(b, at+".moe", b.norm(g.s.rms(at+".pre_feedforward_layernorm_2"), h, b.hidden), w, idx)
	return b.Binary(at+".both", "add", y, b.norm(g.s.rms(at+".post_feedforward_layernorm_2"), z, b.hidden))
}
