package hf

import (
	"fmt"
	"math"
)

// mpnet: MPNetModel. BERT without token types, positions as RoBERTa's, and one bias of distances for all layers.
func mpnet(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	const skip = 2 // pad_token_id is taken for 1, whatever the config says
	s.positions -= skip
	rows := c.int("relative_attention_num_buckets", 32, 32, maxVocab)
	return s.encoder(c, func(tied bool) *encoder {
		e := s.bert("mpnet", 0, skip)
		bias := &relative{table: "mpnet.encoder.relative_attention_bias.weight", rows: rows, buckets: mpnetBuckets()}
		for l := range e.blocks {
			b, at := &e.blocks[l], fmt.Sprintf("mpnet.encoder.layer.%d.attention", l)
			b.attn = s.both(at+".attn", at+".attn.q", at+".attn.k", at+".attn.v", at+".attn.o", true)
			b.attn.relative, b.attnNorm = bias, s.ln(at+".LayerNorm")
		}
		s.robertaHeads(e, tied, "mpnet")
		return e
	})
}

// mpnetBuckets are T5's of both directions, always 32 up to a distance of 128 whatever the config says: distances
// below 8 have one each, greater ones share them by their logarithm; keys that follow have the upper half.
func mpnetBuckets() []int {
	const half, exact, far = 16, 8, 128
	list := make([]int, 2*far+1)
	for i := range list {
		d := i - far // key's position less the query's
		n := max(d, -d)
		if n >= exact {
			n = min(exact+int(float32(math.Log(float64(float32(n)/exact)))/float32(math.Log(far/exact))*(half-exact)), half-1)
		}
		if d > 0 {
			n += half
		}
		list[i] = n
	}
	return list
}
