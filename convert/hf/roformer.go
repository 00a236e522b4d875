package hf

import "strings"

// roFormer: RoFormerModel. BERT with interleaved RoPE in place of positions.
func roFormer(c *config) *Model {
	s := c.shape(bertDefaults(1536, 1e-12))
	kinds, width := c.int("type_vocab_size", 2, 1, maxVocab), c.int("embedding_size", s.hidden, 1, maxWidth)
	r := s.rotary()
	r.interleaved = true
	rope := ropeOf(c, r)
	c.only("rotary_value", "false")
	m := s.encoder(c, func(tied bool) *encoder {
		const name = "roformer"
		e := s.bert(name, kinds, 0)
		e.positions = nil
		e.narrow(width, plain(name+".embeddings_project", true))
		for i := range e.blocks {
			e.blocks[i].attn.rope = &rope
		}
		e.heads.sequence = s.twoLayers(s.act)
		e.heads.choice = &head{pool: "first", dense: &dense{linear: plain("sequence_summary.summary", true), n: s.hidden, act: "gelu"}, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		e.heads.masked = s.masked(tied, e, s.act, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder", "cls.predictions.bias")
		return e
	})
	if m != nil {
		m.ignorable = func(tensor string) bool {
			return strings.HasSuffix(tensor, "encoder.embed_positions.weight") || encoderIgnorable(tensor)
		}
	}
	return m
}
