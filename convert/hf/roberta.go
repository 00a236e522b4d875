package hf

import "strings"

// roberta: RobertaModel, XLMRobertaModel, CamemBERT's layout. BERT whose positions begin behind pad_token_id.
func roberta(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	return s.roberta(c, "roberta", 2, func(*encoder) {})
}

// data2vecText: Data2VecTextModel.
func data2vecText(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	return s.roberta(c, "data2vec_text", 2, func(*encoder) {})
}

// robertaPreLayerNorm: RobertaPreLayerNormModel. Norms before attention and MLP.
func robertaPreLayerNorm(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	const name = "roberta_prelayernorm"
	return s.roberta(c, name, 2, func(e *encoder) { e.before(&s, ".attention.LayerNorm", ".intermediate.LayerNorm", name+".LayerNorm") })
}

// xlmRobertaXL: XLMRobertaXLModel. Norms before attention and MLP, none of the embeddings.
func xlmRobertaXL(c *config) *Model {
	s := c.shape(bertDefaults(514, 1e-5))
	return s.roberta(c, "roberta", 1, func(e *encoder) {
		e.embedNorm = nil
		e.before(&s, ".attention.self_attn_layer_norm", ".LayerNorm", "roberta.encoder.LayerNorm")
	})
}

// longformer: LongformerModel. Windows on both sides; tokens that see everything (the first, of a sequence's classification) are not supported.
func longformer(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	var windows []int
	if raw := string(c.keys["attention_window"]); strings.HasPrefix(raw, "[") {
		windows, _ = get[[]int](c, "attention_window", "a list of integers")
	} else {
		w := c.int("attention_window", 512, 2, maxPos)
		for range s.layers {
			windows = append(windows, w)
		}
	}
	if len(windows) != s.layers {
		c.bad("attention_window", "%d of them for %d layers", len(windows), s.layers)
	}
	for _, w := range windows {
		if w < 2 || w%2 != 0 {
			c.bad("attention_window", "%d must be even and positive", w)
		}
	}
	c.only("attention_mode", `"longformer"`)
	c.only("ignore_attention_mask", "false")
	if list, _ := get[[]string](c, "architectures", "a list of strings"); len(list) > 0 {
		for _, end := range []string{"ForSequenceClassification", "ForQuestionAnswering", "ForMultipleChoice"} {
			if strings.HasSuffix(list[0], end) {
				c.unsupported("architectures", "%.100q, in which some tokens see everything (global attention); known: LongformerModel, LongformerForTokenClassification, LongformerForMaskedLM", list[0])
			}
		}
	}
	m := s.roberta(c, "longformer", 2, func(e *encoder) {
		for i := range e.blocks {
			e.blocks[i].attn.window = windows[i]/2 + 1 // half on either side
		}
	})
	if m != nil {
		m.ignorable = func(tensor string) bool {
			return strings.Contains(tensor, ".attention.self.") && strings.Contains(tensor, "_global.") || encoderIgnorable(tensor)
		}
	}
	return m
}

// roberta is the model under that name, with kinds of tokens where the config does not say, where change has been at it.
func (s *shape) roberta(c *config, name string, kinds int, change func(e *encoder)) *Model {
	kinds = c.int("type_vocab_size", kinds, 1, maxVocab)
	skip := s.skipPad(c)
	return s.encoder(c, func(tied bool) *encoder {
		e := s.bert(name, kinds, skip)
		change(e)
		s.robertaHeads(e, tied, name)
		return e
	})
}

func (s *shape) robertaHeads(e *encoder, tied bool, name string) {
	e.pooler = s.pooler(name)
	e.heads.sequence = s.twoLayers("tanh")
	e.heads.choice = &head{pooler: true, out: plain("classifier", true)}
	e.heads.tokens = &head{out: plain("classifier", true)}
	// The head's activation is gelu, whatever hidden_act says.
	e.heads.masked = s.masked(tied, e, "gelu", "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias")
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
