package hf

import "fmt"

// nomicBERT: NomicBertModel and its heads. BERT with RoPE in place of positions, a gated MLP and no biases; q, k and v are one matrix in files.
func nomicBERT(c *config) *Model {
	s := c.shape(defaults{positions: 2048, epsKey: "layer_norm_eps", eps: 1e-12, tied: true, bos: -1, eos: []int{}})
	r := s.rotary()
	r.theta = 1000
	rope := ropeOf(c, r)
	kinds := c.int("type_vocab_size", 2, 1, maxVocab)
	return s.encoder(c, func(tied bool) *encoder {
		const name = "nomic_bert"
		e := &encoder{
			vocab: s.vocab, hidden: s.hidden, prefix: name + ".", words: name + ".embeddings.word_embeddings",
			types: name + ".embeddings.token_type_embeddings", kinds: kinds, embedNorm: s.ln(name + ".emb_ln"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("%s.encoder.layers.%d", name, l)
			a := s.both(at+".attn", "", "", "", at+".attn.out_proj", false)
			a.fusedQKV(at+".attn.Wqkv", &s, false, false)
			a.rope = &rope
			mlp := &mlp{gate: plain(at+".mlp.fc12", false), up: plain(at+".mlp.fc11", false), down: plain(at+".mlp.fc2", false), inter: s.inter, act: s.act}
			e.blocks = append(e.blocks, s.after(at, a, at+".norm1", mlp, at+".norm2"))
		}
		e.heads.sequence = &head{pooler: true, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		e.heads.masked = s.masked(tied, e, s.act, "cls.predictions.transform.dense", "cls.predictions.transform.layer_norm", "cls.predictions.decoder", "cls.predictions.bias")
		e.pooler = &dense{linear: plain(name+".pooler.dense", true), n: s.hidden, act: "tanh"} // where a file has one
		return e
	})
}
