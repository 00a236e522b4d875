package hf

import (
	"fmt"
	"strings"

	"qpt/format/graph"
)

// jinaBERT: JinaBertModel, Jina Embeddings v2, which calls itself bert: ALiBi in place of positions, by the distance either way (arXiv 2310.19923), and
// gated MLPs. That of the model for code has norms of the whole q and k, and other names.
func jinaBERT(c *config) *Model {
	delete(c.keys, "position_embedding_type")
	code := strings.Contains(string(c.keys["auto_map"]), "qk-post-norm")
	s := c.shape(bertDefaults(512, 1e-12))
	kinds := c.int("type_vocab_size", 2, 1, maxVocab)
	c.only("emb_pooler", `"mean"`)
	for _, key := range []string{"model_max_length", "attn_implementation", "use_flash_attn"} {
		c.read[key] = true // of the tokenizer and of speed
	}
	gated := true
	switch kind := c.string("feed_forward_type", "original"); kind {
	case "original":
		gated = false
	case "geglu":
		s.act = "gelu"
	case "reglu":
		s.act = "relu"
	default:
		c.unsupported("feed_forward_type", "%.60q; known: original, geglu, reglu", kind)
	}
	return s.bertModel(c, "bert", kinds, func(e *encoder) {
		e.positions = nil
		for i := range e.blocks {
			b := &e.blocks[i]
			b.attn.slopes = alibi(s.heads)
			if code {
				b.attn.qNorm, b.attn.kNorm = s.whole(b.attn.name+".layer_norm_q"), s.whole(b.attn.name+".layer_norm_k")
			}
			if !gated {
				continue
			}
			names := struct{ both, down, attnNorm, norm string }{"gated_layers", "wo", "attention.output.LayerNorm", "mlp.layernorm"}
			gate, up := 0, s.inter // where they begin
			if code {
				names.both, names.down, names.attnNorm, names.norm = "up_gated_layer", "down_layer", "layer_norm_1", "layer_norm_2"
				gate, up = up, gate
			}
			part := func(name string, from int) linear {
				return fused(b.at+".mlp."+names.both, name, 2*s.inter, s.hidden, false, false, graph.View{From: from})
			}
			b.mlp = &mlp{gate: part("gate", gate), up: part("up", up), down: plain(fmt.Sprintf("%s.mlp.%s", b.at, names.down), true), inter: s.inter, act: s.act}
			b.attnNorm, b.mlpNorm = s.ln(b.at+"."+names.attnNorm), s.ln(b.at+"."+names.norm)
		}
	})
}

// whole is a layer norm over all heads together.
func (s *shape) whole(name string) *headNorm { return &headNorm{norm: *s.ln(name), whole: true} }
