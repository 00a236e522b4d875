package hf

// remBERT: RemBertModel. BERT with embeddings of their own width, and another at the head of the masked model.
func remBERT(c *config) *Model {
	d := bertDefaults(512, 1e-12)
	d.tied = false
	s := c.shape(d)
	kinds := c.int("type_vocab_size", 2, 1, maxVocab)
	in, out := c.int("input_embedding_size", 256, 1, maxWidth), c.int("output_embedding_size", 1664, 1, maxWidth)
	return s.encoder(c, func(tied bool) *encoder {
		const name = "rembert"
		e := s.bert(name, kinds, 0)
		e.narrow(in, plain(name+".encoder.embedding_hidden_mapping_in", true))
		e.project = &linear{name: name + ".encoder.embedding_hidden_mapping_in", weight: name + ".encoder.embedding_hidden_mapping_in.weight", bias: name + ".encoder.embedding_hidden_mapping_in.bias"}
		e.pooler = s.pooler(name)
		e.heads.sequence = &head{pooler: true, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		e.heads.masked = s.masked(false, e, s.act, "cls.predictions.dense", "cls.predictions.LayerNorm", "cls.predictions.decoder", "")
		e.heads.masked.dense.n = out
		return e
	})
}
