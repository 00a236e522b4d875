package hf

import "qpt/format/graph"

// esm: EsmModel, ESM-1b and ESM-2, of proteins. Norms before attention and MLP; RoPE or positions.
func esm(c *config) *Model {
	s := c.shape(bertDefaults(1026, 1e-12))
	s.act = "gelu" // whatever hidden_act says
	c.only("is_folding_model", "false")
	c.read["esmfold_config"], c.read["vocab_list"] = true, true // of folding models
	kind := c.string("position_embedding_type", "absolute")
	delete(c.keys, "position_embedding_type")
	theta := c.float("rope_theta", 10000, 1e-3, 1e12)
	var rope *graph.RoPE
	skip := 0
	switch kind {
	case "rotary":
		r := s.rotary()
		r.theta = theta
		turn := ropeFrom(c, &config{where: c.where, read: map[string]bool{}}, r)
		rope = &turn
	case "absolute":
		skip = s.skipPad(c)
	default:
		c.unsupported("position_embedding_type", "%.60q; known: absolute, rotary", kind)
	}
	normed, dropped := c.bool("emb_layer_norm_before", false), 0
	if c.bool("token_dropout", false) {
		if dropped = c.int("mask_token_id", -1, 0, s.vocab-1); dropped == 0 {
			c.unsupported("mask_token_id", "0 with token_dropout")
		}
	}
	m := s.encoder(c, func(tied bool) *encoder {
		const name = "esm"
		e := s.bert(name, 0, skip)
		e.dropped = dropped
		if e.embedNorm = nil; normed {
			e.embedNorm = s.ln(name + ".embeddings.layer_norm")
		}
		if rope != nil {
			e.positions = nil
		}
		for i := range e.blocks {
			e.blocks[i].attn.rope = rope
		}
		e.before(&s, ".attention.LayerNorm", ".LayerNorm", name+".encoder.emb_layer_norm_after")
		s.robertaHeads(e, tied, name)
		e.heads.masked.out.bias = "lm_head.bias"
		return e
	})
	if m != nil {
		m.ignorable = func(tensor string) bool {
			return tensor == "esm.contact_head.regression.weight" || tensor == "esm.contact_head.regression.bias" || encoderIgnorable(tensor)
		}
	}
	return m
}

// drop takes the embeddings of dropped away, and divides those of its text by the share that is left, times what was left in training.
func (e *encoder) drop(b *builder, x string) string {
	const left = 1 - 0.15*0.8
	at := e.words
	ids := b.Node(at+".ids", graph.Reshape{Shape: []graph.Dim{-1, 1}}, []string{b.ids}) // symbol T
	is := b.Node(at+".dropped", graph.Slice{Axis: 1, From: e.dropped, To: e.dropped + 1}, []string{b.Node(at+".one_hot", graph.OneHot{N: e.vocab}, []string{ids})})
	keep := b.Scalar(at+".keep", "add", b.Scalar(at+".not", "mul", is, -1), 1) // [T, 1]
	none := b.Scalar(at+".none", "mul", keep, 0)
	// Attention whose scores are all the same is a mean over the text.
	op := graph.Attention{Heads: 1, KVHeads: 1, HeadDim: 1, Scale: 1, Mask: graph.Mask{Kind: "full"}}
	share := b.Node(at+".share", op, []string{none, none, keep, b.pos})
	return b.Binary(at+".shared", "mul", x, b.Binary(at+".factor", "div", b.Scalar(at+".left", "mul", keep, left), share))
}
