package ref

import (
	"context"
	"fmt"

	"qpt/format/graph"
)

// Decoder runs sequences token by token, all of them in one step: keys and
// values of the positions before are kept, in FP32. The logits are those of Run, bit for bit.
type Decoder struct {
	g    *graph.Graph
	src  graph.Source
	opts Options
	past []past // by sequence
}

// past is what a sequence has of each attention, by cache.
type past struct {
	n            int32 // positions
	keys, values map[string][]float32
}

// NewDecoder prepares n empty sequences. Options.Tap and Block are not used.
func NewDecoder(g *graph.Graph, src graph.Source, n int, opts Options) (*Decoder, error) {
	for _, n := range g.Nodes {
		if op, ok := n.Op.(graph.Attention); ok && op.Cache == "" {
			return nil, fmt.Errorf("ref: node %s: attention without a cache sees all positions at once", n.Name)
		}
	}
	opts.Tap, opts.Block = nil, 0
	d := &Decoder{g: g, src: src, opts: opts, past: make([]past, n)}
	for i := range d.past {
		d.Reset(i)
	}
	return d, nil
}

// Reset empties sequence i.
func (d *Decoder) Reset(i int) {
	d.past[i] = past{keys: map[string][]float32{}, values: map[string][]float32{}}
}

// Step appends ids[i] to sequence i, for all of them, and returns the logits that follow, [V] each.
func (d *Decoder) Step(ctx context.Context, ids []int32) ([][]float32, error) {
	if len(ids) != len(d.past) {
		return nil, fmt.Errorf("ref: %d tokens for %d sequences", len(ids), len(d.past))
	}
	var seqs []Seq
	for i := range ids {
		seqs = append(seqs, Seq{IDs: ids[i : i+1], Rows: []int32{0}})
	}
	w, err := Start(d.g, d.src, seqs, d.opts)
	if err != nil {
		return nil, err
	}
	w.past = d.past
	for i, t := range w.live["pos"] {
		t.I[0] = d.past[i].n
	}
	if err := w.Advance(ctx, len(d.g.Nodes)); err != nil {
		return nil, err
	}
	var logits [][]float32
	for i, t := range w.Value(d.g.Outputs[0]) {
		logits = append(logits, t.Row(0))
		d.past[i].n++
	}
	return logits, nil
}

// extend appends keys and values of new positions to those of the past and
// returns all of them, and their positions. Without a past they are all there is.
func (r *run) extend(op graph.Attention, k, v []graph.Tensor, pos []graph.Tensor) (keys, values []graph.Tensor, at [][]int32) {
	for s := range k {
		if r.past == nil {
			at = append(at, pos[s].I)
			continue
		}
		p := &r.past[s]
		for _, c := range []struct {
			all map[string][]float32
			t   graph.Tensor
			to  *[]graph.Tensor
		}{{p.keys, k[s], &keys}, {p.values, v[s], &values}} {
			f := append(c.all[op.Cache], c.t.F...)
			c.all[op.Cache] = f
			width := c.t.Shape[len(c.t.Shape)-1]
			*c.to = append(*c.to, graph.Tensor{Shape: []int{len(f) / width, width}, F: f})
		}
		n := make([]int32, p.n, p.n+1)
		for i := range n {
			n[i] = int32(i)
		}
		at = append(at, append(n, pos[s].I...))
	}
	if r.past == nil {
		return k, v, at
	}
	return keys, values, at
}
