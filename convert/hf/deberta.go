package hf

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"qpt/format/graph"
)

// debertaV2: DebertaV2Model, DeBERTa v2 and v3. BERT whose scores have products of the content with keys and queries of distances.
func debertaV2(c *config) *Model { return deberta(c, false) }

// debertaV1: DebertaModel. The same but for one matrix of q, k and v, which lie head by head, and for what v2 brought.
func debertaV1(c *config) *Model { return deberta(c, true) }

func deberta(c *config, first bool) *Model {
	s := c.shape(bertDefaults(512, 1e-7))
	if !first {
		s.headDim = c.int("attention_head_size", s.headDim, 1, maxHead)
	}
	kinds, width := c.int("type_vocab_size", 0, 0, maxVocab), c.int("embedding_size", s.hidden, 1, maxWidth)
	absolute, legacy := c.bool("position_biased_input", true), c.bool("legacy", true)
	act := activation(c, "pooler_hidden_act", c.string("pooler_hidden_act", "gelu"))
	if n := c.int("pooler_hidden_size", s.hidden, 1, maxWidth); n != s.hidden {
		c.unsupported("pooler_hidden_size", "%d; only hidden_size %d is supported", n, s.hidden)
	}
	products := c.words("pos_att_type")
	toKeys, toQueries := slices.Contains(products, "c2p"), slices.Contains(products, "p2c")
	sums := 1 // of products in a score
	for _, on := range []bool{toKeys, toQueries} {
		if on {
			sums++
		}
	}
	far := c.int("max_relative_positions", 0, -1, maxPos)
	share, normed, buckets, conv, convAct := false, false, 0, 0, "tanh"
	if first {
		c.only("talking_head", "false")
	} else {
		share, normed = c.bool("share_att_key", false), slices.Contains(c.words("norm_rel_ebd"), "layer_norm")
		buckets = c.int("position_buckets", 0, -1, maxPos)
		conv, convAct = c.int("conv_kernel_size", 0, 0, 1<<10), activation(c, "conv_act", c.string("conv_act", "tanh"))
		c.only("conv_groups", "1")
	}
	if far < 1 {
		far = s.positions
	}
	relative := c.bool("relative_attention", false)
	if relative && buckets > 0 && far-1 <= buckets/2 {
		c.bad("position_buckets", "%d: half of them must be below max_relative_positions %d", buckets, far)
	}
	if conv > 0 && conv%2 == 0 {
		c.unsupported("conv_kernel_size", "%d; only odd ones are supported", conv)
	}
	m := s.encoder(c, func(tied bool) *encoder {
		const name, at = "deberta", "deberta.encoder"
		e := s.bert(name, kinds, 0)
		e.narrow(width, plain(name+".embeddings.embed_proj", false))
		e.early = true
		if !absolute {
			e.positions = nil
		}
		if relative && (toKeys || toQueries) {
			e.distances = &distances{table: at + ".rel_embeddings"}
			if e.distances.rows, e.distances.of = debertaRows(buckets, far, s.positions); normed {
				e.distances.norm = s.ln(at + ".LayerNorm")
			}
		}
		for l := range e.blocks {
			b := &e.blocks[l]
			self := fmt.Sprintf("%s.layer.%d.attention.self", at, l)
			out := b.attn.o
			b.attn = s.both(self, self+".query_proj", self+".key_proj", self+".value_proj", "", true)
			b.attn.o, b.attn.scale = out, 1/math.Sqrt(float64(s.headDim*sums))
			if first {
				b.attn.perHead(self+".in_proj", &s, false)
				b.attn.q.bias, b.attn.v.bias = self+".q_bias", self+".v_bias"
			}
			of := func(on bool, own, shared string) *linear {
				if !on || e.distances == nil {
					return nil
				}
				l := plain(own, true)
				if share {
					l.weight, l.bias = shared+".weight", shared+".bias"
				}
				return &l
			}
			b.attn.distances = e.distances
			b.attn.posKey, b.attn.posQuery = of(toKeys, self+".pos_key_proj", self+".key_proj"), of(toQueries, self+".pos_query_proj", self+".query_proj")
			if first {
				b.attn.posKey, b.attn.posQuery = of(toKeys, self+".pos_proj", ""), of(toQueries, self+".pos_q_proj", "")
				if b.attn.posKey != nil {
					b.attn.posKey.bias = ""
				}
			}
		}
		if conv > 0 {
			l := linear{name: at + ".conv.conv", weight: at + ".conv.conv.weight.rows", bias: at + ".conv.conv.bias",
				view: &graph.View{Of: at + ".conv.conv.weight", Shape: []int{s.hidden, s.hidden, conv}, Perm: []int{0, 2, 1}}}
			e.conv, e.convSize = &dense{linear: l, n: s.hidden, act: convAct, norm: s.ln(at + ".conv.LayerNorm")}, conv
		}
		e.heads.sequence = &head{pool: "first", dense: &dense{linear: plain("pooler.dense", true), n: s.hidden, act: act}, out: plain("classifier", true)}
		e.heads.tokens = &head{out: plain("classifier", true)}
		if legacy {
			e.heads.masked = s.masked(tied, e, s.act, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder", "cls.predictions.bias")
		} else {
			e.heads.masked = s.masked(true, e, s.act, "lm_predictions.lm_head.dense", "lm_predictions.lm_head.LayerNorm", "lm_predictions.lm_head", "lm_predictions.lm_head.bias")
		}
		return e
	})
	if m != nil && !(relative && (toKeys || toQueries)) { // both are there all the same
		m.ignorable = func(tensor string) bool {
			return strings.HasPrefix(tensor, "deberta.encoder.LayerNorm.") || tensor == "deberta.encoder.rel_embeddings.weight" || encoderIgnorable(tensor)
		}
	}
	return m
}

// words reads a list of words, or a text in which | parts them.
func (c *config) words(key string) (words []string) {
	if raw := string(c.keys[key]); strings.HasPrefix(raw, "[") {
		words, _ = get[[]string](c, key, "a list of strings")
		return words
	}
	for _, w := range strings.Split(strings.ToLower(c.string(key, "")), "|") {
		words = append(words, strings.TrimSpace(w))
	}
	return words
}

// debertaRows says which of so many rows of a table stands for a distance of key from query, of 2L-1 distances as graph.Attention has them. With
// buckets, distances of half of them or more share rows by their logarithm, up to far.
func debertaRows(buckets, far, positions int) (rows int, of []int) {
	span := far
	if buckets > 0 {
		span = buckets
	}
	bucket := func(d int) int { // d >= 0
		mid := buckets / 2
		if buckets <= 0 || d <= mid {
			return d
		}
		log := func(x float64) float32 { return float32(math.Log(float64(float32(x)))) }
		return int(float32(math.Ceil(float64(log(float64(d)/float64(mid))/log(float64(far-1)/float64(mid))*float32(mid-1)))) + float32(mid))
	}
	most := 0 // from there on all have one row, or there is no text so long
	for most < positions && bucket(most) < span {
		most++
	}
	for d := -most; d <= most; d++ {
		b := bucket(max(d, -d))
		if d > 0 {
			b = -b
		}
		of = append(of, min(max(b+span, 0), 2*span-1))
	}
	return 2 * span, of
}
