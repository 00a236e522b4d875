package hf

// roberta: RobertaModel, XLMRobertaModel, CamemBERT's layout. BERT whose positions begin behind pad_token_id.
func roberta(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	kinds := c.int("type_vocab_size", 2, 1, maxVocab)
	skip := s.skipPad(c)
	return s.encoder(c, func(tied bool) *encoder {
		e := s.bert("roberta", kinds, skip)
		e.pooler = &dense{linear: plain("roberta.pooler.dense", true), n: s.hidden, act: "tanh"}
		e.heads.sequence = s.twoLayers("tanh")
		e.heads.tokens = &head{out: plain("classifier", true)}
		// The head's activation is gelu, whatever hidden_act says.
		e.heads.masked = s.masked(tied, e, "gelu", "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias")
		return e
	})
}

// skipPad is how many rows of the table of positions lie before the first token's; the rest is what a text may have.
func (s *shape) skipPad(c *config) int {
	skip := c.int("pad_token_id", 1, 0, s.positions-2) + 1
	s.positions -= skip
	return skip
}

// twoLayers is a head of two layers on the first token.
func (s *shape) twoLayers(act string) *head {
	return &head{pool: "first", dense: &dense{linear: plain("classifier.dense", true), n: s.hidden, act: act}, out: plain("classifier.out_proj", true)}
}
