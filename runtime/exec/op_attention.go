package exec

import (
	"qpt/format/graph"
	"qpt/kernels/attn"
)

func init() {
	register("attention", func(c *Compiler, i int) error {
		if err := c.wants(i, 3, "pos"); err != nil {
			return err
		}
		op := c.nodes[i].Op.(graph.Attention)
		at := &attnStep{name: c.nodes[i].Name, cache: -1, q: c.in(i, 0), k: c.in(i, 1), v: c.in(i, 2), out: c.out(i), op: op, spec: attn.Spec{
			Heads: op.Heads, Scale: float32(op.Scale), Mask: attn.Mask{Causal: op.Mask.Kind == "causal", Window: op.Mask.Window},
		}}
		if op.Cache != "" {
			at.cache = len(c.caches)
			c.caches = append(c.caches, op)
		} else {
			c.whole = true
		}
		c.step(i, &kvStep{at}, at)
		return nil
	})
}

// kvStep appends the keys and values of a pass to the caches of its sequences; an item is a run of positions.
type kvStep struct{ *attnStep }

func (st *kvStep) reads() []int  { return []int{st.k, st.v} }
func (st *kvStep) writes() []int { return nil }

func (st *kvStep) items(f *frame) int {
	f.makeLocal(st.attnStep)
	return len(f.chunks)
}

func (st *kvStep) do(f *frame, worker, item int) {
	c, width := f.chunks[item], f.p.values[st.k].width
	s := &f.segs[c.seg]
	f.cacheOf(st.attnStep, c.seg).Put(s.pos+c.r0-s.r0, f.val[st.k][c.r0*width:c.r1*width], f.val[st.v][c.r0*width:c.r1*width])
}

// attnStep attends the queries of this pass to the caches; an item is one
// key/value head and a run of queries.
type attnStep struct {
	name         string
	cache        int // of a sequence, -1: none
	q, k, v, out int
	op           graph.Attention
	spec         attn.Spec
}

func (st *attnStep) node() string  { return st.name }
func (st *attnStep) reads() []int  { return []int{st.q} }
func (st *attnStep) writes() []int { return []int{st.out} }

func (st *attnStep) items(f *frame) int { return st.op.KVHeads * len(f.chunks) }

func (st *attnStep) do(f *frame, worker, item int) {
	c := f.chunks[item/st.op.KVHeads]
	width := f.p.values[st.q].width
	attn.Attention(f.val[st.out][c.r0*width:], width, f.val[st.q][c.r0*width:], width, f.pos[c.r0:c.r1],
		f.cacheOf(st, c.seg), item%st.op.KVHeads, st.spec, &f.ws.attn[worker])
}

// cacheOf is where segment s of the pass has the keys and values of an attention.
func (f *frame) cacheOf(st *attnStep, s int) *attn.KV {
	if seq := f.segs[s].seq; seq != nil && st.cache >= 0 {
		return seq.kv[st.cache]
	}
	return f.local[s]
}

// makeLocal makes room for the segments that have no cache of their own.
func (f *frame) makeLocal(st *attnStep) {
	f.local = f.local[:0]
	for _, s := range f.segs {
		var kv *attn.KV
		if s.seq == nil || st.cache < 0 {
			kv = attn.NewKV(f.ws.KV, st.op.KVHeads, st.op.HeadDim, s.n)
			kv.Grow(0, s.n)
		}
		f.local = append(f.local, kv)
	}
}
