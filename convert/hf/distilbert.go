package hf

import "fmt"

// distilbert: DistilBertModel. BERT without token types and pooler, under other names.
func distilbert(c *config) *Model {
	s := c.shape(defaults{positions: 512, actKey: "activation", act: "gelu", tied: true, bos: -1, eos: []int{}, sizes: map[string]string{
		"hidden_size": "dim", "intermediate_size": "hidden_dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}})
	s.eps, c.read["layer_norm_eps"] = 1e-12, true // fixed
	return s.encoder(c, func(tied bool) *encoder {
		const name = "distilbert"
		e := &encoder{
			vocab: s.vocab, hidden: s.hidden, prefix: name + ".", words: name + ".embeddings.word_embeddings",
			positions: table(name+".embeddings.position_embeddings", s.positions, 0, s.hidden), embedNorm: s.ln(name + ".embeddings.LayerNorm"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("%s.transformer.layer.%d", name, l)
			a := at + ".attention"
			e.blocks = append(e.blocks, s.after(at, s.both(a, a+".q_lin", a+".k_lin", a+".v_lin", a+".out_lin", true), at+".sa_layer_norm",
				s.plainMLP(at+".ffn.lin1", at+".ffn.lin2", true), at+".output_layer_norm"))
		}
		e.heads.sequence = &head{pool: "first", dense: &dense{linear: plain("pre_classifier", true), n: s.hidden, act: "relu"}, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		e.heads.masked = s.masked(tied, e, s.act, "vocab_transform", "vocab_layer_norm", "vocab_projector", "vocab_projector.bias")
		return e
	})
}
