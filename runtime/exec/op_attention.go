package exec

import (
	"fmt"

	"qpt/format/graph"
	"qpt/kernels/attn"
)

func init() {
	register("attention", func(c *Compiler, i int) error {
		n := &c.nodes[i]
		op := n.Op.(graph.Attention)
		st := &attnStep{name: n.Name, cache: -1, q: c.in(i, 0), k: c.in(i, 1), v: c.in(i, 2), out: c.out(i), op: op}
		st.inner = len(c.values[st.q].Shape) > 2
		if !st.inner {
			if err := c.wants(i, 3, "pos"); err != nil {
				return err
			}
		}
		if op.Softcap != 0 || op.Slopes != nil || op.Relative != nil || op.Bias || op.Sinks || op.Mask.Window > 0 && op.Mask.Kind == "full" {
			return fmt.Errorf("attention with soft cap, biases or sinks has no kernel")
		}
		st.spec = attn.Spec{Heads: op.Heads, Scale: float32(op.Scale), Mask: attn.Mask{Causal: op.Mask.Kind == "causal", Window: op.Mask.Window}}
		switch {
		case op.Cache != "":
			st.cache = len(c.caches)
			c.caches = append(c.caches, op)
		case !st.inner:
			c.whole = true
		}
		c.step(i, &kvStep{st}, st)
		return nil
	})
}

// kvStep puts the keys and values of a pass where the queries find them: into the caches of its
// sequences, or into pages that last as long as the step after it. An item is a run of positions.
type kvStep struct{ *attnStep }

func (st *kvStep) reads() []int  { return []int{st.k, st.v} }
func (st *kvStep) writes() []int { return nil }

func (st *kvStep) items(f *frame) int {
	f.layAttention(st.attnStep)
	return len(f.attn.keys)
}

func (st *kvStep) do(f *frame, worker, item int) {
	c, width := f.attn.keys[item], f.p.values[st.k].width
	f.attn.kv[c.seg].Put(c.pos, f.val[st.k][c.r0*width:c.r1*width], f.val[st.v][c.r0*width:c.r1*width])
}

// attnStep attends the queries of this pass; an item is one key/value head and a run of queries.
type attnStep struct {
	name         string
	cache        int  // of a sequence, -1: none
	inner        bool // within the last dimension but one, not within sequences
	q, k, v, out int
	op           graph.Attention
	spec         attn.Spec
}

func (st *attnStep) node() string  { return st.name }
func (st *attnStep) reads() []int  { return []int{st.q} }
func (st *attnStep) writes() []int { return []int{st.out} }

func (st *attnStep) items(f *frame) int { return st.op.KVHeads * len(f.attn.queries) }

func (st *attnStep) do(f *frame, worker, item int) {
	c := f.attn.queries[item/st.op.KVHeads]
	width := f.p.values[st.q].width
	attn.Attention(f.val[st.out][c.r0*width:], width, f.val[st.q][c.r0*width:], width, f.attn.pos[c.r0:c.r1],
		f.attn.kv[c.seg], item%st.op.KVHeads, st.spec, &f.ws.attn[worker])
}

// attention is how the rows of one attention of a pass divide. It lives in the frame from a
// kvStep to the attnStep behind it.
type attention struct {
	kv            []*attn.KV // of each segment
	keys, queries []chunk
	pos           []int32    // of each query row
	local         []*attn.KV // those of kv that no sequence owns, kept for the next time
	place         []int32
}

// layAttention finds keys, values and rows of each segment.
func (f *frame) layAttention(st *attnStep) {
	a := &f.attn
	a.kv = a.kv[:0]
	if !st.inner {
		a.keys, a.queries, a.pos = f.chunks, f.chunks, f.pos
		for _, s := range f.segs {
			if s.seq != nil && st.cache >= 0 {
				a.kv = append(a.kv, s.seq.kv[st.cache])
			} else {
				a.kv = append(a.kv, f.localKV(st, len(a.kv), s.n)) // also where sequences have none
			}
		}
		return
	}
	shape := func(v int) (rows int) { s := f.p.values[v].Shape; return int(s[len(s)-2]) }
	nq, nk := shape(st.q), shape(st.k)
	n := f.rows[st.q] / nq
	a.place, f.inner[0], f.inner[1] = a.place[:0], f.inner[0][:0], f.inner[1][:0]
	for i := range n {
		a.kv = append(a.kv, f.localKV(st, i, nk))
		for j := range nq {
			if st.spec.Mask.Causal {
				a.place = append(a.place, int32(j))
			} else {
				a.place = append(a.place, 0) // the place of a query says nothing
			}
		}
		f.inner[0] = cutSegment(f.inner[0], i, i*nk, nk, 0)
		f.inner[1] = cutSegment(f.inner[1], i, i*nq, nq, 0)
	}
	a.keys, a.queries, a.pos = f.inner[0], f.inner[1], a.place
}

// localKV is the i-th cache of the pass's own, with room for n positions.
func (f *frame) localKV(st *attnStep, i, n int) *attn.KV {
	a := &f.attn
	for len(a.local) <= i {
		a.local = append(a.local, nil)
	}
	if a.local[i] != nil {
		a.local[i].Release()
	}
	a.local[i] = f.ws.pages.NewKV(f.ws.KV, st.op.KVHeads, st.op.HeadDim)
	if err := a.local[i].Grow(0, n); err != nil {
		panic(err) // the pool has no budget
	}
	return a.local[i]
}
