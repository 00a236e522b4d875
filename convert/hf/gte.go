package hf

import (
	"fmt"
	"math"

	"qpt/format/graph"
)

// gte: GteModel, and NewModel of files before it. BERT with RoPE in place of positions and a gated MLP; q, k and v are one matrix, and so are up and gate.
func gte(c *config) *Model {
	s := c.shape(defaults{positions: 8192, epsKey: "layer_norm_eps", eps: 1e-12, act: "gelu", tied: true, bos: -1, eos: []int{}})
	kinds := c.int("type_vocab_size", 1, 0, maxVocab)
	r := s.rotary()
	r.theta = 160000
	p := ropeObject(c)
	factor := 1.0
	if p.string("rope_type", p.string("type", "")) == "ntk" { // of older files: a longer base, and all frequencies divided (kexue.fm/archives/9706)
		p.only("mixed_b", "null")
		factor = p.float("factor", math.NaN(), 1, 1e6)
		p.keys["rope_type"] = []byte(`"default"`)
		p.keys["rope_theta"] = fmt.Append(nil, factor*c.float("rope_theta", 10000, 1e-3, 1e12))
	}
	rope := ropeFrom(c, p, r)
	for i, f := range rope.Freqs {
		rope.Freqs[i] = float64(float32(f / math.Pow(factor, 2/float64(s.headDim))))
	}
	for key, want := range map[string]string{"position_embedding_type": `"rope"`, "layer_norm_type": `"layer_norm"`, "logn_attention_scale": "false", "pack_qkv": "true"} {
		c.only(key, want)
	}
	delete(c.keys, "position_embedding_type")
	for _, key := range []string{"logn_attention_clip1", "unpad_inputs"} {
		c.read[key] = true
	}
	m := s.encoder(c, func(tied bool) *encoder {
		const name = "gte"
		e := &encoder{vocab: s.vocab, hidden: s.hidden, prefix: name + ".", words: name + ".embeddings.word_embeddings", embedNorm: s.ln(name + ".embeddings.LayerNorm"), kinds: kinds}
		if kinds > 0 {
			e.types = name + ".embeddings.token_type_embeddings"
		}
		for l := range s.layers {
			at := fmt.Sprintf("%s.encoder.layer.%d", name, l)
			a := s.both(at+".attention", "", "", "", at+".attention.o_proj", true)
			a.fusedQKV(at+".attention.qkv_proj", &s, true, false)
			a.rope = &rope
			half := func(part string, from int) linear {
				return fused(at+".mlp.up_gate_proj", part, 2*s.inter, s.hidden, false, false, graph.View{From: from})
			}
			mlp := &mlp{up: half("up", 0), gate: half("gate", s.inter), down: plain(at+".mlp.down_proj", true), inter: s.inter, act: s.act}
			e.blocks = append(e.blocks, s.after(at, a, at+".attn_ln", mlp, at+".mlp_ln"))
		}
		e.pooler = s.pooler(name)
		e.heads.sequence = &head{pooler: true, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		e.heads.masked = s.masked(tied, e, "gelu", "lm_head.dense", "lm_head.norm", "lm_head.decoder", "lm_head.decoder.bias")
		return e
	})
	if m != nil {
		m.older = "new."
	}
	return m
}
