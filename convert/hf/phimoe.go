package hf

import (
	"strconv"

	"qpt/format/graph"
)

// phiMoE: PhimoeForCausalLM, Phi 3.5 MoE, Phi mini and tiny MoE. Layer norms with bias; two experts, each with a weight of its own.
func phiMoE(c *config) *Model {
	s := c.shape(defaults{kvHeads: 8, positions: 4096 * 32, epsKey: "rms_norm_eps", eps: 1e-5})
	r := s.rotary()
	r.theta = 1e6
	p := ropeObject(c)
	short, long := p.float("short_mscale", 1, 1e-6, 1e6), p.float("long_mscale", 1, 1e-6, 1e6)
	scaled := p.string("rope_type", p.string("type", "default")) != "default"
	rope := ropeFrom(c, p, r)
	if scaled { // in place of the usual factor
		if short != long {
			c.unsupported("short_mscale", "%v beside long_mscale %v; only equal ones are supported", short, long)
		}
		if rope.Scale = short; rope.Long != nil || rope.Dynamic != nil {
			c.note("long texts have the frequencies of short ones, as in transformers")
			rope.Long, rope.Dynamic = nil, nil
		}
	}
	s.attnBias = c.bool("attention_bias", false)
	headBias := c.bool("lm_head_bias", false)
	windows := c.slides(s.layers, c.window(0))
	n := c.int("num_local_experts", 16, 2, maxExperts)
	if top := c.int("num_experts_per_tok", 2, 1, n); top != 2 {
		c.note("num_experts_per_tok %d does not count: two experts are chosen, as in transformers", top)
	}
	near := 2 * c.float("router_jitter_noise", 0.01, 0, 1)
	c.float("input_jitter_noise", 0, 0, 1)
	return s.model(c, func() *decoder {
		d := s.decoder(&rope).windowed(windows)
		for _, n := range d.norms() {
			n.rms, n.bias = false, true
		}
		if headBias {
			d.head.bias = d.head.name + ".bias"
		}
		for i := range d.blocks {
			b := &d.blocks[i]
			at := b.at + ".block_sparse_moe"
			b.mlp = &moe{
				router: plain(at+".gate", false), experts: n, top: 2, inter: s.inter, act: s.act,
				route: func(b *builder, at, scores string) (w, idx string) { return sparseMixer(b, at, scores, n, near) },
				expert: func(e int) (gate, up, down linear) {
					x := at + ".experts." + strconv.Itoa(e)
					return plain(x+".w1", false), plain(x+".w3", false), plain(x+".w2", false)
				},
			}
		}
		return d
	})
}

// sparseMixer chooses the two best of scores [T, n] (arXiv 2409.12136). The weight of each is its share in the softmax of those scores
// that are near it, by near in proportion; the second's without the first.
func sparseMixer(b *builder, at, scores string, n int, near float64) (w, idx string) {
	best := at + ".best"
	idx = at + ".chosen"
	b.Nodes(at+".topk", graph.TopK{K: 2}, []string{scores}, nil, best, idx)
	size := b.unary(at+".size", "abs", scores)
	var parts []string
	for i := range 2 {
		at := at + "." + strconv.Itoa(i)
		top := b.Node(at+".top", graph.Slice{Axis: 1, From: i, To: i + 1}, []string{best}) // [T, 1]
		gap := b.Binary(at+".gap", "sub", top, scores)
		far := b.Binary(at+".far", "div", gap, b.Binary(at+".factor", "max", size, top))
		part := b.Binary(at+".part", "mul", b.unary(at+".exp", "exp", b.Scalar(at+".below", "mul", gap, -1)), b.Scalar(at+".near", "le", far, near))
		if i == 1 { // not the first, which is above
			part = b.Binary(at+".rest", "mul", part, b.Scalar(at+".not_above", "ge", gap, 0))
		}
		parts = append(parts, b.Node(at+".sum", graph.Reduce{Func: "sum", Axis: 1}, []string{part}))
	}
	all := b.Node(at+".sums", graph.Concat{Axis: 1}, parts)
	ones := b.Scalar(at+".ones", "add", b.Scalar(at+".none", "mul", all, 0), 1)
	return b.Binary(at+".weights", "div", ones, all), idx
}
