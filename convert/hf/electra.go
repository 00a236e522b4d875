package hf

// electra: ElectraModel, the discriminator or generator. BERT with embeddings of their own width, without pooler.
func electra(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	kinds, width := c.int("type_vocab_size", 2, 1, maxVocab), c.int("embedding_size", 128, 1, maxWidth)
	return s.encoder(c, func(tied bool) *encoder {
		e := s.bert("electra", kinds, 0)
		e.narrow(width, plain("electra.embeddings_project", true))
		e.heads.sequence = s.twoLayers("gelu")
		e.heads.choice = &head{pool: "first", dense: &dense{linear: plain("sequence_summary.summary", true), n: s.hidden, act: "gelu"}, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		e.heads.masked = s.masked(tied, e, "gelu", "generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head", "generator_lm_head.bias")
		return e
	})
}

// narrow gives the embeddings a width of their own.
func (e *encoder) narrow(width int, project linear) {
	e.width = width
	if p := e.positions; p != nil {
		e.positions = table(p.name, p.view.Shape[0]-p.view.From, p.view.From, width)
	}
	if width != e.hidden || project.name == albertProject {
		e.project = &project
	}
}
