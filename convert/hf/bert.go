package hf

import "fmt"

// bertDefaults are those of the families that took over BERT's config.
func bertDefaults(positions int, eps float64) defaults {
	return defaults{positions: positions, epsKey: "layer_norm_eps", eps: eps, act: "gelu", tied: true, bos: -1, eos: []int{}}
}

// bert: BertModel and its heads. Norms after sums; a pooler on the first token.
func bert(c *config) *Model {
	if string(c.keys["position_embedding_type"]) == `"alibi"` {
		return jinaBERT(c)
	}
	s := c.shape(bertDefaults(512, 1e-12))
	kinds := c.int("type_vocab_size", 2, 1, maxVocab)
	return s.bertModel(c, "bert", kinds, func(*encoder) {})
}

// bertModel is the encoder with its pooler and heads, where change has been at it.
func (s *shape) bertModel(c *config, name string, kinds int, change func(e *encoder)) *Model {
	return s.encoder(c, func(tied bool) *encoder {
		e := s.bert(name, kinds, 0)
		change(e)
		e.pooler = s.pooler(name)
		e.heads.sequence = &head{pooler: true, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		e.heads.masked = s.masked(tied, e, s.act, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder", "cls.predictions.bias")
		return e
	})
}

// bert is the encoder under BERT's names, without pooler and heads; the table of positions begins with skip rows that no text uses.
func (s *shape) bert(name string, kinds, skip int) *encoder {
	e := &encoder{vocab: s.vocab, hidden: s.hidden, prefix: name + ".", words: name + ".embeddings.word_embeddings", kinds: kinds, embedNorm: s.ln(name + ".embeddings.LayerNorm")}
	e.positions = table(name+".embeddings.position_embeddings", s.positions, skip, s.hidden)
	if kinds > 0 {
		e.types = name + ".embeddings.token_type_embeddings"
	}
	for l := range s.layers {
		at := fmt.Sprintf("%s.encoder.layer.%d", name, l)
		e.blocks = append(e.blocks, s.after(at, s.both(at+".attention.self", at+".attention.self.query", at+".attention.self.key", at+".attention.self.value", at+".attention.output.dense", true),
			at+".attention.output.LayerNorm", s.plainMLP(at+".intermediate.dense", at+".output.dense", true), at+".output.LayerNorm"))
	}
	return e
}

// pooler is the layer on the first token.
func (s *shape) pooler(name string) *dense {
	return &dense{linear: plain(name+".pooler.dense", true), n: s.hidden, act: "tanh"}
}

// before moves the norms of BERT's layers before attention and MLP, and ends with one more.
func (e *encoder) before(s *shape, attn, mlp, final string) {
	for i := range e.blocks {
		b := &e.blocks[i]
		b.after, b.attnNorm, b.mlpNorm = false, s.ln(b.at+attn), s.ln(b.at+mlp)
	}
	e.final = s.ln(final)
}

// ln is a layer norm with weight and bias.
func (s *shape) ln(name string) *norm { return &norm{name: name, eps: s.eps, bias: true} }

// both is attention in which each token sees all of its text.
func (s *shape) both(at, q, k, v, o string, bias bool) attention {
	a := s.attention(at, nil, bias)
	a.both, a.q, a.k, a.v, a.o = true, plain(q, bias), plain(k, bias), plain(v, bias), plain(o, bias)
	return a
}

// after is a layer in BERT's order: norms take the sums.
func (s *shape) after(at string, attn attention, attnNorm string, m *mlp, mlpNorm string) block {
	return block{at: at, after: true, attn: attn, attnNorm: s.ln(attnNorm), mlp: m, mlpNorm: s.ln(mlpNorm)}
}

// masked is a masked language model's head: a layer, a norm, and the table with a bias, or a matrix of its own with its own bias.
func (s *shape) masked(tied bool, e *encoder, act, layer, norm, out, bias string) *head {
	width := e.hidden
	if e.width > 0 {
		width = e.width
	}
	h := &head{dense: &dense{linear: plain(layer, true), n: width, act: act, norm: s.ln(norm)}, out: linear{name: out, weight: out + ".weight", bias: bias}, n: s.vocab}
	if tied {
		h.out.weight = e.words + ".weight"
	} else { // nor are there two names for one bias
		h.out.bias = out + ".bias"
	}
	return h
}
