package hf

import (
	"fmt"
	"strings"
)

// nomicBERT: NomicBertModel and its heads. BERT with RoPE in place of positions, a gated MLP and no biases; q, k and v are one matrix in files.
func nomicBERT(c *config) *Model {
	c.olderNomic()
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

// olderNomic reads configs as nomic-ai's own code has them, which are GPT-2's in other words.
func (c *config) olderNomic() {
	if !c.has("n_embd") {
		return
	}
	for from, to := range map[string]string{"n_embd": "hidden_size", "n_head": "num_attention_heads", "n_layer": "num_hidden_layers", "n_inner": "intermediate_size", "n_positions": "max_position_embeddings",
		"layer_norm_epsilon": "layer_norm_eps", "rotary_emb_base": "rope_theta"} {
		if c.has(from) && !c.has(to) {
			c.read[from], c.keys[to] = true, c.keys[from]
		}
	}
	if !c.has("intermediate_size") {
		c.keys["intermediate_size"] = fmt.Append(nil, 4*c.int("hidden_size", -1, 1, maxWidth))
	}
	gates := map[string]string{"swiglu": "silu", "geglu": "gelu", "glu": "sigmoid"}
	if act := c.string("activation_function", "swiglu"); gates[act] == "" {
		c.unsupported("activation_function", "%.60q; known: glu, geglu, swiglu (an MLP without gate, and experts, are not)", act)
	} else if !c.has("hidden_act") {
		c.keys["hidden_act"] = fmt.Appendf(nil, "%q", gates[act])
	}
	if n, v := c.int("pad_vocab_size_multiple", 1, 1, maxVocab), c.int("vocab_size", -1, 1, maxVocab); v%n != 0 { // the table has more rows
		c.keys["vocab_size"] = fmt.Append(nil, v+n-v%n)
	}
	if f := c.float("rotary_emb_fraction", 1, 0, 1); f != 1 {
		c.unsupported("rotary_emb_fraction", "%v; only 1 is supported", f)
	}
	for key, want := range map[string]string{"causal": "false", "mlp_fc1_bias": "false", "mlp_fc2_bias": "false", "qkv_proj_bias": "false", "parallel_block": "false", "prenorm": "false", "rotary_emb_interleaved": "false",
		"rotary_emb_scale_base": "null", "rotary_scaling_factor": "null", "use_rms_norm": "false", "scale_attn_weights": "true", "scale_attn_by_inverse_layer_idx": "false", "num_experts": "0", "moe_every_n_layers": "0"} {
		c.only(key, want)
	}
	for _, key := range strings.Fields(`attn_pdrop embd_pdrop resid_pdrop dense_seq_output fused_bias_fc fused_dropout_add_ln max_trained_positions parallel_block_tied_norm reorder_and_upcast_attn
		summary_first_dropout summary_proj_to_labels use_flash_attn use_xentropy`) {
		c.read[key] = true
	}
}
