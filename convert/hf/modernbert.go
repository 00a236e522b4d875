package hf

import (
	"fmt"

	"qpt/format/graph"
)

// modernBERT: ModernBertModel. Norms before, RoPE of two bases, windows on both sides, a gated MLP; q, k, v and the MLP's two inputs fused.
func modernBERT(c *config) *Model {
	s := c.shape(defaults{positions: 8192, epsKey: "norm_eps", eps: 1e-5, actKey: "hidden_activation", act: "gelu", tied: true, bos: -1, eos: []int{}})
	normBias, attnBias, mlpBias := c.bool("norm_bias", false), c.bool("attention_bias", false), c.bool("mlp_bias", false)
	classBias, decoderBias := c.bool("classifier_bias", false), c.bool("decoder_bias", true)
	classAct := activation(c, "classifier_activation", c.string("classifier_activation", "gelu"))
	pool := map[string]string{"cls": "first", "mean": "mean"}[c.string("classifier_pooling", "cls")]
	if pool == "" {
		c.unsupported("classifier_pooling", "%s; known: cls, mean", c.keys["classifier_pooling"])
	}
	every := c.int("global_attn_every_n_layers", 3, 1, maxLayers)
	// A window of W sees W/2 on either side.
	windows := c.windows(s.layers, c.int("local_attention", 128, 2, maxPos)/2+1, func(l int) bool { return l%every != 0 })
	ropes := c.modernRopes(&s)
	norm := func(name string) *norm { return &norm{name: name, eps: s.eps, bias: normBias} }
	return s.encoder(c, func(tied bool) *encoder {
		e := &encoder{vocab: s.vocab, hidden: s.hidden, prefix: "model.", words: "model.embeddings.tok_embeddings", embedNorm: norm("model.embeddings.norm"), final: norm("model.final_norm")}
		for l, window := range windows {
			at := fmt.Sprintf("model.layers.%d", l)
			part := func(name, part string, of, at, rows int, bias bool) linear {
				return fused(name, part, of*rows, s.hidden, bias, false, graph.View{From: at * rows})
			}
			a := s.both(at+".attn", "", "", "", at+".attn.Wo", attnBias)
			a.window, a.rope = window, &ropes[min(window, 1)]
			a.q, a.k, a.v = part(at+".attn.Wqkv", "q", 3, 0, s.hidden, attnBias), part(at+".attn.Wqkv", "k", 3, 1, s.hidden, attnBias), part(at+".attn.Wqkv", "v", 3, 2, s.hidden, attnBias)
			b := block{at: at, attn: a, attnNorm: norm(at + ".attn_norm"), mlpNorm: norm(at + ".mlp_norm"), mlp: &mlp{
				gate: part(at+".mlp.Wi", "act", 2, 0, s.inter, mlpBias), up: part(at+".mlp.Wi", "gate", 2, 1, s.inter, mlpBias), down: plain(at+".mlp.Wo", mlpBias), inter: s.inter, act: s.act}}
			if l == 0 {
				b.attnNorm = nil
			}
			e.blocks = append(e.blocks, b)
		}
		d := &dense{linear: plain("head.dense", classBias), n: s.hidden, act: classAct, norm: norm("head.norm")}
		e.heads.sequence = &head{pool: pool, dense: d, out: plain("classifier", true)}
		e.heads.tokens = &head{dense: d, out: plain("classifier", true)}
		e.heads.answers = &head{dense: d, out: plain("classifier", true)}
		e.heads.masked = &head{dense: d, out: plain("decoder", decoderBias), n: s.vocab}
		if tied {
			e.heads.masked.out.weight = e.words + ".weight"
		}
		return e
	})
}

// modernRopes are the rotary embeddings of full layers and of those with windows.
func (c *config) modernRopes(s *shape) (ropes [2]graph.RoPE) {
	ofKinds := c.object("rope_parameters")
	for i, k := range []struct {
		kind, key string
		theta     float64
	}{{"full_attention", "global_rope_theta", 160000}, {"sliding_attention", "local_rope_theta", 10000}} {
		r := s.rotary()
		r.theta = c.float(k.key, k.theta, 1e-3, 1e12)
		ropes[i] = ropeFrom(c, ofKinds.object(k.kind), r)
	}
	ofKinds.finish()
	c.only("rope_scaling", "{}")
	if c.err == nil {
		c.err = ofKinds.err
	}
	for _, key := range []string{"reference_compile", "repad_logits_with_grad", "sparse_prediction", "sparse_pred_ignore_index", "initializer_cutoff_factor", "layer_norm_eps"} {
		c.read[key] = true // of training, of code, and one that ModernBERT does not read
	}
	return ropes
}

// modernBERTDecoder: ModernBertDecoderForCausalLM, the decoders of Ettin. ModernBERT's layers with q, k and v apart, whose tokens see what
// goes before, and a layer and a norm before the table.
func modernBERTDecoder(c *config) *Model {
	s := c.shape(defaults{positions: 8192, epsKey: "norm_eps", eps: 1e-5, actKey: "hidden_activation", act: "gelu", tied: true, bos: 50281, eos: []int{50282}, sizes: map[string]string{"num_key_value_heads": ""}})
	normBias, attnBias, mlpBias := c.bool("norm_bias", false), c.bool("attention_bias", false), c.bool("mlp_bias", false)
	headBias, bias := c.bool("classifier_bias", false), c.bool("decoder_bias", true)
	headAct := activation(c, "classifier_activation", c.string("classifier_activation", "gelu"))
	every := c.int("global_attn_every_n_layers", 3, 1, maxLayers)
	window := c.int("sliding_window", c.int("local_attention", 128, 2, maxPos)/2, 1, maxPos)
	windows := c.windows(s.layers, window, func(l int) bool { return l%every != 0 })
	c.only("causal_mask", "true")
	c.read["position_embedding_type"] = true // which it does not read
	ropes := c.modernRopes(&s)
	norm := func(name string) *norm { return &norm{name: name, eps: s.eps, bias: normBias} }
	return s.model(c, func() *decoder {
		const table = "model.embeddings.tok_embeddings.weight"
		d := &decoder{vocab: s.vocab, hidden: s.hidden, embed: table, embedNorm: norm("model.embeddings.norm"), final: norm("model.final_norm"), head: s.head("decoder", table),
			before: &dense{linear: plain("lm_head.dense", headBias), n: s.hidden, act: headAct, norm: norm("lm_head.norm")}}
		if bias {
			d.head.bias = "decoder.bias"
		}
		for l, window := range windows {
			at := fmt.Sprintf("model.layers.%d", l)
			part := func(name string, i int) linear {
				return fused(at+".mlp.Wi", name, 2*s.inter, s.hidden, mlpBias, false, graph.View{From: i * s.inter})
			}
			b := block{at: at, attn: s.attention(at+".attn", &ropes[min(window, 1)], attnBias), attnNorm: norm(at + ".attn_norm"), mlpNorm: norm(at + ".mlp_norm"),
				mlp: &mlp{gate: part("act", 0), up: part("gate", 1), down: plain(at+".mlp.Wo", mlpBias), inter: s.inter, act: s.act}}
			b.attn.window, b.attn.o = window, plain(at+".attn.Wo", attnBias)
			if l == 0 {
				b.attnNorm = nil
			}
			d.blocks = append(d.blocks, b)
		}
		return d
	})
}
