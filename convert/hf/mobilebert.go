package hf

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"qpt/format/graph"
)

// mobileLayer is a layer of MobileBERT: attention and several MLPs on states that a bottleneck narrows.
type mobileLayer struct {
	at            string
	width         int // within the bottleneck
	inner         int // of the MLPs
	mlps          int
	narrow        bool // there is a bottleneck
	keys, shared  bool // queries and keys (and with keys values too) read narrow states; of a bottleneck of their own
	affine        bool // norms are a scale and a bias
	eps           float64
	act           string
	hidden, heads int
}

// mobileBERT: MobileBertModel and its heads but the masked one. A token's embedding is made of its neighbours' too.
func mobileBERT(c *config) *Model {
	s := c.shape(defaults{positions: 512, epsKey: "layer_norm_eps", eps: 1e-12, act: "relu", tied: true, bos: -1, eos: []int{}})
	kinds, width := c.int("type_vocab_size", 2, 1, maxVocab), c.int("embedding_size", 128, 1, maxWidth)
	three := c.bool("trigram_input", true)
	l := mobileLayer{eps: s.eps, width: s.hidden, hidden: s.hidden, inner: s.inter, act: s.act, heads: s.heads,
		narrow: c.bool("use_bottleneck", true), keys: c.bool("use_bottleneck_attention", false), shared: c.bool("key_query_shared_bottleneck", true), mlps: c.int("num_feedforward_networks", 4, 1, 64)}
	if n := c.int("intra_bottleneck_size", 128, 1, maxWidth); l.narrow {
		l.width = n
	}
	if l.narrow && !l.keys && !l.shared && l.width != s.hidden {
		c.bad("key_query_shared_bottleneck", "false: queries and keys of %d values are made of %d", l.width, s.hidden)
	}
	if l.width%s.heads != 0 {
		c.bad("num_attention_heads", "%d does not divide the width %d", s.heads, l.width)
	}
	switch kind := c.string("normalization_type", "no_norm"); kind {
	case "no_norm":
		l.affine = true
	case "layer_norm":
	default:
		c.unsupported("normalization_type", "%.60q; known: no_norm, layer_norm", kind)
	}
	c.read["true_hidden_size"] = true // which follows
	pools := c.bool("classifier_activation", true)
	if list, _ := get[[]string](c, "architectures", "a list of strings"); slices.ContainsFunc(list, func(a string) bool { return strings.HasSuffix(a, "MaskedLM") }) {
		c.unsupported("architectures", "%q: its head, which joins two matrices, is not built; known: MobileBertModel, ForSequenceClassification, ForTokenClassification, ForQuestionAnswering", list)
	}
	m := s.encoder(c, func(bool) *encoder {
		const name = "mobilebert"
		e := &encoder{vocab: s.vocab, hidden: s.hidden, prefix: name + ".", words: name + ".embeddings.word_embeddings", width: width, types: name + ".embeddings.token_type_embeddings", kinds: kinds}
		project := plain(name+".embeddings.embedding_transformation", true)
		e.transform = func(b *builder, x string) string { // nothing stands before and behind a text, be it padded or not
			k := width
			if three { // next, own, previous
				all := b.Node(project.name+".unfold", graph.Unfold{Size: 3}, []string{x})
				var parts []string
				for i := range 3 {
					parts = append(parts, b.Node(fmt.Sprintf("%s.part%d", project.name, i), graph.Slice{Axis: 1, From: (2 - i) * width, To: (3 - i) * width}, []string{all}))
				}
				x, k = b.Node(project.name+".neighbours", graph.Concat{Axis: 1}, parts), 3*width
			}
			if three || width != s.hidden {
				x = b.linear(project, x, s.hidden, k)
			}
			return x
		}
		e.positions = table(name+".embeddings.position_embeddings", s.positions, 0, s.hidden)
		e.embedNorm = l.norm(name+".embeddings.LayerNorm", torchEps)
		for i := range s.layers {
			layer := l
			layer.at = fmt.Sprintf("%s.encoder.layer.%d", name, i)
			e.blocks = append(e.blocks, block{at: layer.at, whole: layer.build})
		}
		e.heads.sequence, e.heads.tokens = &head{pool: "first", out: plain("classifier", true)}, &head{out: plain("classifier", true)}
		if pools {
			e.pooler, e.heads.sequence = s.pooler(name), &head{pooler: true, out: plain("classifier", true)}
		}
		return e
	})
	if m != nil && l.keys && l.shared { // a bottleneck that nothing reads
		m.ignorable = func(tensor string) bool {
			return strings.Contains(tensor, ".bottleneck.attention.") || encoderIgnorable(tensor)
		}
	}
	return m
}

// torchEps is that of PyTorch's norms, whatever a config says.
const torchEps = 1e-5

func (l *mobileLayer) norm(at string, eps float64) *norm {
	return &norm{name: at, eps: eps, bias: true, affine: l.affine}
}

// dense is a layer at at.dense with a norm behind it, of the sum with residual unless that is "".
func (l *mobileLayer) dense(b *builder, at, x string, n, k int, residual string, eps float64) string {
	y := b.linear(plain(at+".dense", true), x, n, k)
	if residual != "" {
		y = b.Binary(at+".residual", "add", y, residual)
	}
	return b.norm(l.norm(at+".LayerNorm", eps), y, n)
}

func (l *mobileLayer) build(b *builder, h string) string {
	w, at := l.width, l.at
	qk, v, x, values := h, h, h, l.hidden // what queries and keys, values, and the residual are made of
	if l.narrow {
		x = l.dense(b, at+".bottleneck.input", h, w, l.hidden, "", l.eps)
		switch {
		case l.keys:
			qk, v, values = x, x, w
		case l.shared:
			qk = l.dense(b, at+".bottleneck.attention", h, w, l.hidden, "", l.eps)
		}
	}
	self := at + ".attention.self"
	var in []string
	for _, p := range []struct {
		part, x string
		k       int
	}{{"query", qk, w}, {"key", qk, w}, {"value", v, values}} {
		in = append(in, b.linear(plain(self+"."+p.part, true), p.x, w, p.k))
	}
	dim := w / l.heads
	y := b.Node(self, graph.Attention{Heads: l.heads, KVHeads: l.heads, HeadDim: dim, Scale: 1 / math.Sqrt(float64(dim)), Mask: graph.Mask{Kind: "full"}}, append(in, b.pos))
	y = l.dense(b, at+".attention.output", y, w, w, x, l.eps)
	mlp := func(at, out, y string, eps float64) string {
		z := b.unary(at+".act", l.act, b.linear(plain(at+".dense", true), y, l.inner, w))
		return l.dense(b, out, z, w, l.inner, y, eps)
	}
	for i := range l.mlps - 1 {
		at := fmt.Sprintf("%s.ffn.%d", at, i)
		y = mlp(at+".intermediate", at+".output", y, l.eps)
	}
	z := mlp(at+".intermediate", at+".output", y, torchEps)
	if l.narrow {
		z = l.dense(b, at+".output.bottleneck", z, l.hidden, w, h, l.eps)
	}
	return z
}
