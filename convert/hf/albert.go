package hf

import "fmt"

// albertProject is there whatever the width of the embeddings.
const albertProject = "albert.encoder.embedding_hidden_mapping_in"

// albert: AlbertModel. Groups of layers that many layers share, and embeddings of their own width.
func albert(c *config) *Model {
	d := bertDefaults(512, 1e-12)
	d.act = "gelu_new"
	s := c.shape(d)
	kinds, width := c.int("type_vocab_size", 2, 1, maxVocab), c.int("embedding_size", 128, 1, maxWidth)
	groups, inner := c.int("num_hidden_groups", 1, 1, s.layers), c.int("inner_group_num", 1, 1, maxLayers)
	return s.encoder(c, func(tied bool) *encoder {
		e := s.bert("albert", kinds, 0)
		e.narrow(width, plain(albertProject, true))
		e.blocks = nil
		for l := range s.layers {
			group := int(float64(l) / (float64(s.layers) / float64(groups)))
			for i := range inner {
				b := s.albertLayer(fmt.Sprintf("albert.layer.%d.%d", l, i), fmt.Sprintf("albert.encoder.albert_layer_groups.%d.albert_layers.%d", group, i))
				b.inner = i < inner-1
				e.blocks = append(e.blocks, b)
			}
		}
		e.pooler = &dense{linear: plain("albert.pooler", true), n: s.hidden, act: "tanh"}
		e.heads.sequence = &head{pooler: true, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		e.heads.masked = s.masked(tied, e, s.act, "predictions.dense", "predictions.LayerNorm", "predictions.decoder", "predictions.bias")
		return e
	})
}

// albertLayer is a layer whose tensors lie elsewhere, with others.
func (s *shape) albertLayer(at, stored string) block {
	of := func(part string) linear {
		return linear{name: at + part, weight: stored + part + ".weight", bias: stored + part + ".bias"}
	}
	norm := func(part string) *norm {
		n := s.ln(stored + part)
		n.node = at + part
		return n
	}
	a := s.both(at+".attention", "", "", "", "", true)
	a.q, a.k, a.v, a.o = of(".attention.query"), of(".attention.key"), of(".attention.value"), of(".attention.dense")
	return block{
		at: at, after: true, attn: a, attnNorm: norm(".attention.LayerNorm"),
		mlp: &mlp{up: of(".ffn"), down: of(".ffn_output"), inter: s.inter, act: s.act}, mlpNorm: norm(".full_layer_layer_norm"),
	}
}
