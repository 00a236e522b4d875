package hf

// euroBERT: EuroBertModel. Llama's layers in which every token sees all of its text.
func euroBERT(c *config) *Model {
	s := c.shape(defaults{positions: 8192, epsKey: "rms_norm_eps", eps: 1e-5, bos: -1, eos: []int{}})
	rope := ropeOf(c, s.rotary())
	s.attnBias, s.mlpBias = c.bool("attention_bias", false), c.bool("mlp_bias", false)
	pooling := c.string("classifier_pooling", "late")
	pool := map[string]string{"bos": "first", "mean": "mean", "late": "mean"}[pooling]
	if pool == "" {
		c.unsupported("classifier_pooling", "%.60q; known: bos, mean, late", pooling)
	}
	for _, key := range []string{"is_causal", "clf_pooling", "bos_token", "eos_token", "pad_token", "mask_token"} { // it is not causal, whatever that says; the others are of code before the library's
		c.read[key] = true
	}
	return s.encoder(c, func(tied bool) *encoder {
		d := s.decoder(&rope)
		e := &encoder{vocab: s.vocab, hidden: s.hidden, prefix: "model.", words: "model.embed_tokens", blocks: d.blocks, final: d.final}
		for i := range e.blocks {
			e.blocks[i].attn.both = true
		}
		e.heads.sequence = &head{pool: pool, late: pooling == "late", dense: &dense{linear: plain("dense", true), n: s.hidden, act: "gelu"}, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		e.heads.masked = &head{out: plain("lm_head", s.mlpBias), n: s.vocab}
		if tied {
			e.heads.masked.out.weight = e.words + ".weight"
		}
		return e
	})
}
