package hf

// megatronBERT: MegatronBertModel. BERT with norms before attention and MLP, none of the embeddings.
func megatronBERT(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	kinds := c.int("type_vocab_size", 2, 1, maxVocab)
	return s.bertModel(c, "bert", kinds, func(e *encoder) {
		e.embedNorm = nil
		e.before(&s, ".attention.ln", ".ln", "bert.encoder.ln")
	})
}
