package hf

import (
	"fmt"

	"qpt/format/graph"
)

// latent is multi-head latent attention (arXiv 2405.04434): keys and values of all heads come from one narrow latent
// vector a position, beside one rotary key. The matrix kvB that would expand them is multiplied into the queries, and
// into the sum of values, head by head; so the state holds [latent, rotary key] alone.
type latent struct {
	qA    *linear // of rank qRank, with qNorm; nil: q reads the layer's input
	qRank int
	qNorm *norm
	q     string // [heads*(nope+rope), K] of each head's unrotated and rotated query
	kvA   string // [rank+rope, hidden] of latent and rotary key
	bias  bool   // of kvA
	rank  int
	norm  *norm  // of the latent
	kvB   string // [heads*(nope+value), rank] of each head's key and value

	nope, rope, value int // widths of a head
}

func (l *latent) build(b *builder, a *attention, x string) string {
	q, k := x, b.hidden
	if l.qA != nil {
		q, k = b.norm(l.qNorm, b.linear(*l.qA, x, l.qRank, b.hidden), l.qRank), l.qRank
	}
	heads := func(name, x string, width int) string { // [T, heads, width] of [T, heads*width]
		return b.Node(name, graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(a.heads), graph.Dim(width)}}, []string{x}) // symbol T
	}
	flat := func(name, x string, width int) string {
		return b.Node(name, graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(a.heads * width)}}, []string{x})
	}
	part := func(name, part string, n, rows, k int, bias bool, v graph.View, x string) string {
		return b.linear(fused(name, part, rows, k, bias, false, v), x, n, k)
	}
	each := l.nope + l.rope
	qn := part(l.q, "nope", a.heads*l.nope, a.heads*each, k, false, graph.View{Block: l.nope, Stride: each}, q)
	qr := part(l.q, "rope", a.heads*l.rope, a.heads*each, k, false, graph.View{From: l.nope, Block: l.rope, Stride: each}, q)
	qn = l.head(b, a, "key", l.rank, l.nope, graph.View{Transpose: true, Columns: true}, heads(a.name+".q_nope", qn, l.nope))
	qr = heads(a.name+".q_rotated", b.Node(a.name+".q_rope", *a.rope, []string{qr, b.pos}), l.rope)
	q = flat(a.name+".q", b.Node(a.name+".q_latent", graph.Concat{Axis: 2}, []string{qn, qr}), l.rank+l.rope)

	c := b.norm(l.norm, part(l.kvA, "latent", l.rank, l.rank+l.rope, b.hidden, l.bias, graph.View{}, x), l.rank)
	kr := part(l.kvA, "rope", l.rope, l.rank+l.rope, b.hidden, l.bias, graph.View{From: l.rank}, x)
	kr = b.Node(a.name+".k_rope", *a.rope, []string{kr, b.pos})
	key := b.Node(a.name+".k", graph.Concat{Axis: 1}, []string{c, kr})

	op := graph.Attention{Heads: a.heads, KVHeads: 1, HeadDim: l.rank + l.rope, Values: l.rank, Scale: a.scale, Mask: graph.Mask{Kind: "causal"}, Cache: a.name}
	if b.whole {
		op.Cache = ""
	}
	y := b.Node(a.name, op, []string{q, key, b.pos})
	y = l.head(b, a, "value", l.value, l.rank, graph.View{From: l.nope}, heads(a.name+".latents", y, l.rank))
	return b.linear(a.o, flat(a.name+".values", y, l.value), b.hidden, a.heads*l.value)
}

// head multiplies x [T, heads, k] with matrices [n, k], parts of kvB: each head's lie where view says, and nope+value further
// than those of the one before.
func (l *latent) head(b *builder, a *attention, part string, n, k int, view graph.View, x string) string {
	each := l.nope + l.value
	view.Of, view.Shape = l.kvB+".weight", []int{a.heads * each, l.rank}
	var weights []string
	for h := range a.heads {
		v := view
		v.From += h * each
		weights = append(weights, b.View(fmt.Sprintf("%s.%d.%s.weight", l.kvB, h, part), v, n, k))
	}
	return b.Node(l.kvB+"."+part, graph.ExpertLinear{Experts: a.heads}, []string{x}, weights...)
}
