package hf

import "fmt"

// jinaV3: JinaEmbeddingsV3Model. RoBERTa with RoPE in place of positions; q, k and v are one matrix.
func jinaV3(c *config) *Model {
	s := c.shape(bertDefaults(8194, 1e-5))
	kinds := c.int("type_vocab_size", 1, 1, maxVocab)
	r := s.rotary()
	r.theta = 20000
	rope := ropeOf(c, r)
	return s.encoder(c, func(tied bool) *encoder {
		const name = "roberta"
		e := s.bert(name, kinds, 0)
		e.positions, e.blocks, e.embedNorm = nil, nil, s.ln(name+".emb_ln")
		for l := range s.layers {
			at := fmt.Sprintf("%s.encoder.layers.%d", name, l)
			a := s.both(at+".mixer", "", "", "", at+".mixer.out_proj", true)
			a.fusedQKV(at+".mixer.Wqkv", &s, true, false)
			a.rope = &rope
			e.blocks = append(e.blocks, s.after(at, a, at+".norm1", s.plainMLP(at+".mlp.fc1", at+".mlp.fc2", true), at+".norm2"))
		}
		s.robertaHeads(e, tied, name)
		return e
	})
}
