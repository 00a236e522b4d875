package hf

import (
	"slices"
	"strconv"
)

// qwenWindow is the size of windows, 0 without use_sliding_window, and the layer that max_window_layers names.
func (c *config) qwenWindow() (window, layer int) {
	window, layer = c.window(4096), c.int("max_window_layers", 28, 0, maxPos)
	if !c.bool("use_sliding_window", false) {
		window = 0
	}
	return window, layer
}

// qwenWindows: the layers from max_window_layers on, unless layer_types says.
func (s *shape) qwenWindows(c *config) []int {
	window, from := c.qwenWindow()
	return c.windows(s.layers, window, func(l int) bool { return window > 0 && l >= from })
}

// qwen2: Qwen2ForCausalLM, Qwen 1.5 to 2.5. Biases on q, k and v, without a key that says so.
func qwen2(c *config) *Model {
	s := c.shape(defaults{kvHeads: 32, positions: 32768, epsKey: "rms_norm_eps", eps: 1e-6, bos: -1, eos: []int{}})
	rope := ropeOf(c, s.rotary())
	windows := s.qwenWindows(c)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for i := range d.blocks {
			d.blocks[i].attn.biasQKV()
		}
		return d
	})
}

// biasQKV gives q, k and v a bias.
func (a *attention) biasQKV() {
	for _, l := range []*linear{&a.q, &a.k, &a.v} {
		*l = plain(l.name, true)
	}
}

// normQK gives q and k an rms norm over each head, before the rotation.
func (a *attention) normQK(eps, offset float64) {
	of := func(name string) *headNorm {
		return &headNorm{norm: norm{name: a.name + name, rms: true, eps: eps, offset: offset}}
	}
	a.qNorm, a.kNorm = of(".q_norm"), of(".k_norm")
}

// qwen3: Qwen3ForCausalLM.
func qwen3(c *config) *Model {
	s := c.shape(defaults{kvHeads: 32, headDim: 128, positions: 32768, epsKey: "rms_norm_eps", eps: 1e-6, bos: -1, eos: []int{}})
	rope := ropeOf(c, s.rotary())
	s.attnBias = c.bool("attention_bias", false)
	windows := s.qwenWindows(c)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			d.blocks[i].attn.normQK(s.eps, 0)
		}
		return d.windowed(windows)
	})
}

// qwenMoE reads which layers have experts, and theirs.
func (s *shape) qwenMoE(c *config, def expertDefaults) (sparse []bool, of func(at string) *moe) {
	n := c.int("num_experts", c.int("num_local_experts", def.experts, 1, maxExperts), 1, maxExperts)
	top := c.int("num_experts_per_tok", def.top, 1, n)
	inter := c.int("moe_intermediate_size", def.inter, 1, 1<<20)
	renormalize := c.bool("norm_topk_prob", false)
	step := c.int("decoder_sparse_step", 1, 1, maxLayers)
	only, _ := get[[]int](c, "mlp_only_layers", "a list of integers")
	for l := range s.layers {
		sparse = append(sparse, !slices.Contains(only, l) && (l+1)%step == 0)
	}
	return sparse, func(at string) *moe {
		return &moe{
			router: plain(at+".gate", false), experts: n, top: top, score: "softmax", renormalize: renormalize,
			inter: inter, act: s.act, expert: s.experts(at),
		}
	}
}

// expertDefaults are the defaults of experts.
type expertDefaults struct{ experts, top, inter int }

// experts named at.experts.E.gate_proj, up_proj, down_proj.
func (s *shape) experts(at string) func(e int) (gate, up, down linear) {
	return func(e int) (gate, up, down linear) {
		m := s.gated(at+".experts."+strconv.Itoa(e), 0, false)
		return m.gate, m.up, m.down
	}
}

// qwen2MoE: Qwen2MoeForCausalLM, with a shared expert behind a sigmoid.
func qwen2MoE(c *config) *Model {
	s := c.shape(defaults{kvHeads: 16, positions: 32768, epsKey: "rms_norm_eps", eps: 1e-6, bos: -1, eos: []int{}})
	rope := ropeOf(c, s.rotary())
	window, end := c.qwenWindow()
	windows := c.windows(s.layers, window, func(l int) bool { return window > 0 && l < end && l%2 == 0 })
	qkv := c.bool("qkv_bias", true)
	shared := c.int("shared_expert_intermediate_size", 5632, 1, 1<<20)
	sparse, experts := s.qwenMoE(c, expertDefaults{60, 4, 1408})
	return s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for i := range d.blocks {
			b := &d.blocks[i]
			if qkv {
				b.attn.biasQKV()
			}
			if sparse[i] {
				m := experts(b.at + ".mlp")
				gate := plain(b.at+".mlp.shared_expert_gate", false)
				m.shared, m.sharedGate = s.gated(b.at+".mlp.shared_expert", shared, false), &gate
				b.mlp = m
			}
		}
		return d
	})
}

// qwen3MoE: Qwen3MoeForCausalLM.
func qwen3MoE(c *config) *Model {
	s := c.shape(defaults{kvHeads: 4, positions: 32768, epsKey: "rms_norm_eps", eps: 1e-6, bos: -1, eos: []int{}})
	rope := ropeOf(c, s.rotary())
	s.attnBias = c.bool("attention_bias", false)
	window, _ := c.qwenWindow()
	windows := c.slides(s.layers, window)
	sparse, experts := s.qwenMoE(c, expertDefaults{128, 8, 768})
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.normQK(s.eps, 0)
			if sparse[i] {
				b.mlp = experts(b.at + ".mlp")
			}
		}
		return d.windowed(windows)
	})
}
