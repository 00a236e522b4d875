package hf

import (
	"slices"
	"strings"

	"qpt/format/graph"
)

// reader is what stands behind a model that reads whole texts: a head, or what makes an embedding of each.
type reader struct {
	head *head
	st   *sentence
}

// build builds it on the last hidden state x [T, hidden] and ends the graph.
func (r *reader) build(b *builder, x, rows string) (*graph.Graph, error) {
	b.Output(lastHidden, b.Node(lastHidden, graph.Gather{}, []string{x, rows}))
	b.Hidden(lastHidden)
	return r.end(b, x)
}

// end makes the task's results the first outputs.
func (r *reader) end(b *builder, x string) (*graph.Graph, error) {
	if r.head != nil {
		r.head.build(b, x)
	} else {
		r.st.build(b, x)
	}
	g, err := b.Graph()
	if err == nil {
		slices.Reverse(g.Outputs)
	}
	return g, err
}

// reads makes the model of a decoder that reads texts: for embeddings, as modules.json beside it tells or since its tokens see what
// follows, or for a head of classes, which architectures names. It returns nil for a language model.
func (s *shape) reads(c *config, build func() *decoder) *Model {
	st, err := c.sentence()
	if err != nil {
		c.err = err
		return nil
	}
	d := build()
	list, _ := get[[]string](c, "architectures", "a list of strings")
	classes := len(list) > 0 && (strings.HasSuffix(list[0], "ForSequenceClassification") || strings.HasSuffix(list[0], "ForTokenClassification"))
	both := len(d.blocks) > 0 && d.blocks[0].attn.both
	if !st.given() && !classes && !both {
		return nil
	}
	if st.given() && !classes {
		list = nil
	}
	of := heads{sequence: &head{pool: "last", out: plain("score", false)}, tokens: &head{out: plain("score", true)}}
	pick, labels := c.task(list, &st)
	r := &reader{pick(&of), &st}
	g, err := d.graph(r)
	if err != nil {
		c.bad("graph", "%v", err)
	}
	m := &Model{Graph: g, BOS: -1, MaxPos: st.length(s.positions), Vocab: s.vocab, Labels: labels, modules: st.weights(),
		ignorable: func(tensor string) bool {
			return ignorable(tensor) || tensor == d.head.weight || tensor == "lm_head.weight" || tensor == d.head.bias
		}}
	return m.withPrefix(d)
}
